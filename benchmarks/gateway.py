"""How many requests a gateway answers, and how its cost grows.

    python benchmarks/gateway.py

``endpoints`` compares status and submission with ``bare_service.py``: the same table behind
FastAPI and SQLAlchemy without logins, limits, planning, sharing or events. ``polls`` sends 10,000
status polls alone and beside 200 open event streams. ``lists`` asks for a page of 50 experiments
among few and many.
"""

import argparse
import itertools
import json
import secrets
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import sqlalchemy as sa
from http_load import Load, load, load_beside_streams, request
from lab_servers import LabServers, lab_servers, tidy
from rounds import machine, print_table, ratio, turns

from replicalab.db.database import Database
from replicalab.stack.ports import free_port
from replicalab.stack.processes import Process

CONNECTIONS = 8
NO_LIMIT = json.dumps({"amount": 1e6, "seconds": 1, "burst": 1_000_000})
STREAMS = 200
PAGE = 50
TOKEN = secrets.token_hex(16)
BARE_STATUS, STATUS = "bare: a row read", "ReplicaLab: status"
BARE_ROW, BARE_ROWS = "bare: one row written", "bare: planned, all rows written"
NEW, SHARED = "ReplicaLab: submission of new tasks", "ReplicaLab: submission that shares its tasks"
PEERS = {STATUS: BARE_STATUS, NEW: BARE_ROWS, SHARED: BARE_ROW, BARE_ROWS: BARE_ROW}
SEEDS = itertools.count(1)
"""Every submission of new tasks is about a split of its own."""


class Gateway:
    """A gateway as in production, but for its limits."""

    def __init__(self, servers: LabServers) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        groups = ("READS", "WRITES", "SUBMISSIONS")
        self.process = servers.start(
            "gateway",
            ["-m", "replicalab_api"],
            lambda: is_up(f"{self.url}/readyz"),
            {
                "REPLICALAB_PORT": str(self.port),
                "REPLICALAB_TOKEN": TOKEN,
                "REPLICALAB_LIMITS__STREAMS": str(2 * STREAMS),
                **{f"REPLICALAB_LIMITS__{group}": NO_LIMIT for group in groups},
            },
        )

    def experiment(self) -> str:
        """The address of a new experiment."""
        answer = post(f"{self.url}/v1/experiments", study(next(SEEDS)))
        return self.url + answer.headers["Location"]


def post(url: str, body: bytes) -> httpx.Response:
    """The answer to one request, which must be a good one."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    return httpx.post(url, content=body, headers=headers).raise_for_status()


def study(seed: int) -> bytes:
    """A specification whose tasks nobody else's shares, unless the seed is the same."""
    spec = {
        "kind": "replication",
        "name": "benchmark",
        "dataset": {"kind": "digits", "split_seed": seed},
        "t_re": [0, 6],
        "classifier_seeds": [0, 1],
    }
    return json.dumps(spec).encode()


def posts(url: str, number: int) -> list[bytes]:
    """Requests for studies of new tasks."""
    return [request("POST", url, TOKEN, study(next(SEEDS))) for _ in range(number)]


def is_up(url: str) -> bool:
    """Whether a server answers there."""
    try:
        return httpx.get(url, timeout=2).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.TransportError:
        return False


