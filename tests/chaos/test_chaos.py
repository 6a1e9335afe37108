"""Three seeded chaos runs; ``make chaos SEEDS=20`` makes more."""

import pytest

from tests.chaos.run import run

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]
FAULT_SECONDS = 5.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_fault_loses_doubles_or_mixes_up_work(seed: int) -> None:
    outcome = run(seed, FAULT_SECONDS)
    assert outcome.violations == []
    assert outcome.tasks > 0
    assert len(outcome.faults) == 9
