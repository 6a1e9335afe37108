"""Reading the generator in a file that its authors published."""

from replicalab.domain.networks import GeneratorForm
from replicalab_worker.weights.snapshots.forms import form_of
from replicalab_worker.weights.snapshots.modules import tensors_of
from replicalab_worker.weights.snapshots.official import read_official
from replicalab_worker.weights.tensors import Tensors

SIGNATURE = b"\x80"
"""Pickles of protocol 2 and later begin with it."""


def read_snapshot(file: bytes) -> tuple[GeneratorForm, Tensors]:
    """Form and tensors of an official snapshot (``edm-*.pkl``).

    Nothing of the file is run, its embedded source is not looked at, and its tensors stay where
    they are: reading takes no memory worth naming. Whether the tensors are those of a network of
    this form is for the caller to find out.

    Raises:
        UnsafeCheckpoint: The file is no such snapshot, or holds anything unexpected, which is
            named.
    """
    network = read_official(memoryview(file))
    return form_of(network), tensors_of(network, max_bytes=len(file))
