"""Image sets written one image at a time, for sets that memory does not hold."""

import zipfile
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import numpy.typing as npt


def write_image_set(
    file: BinaryIO,
    images: Iterable[npt.NDArray[np.uint8]],
    shape: tuple[int, int, int],
    labels: npt.NDArray[np.int64],
) -> None:
    """Write what ``ImageSet.to_bytes`` of the same images gives, byte for byte.

    Args:
        file: Empty.
        images: As many as there are labels, each uint8 (height, width, channel).
        shape: Of each image.
        labels: int64, (image,).
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(labels), *shape)}
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for image in images:
                member.write(image.tobytes())
        for name, array in (("labels", labels), ("indices", np.arange(len(labels)))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array.astype(np.int64), allow_pickle=False)
