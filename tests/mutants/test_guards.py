"""The list of guards keeps up with the code."""

import pytest

from tests.mutants.guards import MUTANTS, Mutant
from tests.mutants.run import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_every_guard_stands_where_the_list_says(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.original) == 1
