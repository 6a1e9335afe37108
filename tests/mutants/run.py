"""Take out one guard after the other: ``python -m tests.mutants.run`` (or ``make mutants``).

A mutant that no test notices is a guard that nothing protects; then the exit code is 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.guards import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SOURCES = ("shared/src", "services/api/src", "services/worker/src", "services/metrics/src")


def is_killed(mutant: Mutant) -> bool:
    """Whether a test fails without the guard."""
    with tempfile.TemporaryDirectory(prefix="replicalab-mutant-") as name:
        copy = Path(name)
        shutil.copytree(ROOT / "shared" / "src", copy / "shared" / "src")
        file = copy / mutant.file
        file.write_text(file.read_text().replace(mutant.original, mutant.mutated))
        path = [str(copy / "shared" / "src"), *(str(ROOT / source) for source in SOURCES[1:])]
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.tests],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if result.returncode not in (0, 1):
        sys.exit(f"the tests of {mutant.guard!r} did not run:\n{result.stdout}{result.stderr}")
    return result.returncode == 1


def main() -> None:
    """Print a row for each guard."""
    print("| guard taken out | tests | killed |\n|---|---|---|", flush=True)
    survivors = 0
    for mutant in MUTANTS:
        killed = is_killed(mutant)
        survivors += not killed
        print(f"| {mutant.guard} | {mutant.tests} | {'yes' if killed else 'NO'} |", flush=True)
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