def measure_endpoints(arguments: argparse.Namespace) -> None:
    """Status and submission against the bare service."""
    with lab_servers() as servers:
        gateway, port = Gateway(servers), free_port()
        bare = f"http://127.0.0.1:{port}"
        servers.start(
            "bare",
            ["-m", "bare_service"],
            lambda: is_up(f"{bare}/docs"),
            {"BARE_PORT": str(port), "BARE_DATABASE_URL": servers.sqlalchemy_url},
        )
        row = post(f"{bare}/bare", study(0)).json()["id"]
        here = gateway.experiment()
        number = arguments.requests
        contestants: dict[str, Callable[[], Load]] = {
            BARE_STATUS: sender(port, lambda: [request("GET", f"{bare}/bare/{row}")] * number),
            STATUS: sender(gateway.port, lambda: [request("GET", here, TOKEN)] * number),
            BARE_ROW: sender(port, lambda: posts(f"{bare}/bare", number // 5), status=201),
            BARE_ROWS: sender(port, lambda: posts(f"{bare}/bare/planned", number // 5), status=201),
            NEW: sender(
                gateway.port,
                lambda: posts(f"{gateway.url}/v1/experiments", number // 5),
                status=202,
            ),
            SHARED: sender(
                gateway.port,
                lambda: (
                    [request("POST", f"{gateway.url}/v1/experiments", TOKEN, study(0))]
                    * (number // 5)
                ),
                status=202,
            ),
        }
        loads = in_turns(contestants, arguments.rounds)
    rows = []
    for name, runs in loads.items():
        peer = loads[PEERS.get(name, name)]
        each = [run.seconds / len(run.latencies) for run in runs]
        peers = [run.seconds / len(run.latencies) for run in peer]
        rates = [run.rate for run in runs]
        rows.append(
            [
                name,
                str(len(runs)),
                f"{statistics.median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{statistics.median(run.percentile(0.5) for run in runs):.1f}",
                f"{statistics.median(run.percentile(0.99) for run in runs):.1f}",
                f"{ratio(peers, each):.0%} of {PEERS[name]}" if name in PEERS else "",
            ]
        )
    print_table(["what", "n", "requests/s", "spread", "p50 ms", "p99 ms", "throughput"], rows)


def sender(
    port: int, requests: Callable[[], Sequence[bytes]], *, status: int = 200
) -> Callable[[], Load]:
    """Sends requests, written anew each time."""
    return lambda: load(port, requests(), connections=CONNECTIONS, status=status)


def in_turns(contestants: Mapping[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    """Every contestant once a round, in an order that rotates, after one that warms up."""
    loads: dict[str, list[Load]] = {name: [] for name in contestants}
    for send in contestants.values():
        send()
    for name in turns(list(contestants), rounds):
        loads[name].append(contestants[name]())
    return loads


def measure_polls(arguments: argparse.Namespace) -> None:
    """10,000 polls, and what they leave in memory."""
    rows = []
    with lab_servers() as servers:
        gateway = Gateway(servers)
        here = gateway.experiment()
        polls = [request("GET", here, TOKEN)] * arguments.polls
        stream = request("GET", f"{here}/events", TOKEN)
        load(gateway.port, polls[:500], connections=CONNECTIONS, status=200)
        for streams in (0, STREAMS, 0):
            before = memory_bytes(gateway.process)
            run = load_beside_streams(
                gateway.port, polls, stream, connections=CONNECTIONS, streams=streams
            )
            after = memory_bytes(gateway.process)
            rows.append(
                [
                    f"{arguments.polls:,}",
                    str(streams),
                    f"{run.rate:.0f}",
                    f"{run.percentile(0.5):.1f}",
                    f"{run.percentile(0.99):.1f}",
                    f"{after / 2**20:.0f}",
                    f"{(after - before) / 2**20:+.1f}",
                ]
            )
    header = ["polls", "open streams", "polls/s", "p50 ms", "p99 ms", "gateway MiB", "grown by MiB"]
    print_table(header, rows)


def memory_bytes(process: Process) -> int:
    """Resident memory of a process (Linux)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def measure_lists(arguments: argparse.Namespace) -> None:
    """A page among few and many experiments."""
    rows, medians = [], []
    with lab_servers() as servers:
        gateway = Gateway(servers)
        database = Database(servers.database_url, pool_size=2)
        gateway.experiment()
        page = request("GET", f"{gateway.url}/v1/experiments?limit={PAGE}", TOKEN)
        for there in (100, 10_000):
            fill(database, there)
            runs = [
                load(gateway.port, [page] * 200, connections=1, status=200)
                for _ in range(arguments.rounds)
            ]
            latencies = [run.percentile(0.5) for run in runs]
            medians.append(statistics.median(latencies))
            rows.append(
                [
                    f"{there:,}",
                    str(len(runs)),
                    f"{medians[-1]:.1f}",
                    f"{min(latencies):.1f}-{max(latencies):.1f}",
                    f"{statistics.median(run.percentile(0.99) for run in runs):.1f}",
                    f"{medians[-1] / medians[0]:.2f}",
                ]
            )
    print_table(
        ["experiments", "n", f"p50 ms of a page of {PAGE}", "spread", "p99 ms", "growth"], rows
    )


def fill(database: Database, number: int) -> None:
    """Copies of the newest experiment, each with the same tasks, until there are so many."""
    with database.transaction() as session:
        there = session.scalar(sa.text("SELECT count(*) FROM experiments"))
        session.execute(
            sa.text(
                """
                WITH model AS (SELECT * FROM experiments ORDER BY id LIMIT 1),
                made AS (
                    INSERT INTO experiments (id, owner, owner_id, project_id, name, kind, spec,
                                             state, priority, reused_tasks)
                    SELECT gen_random_uuid(), owner, owner_id, project_id, name || ' ' || n, kind,
                           spec, state, priority, reused_tasks
                    FROM model, generate_series(1, :more ::int) AS n
                    RETURNING id
                )
                INSERT INTO experiment_tasks (experiment_id, task_id, position, reused)
                SELECT made.id, t.task_id, t.position, t.reused
                FROM made, experiment_tasks AS t WHERE t.experiment_id = (SELECT id FROM model)
                """
            ),
            {"more": number - (there or 0)},
        )
    tidy(database, "experiments, experiment_tasks")


SECTIONS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "endpoints": measure_endpoints,
    "polls": measure_polls,
    "lists": measure_lists,
}


def main() -> None:
    """Parse the command line and run what it asks for."""
    parser = argparse.ArgumentParser(description="What the gateway answers in a second.")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--requests", type=int, default=1000, help="of every contestant in a round")
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    for name, measure in SECTIONS.items():
        if arguments.only in {None, name}:
            print(f"\n## {name}\n")
            measure(arguments)


if __name__ == "__main__":
    main()
