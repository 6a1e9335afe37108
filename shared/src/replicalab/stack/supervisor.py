"""Programs kept alive: restarted when they die, a bounded number of times, and told about."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from replicalab.errors import ServiceUnreachable
from replicalab.stack.processes import Process, Program, log_tail, wait_until_ready

OnMessage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How patient a supervisor is.

    Attributes:
        first_delay_seconds: Pause before the first restart; it doubles each time.
        longest_delay_seconds: Where doubling ends.
        most_deaths: A program that dies so often without having lived long is given up.
        long_life_seconds: A program that lived so long starts with a clean record.
    """

    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 10.0
    most_deaths: int = 5
    long_life_seconds: float = 60.0


@dataclass(slots=True)
class _Charge:
    process: Process
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Programs that live and end together; every method belongs to one thread."""

    def __init__(self, on_message: OnMessage, policy: RestartPolicy | None = None) -> None:
        self._on_message = on_message
        self._policy = policy or RestartPolicy()
        self._charges: list[_Charge] = []

    def start(
        self, program: Program, is_ready: Callable[[], bool], *, timeout_seconds: float = 60.0
    ) -> None:
        """Start ``program`` and return once it is ready; raises ``ServiceUnreachable``."""
        process = Process(program)
        self._charges.append(_Charge(process))
        wait_until_ready(process, is_ready, timeout_seconds=timeout_seconds)

    def check(self) -> None:
        """Restart what has died and whose pause is over.

        Raises:
            ServiceUnreachable: A program died too often.
        """
        for charge in self._charges:
            if charge.restart_at is not None:
                if time.monotonic() >= charge.restart_at:
                    charge.restart_at = None
                    charge.process = Process(charge.process.program)
            elif charge.process.exit_code is not None:
                self._schedule_restart(charge)

    def stop(self) -> None:
        """Ask every program to end, and end those that do not."""
        for charge in reversed(self._charges):
            charge.process.ask_to_stop()
        for charge in reversed(self._charges):
            charge.process.stop()
        self._charges.clear()

    def _schedule_restart(self, charge: _Charge) -> None:
        policy, process = self._policy, charge.process
        process.stop()  # whatever it has started must not meet its successor
        if time.monotonic() - process.started_at >= policy.long_life_seconds:
            charge.deaths = 0
        charge.deaths += 1
        ending = f"{process.program.name} ended with code {process.exit_code}"
        if charge.deaths > policy.most_deaths:
            raise ServiceUnreachable(
                f"{ending} for the {charge.deaths}th time and is given up.\n"
                + log_tail(process.program.log)
            )
        delay = min(
            policy.first_delay_seconds * 2 ** (charge.deaths - 1), policy.longest_delay_seconds
        )
        charge.restart_at = time.monotonic() + delay
        self._on_message(
            f"{ending}; it starts again in {delay:g} s ({charge.deaths} of {policy.most_deaths}), "
            f"see {process.program.log}"
        )
