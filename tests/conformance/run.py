"""Ask a live gateway: ``python -m tests.conformance.run`` (or ``make conformance EXAMPLES=20``).

Every principal sends every operation of the description right, wrong and just acceptable data,
and walks along the links. The exit code is 1 when an answer is not as described, or when an
operation was not asked for.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import requests
import schemathesis
from schemathesis.generation.coverage import GenerationSession

from replicalab.domain.states import ExperimentState
from tests.chaos.cluster import Cluster, running_cluster
from tests.chaos.run import PUBLIC_FOLDER
from tests.conformance.principals import Principal, Seeds, seed
from tests.conformance.questions import (
    Asker,
    ask_at_random,
    ask_at_the_edges,
    operations_of,
    walk_along_links,
)
from tests.conformance.tally import HEADER, Tally
from tests.fixtures.limits import UNLIMITED

ANSWER_SECONDS = 30.0
SEEDING_SECONDS = 120.0
GATEWAY = {
    "REPLICALAB_LIMITS": UNLIMITED.model_dump_json(),
    # The owner's webhook leads to a port where nobody listens.
    "REPLICALAB_WEBHOOKS": '{"networks": ["127.0.0.0/8"], "may_use_http": true}',
}


def run(cluster: Cluster, examples: int, seed_number: int) -> Mapping[Principal, Tally]:
    """Ask as every principal in turn, and print a row for each, and what was wrong."""
    with httpx.Client(
        base_url=cluster.gateway_url,
        headers={"Authorization": f"Bearer {cluster.token}"},
        trust_env=False,
        timeout=ANSWER_SECONDS,
    ) as administrator:
        seeds = {
            principal: seed(administrator, principal, lambda name: _wait_for(administrator, name))
            for principal in Principal
        }
        document = administrator.get("/openapi.json").raise_for_status().json()
    # What is made up from here on is neither run nor sent to addresses that are made up.
    for part in (*cluster.schedulers, *cluster.workers):
        part.stop()
    schema = schemathesis.openapi.from_dict(document)
    operations = operations_of(schema)
    print(HEADER, flush=True)
    tallies = {}
    for principal in Principal:
        with _session() as session:
            transport = {"base_url": cluster.gateway_url, "session": session}
            asker = _asker(seeds[principal], examples, seed_number, transport)
            _ask_everything(asker, schema, operations)
        missing = {operation.label for operation in operations} - asker.tally.operations
        asker.tally.failures.update(f"{label}: not asked for" for label in missing)
        print(asker.tally.row(principal, len(operations)), flush=True)
        for failure, count in asker.tally.failures.most_common():
            print(f"  {count} x {failure}", flush=True)
        tallies[principal] = asker.tally
    return tallies


def _asker(seeds: Seeds, examples: int, seed_number: int, transport: Mapping[str, Any]) -> Asker:
    limited = {**transport, "timeout": ANSWER_SECONDS}
    return Asker(seeds.headers, seeds.ids, examples, seed_number, limited)


def _ask_everything(asker: Asker, schema: Any, operations: Sequence[Any]) -> None:
    edges = GenerationSession()
    for operation in operations:
        ask_at_the_edges(asker, operation, edges)
        ask_at_random(asker, operation)
    walk_along_links(asker, schema)


def _session() -> requests.Session:
    """Connections that are kept, and nothing else between two requests."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _wait_for(client: httpx.Client, experiment_id: str) -> None:
    deadline = time.monotonic() + SEEDING_SECONDS
    while time.monotonic() < deadline:
        state = client.get(f"/v1/experiments/{experiment_id}").raise_for_status().json()["state"]
        if ExperimentState(state).is_terminal:
            assert state == ExperimentState.SUCCEEDED, state
            return
        time.sleep(0.2)
    raise AssertionError(f"experiment {experiment_id} does not end")


def main() -> None:
    """Print the table; exit code 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20, help="of an operation, each way")
    parser.add_argument("--seed", type=int, default=1, help="decides which examples")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.examples} examples", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="replicalab-conformance-", dir=PUBLIC_FOLDER))
    folder.chmod(0o711)
    with running_cluster(folder, gateway_settings=GATEWAY) as cluster:
        tallies = run(cluster, arguments.examples, arguments.seed)
    if any(tally.failures for tally in tallies.values()):
        sys.exit(f"logs are in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
