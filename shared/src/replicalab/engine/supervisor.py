"""Running tasks safely: claim, hand to the child, renew the lease, commit the outcome.

The supervisor proves ownership; the child does the work. A child that dies, hangs past a
cancellation or outlives its lease is killed and replaced, and nothing of its run becomes visible.
"""

import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from replicalab.domain.tasks import TaskKind
from replicalab.domain.text import told
from replicalab.engine.child import (
    CheckpointSaved,
    Failure,
    Job,
    Message,
    ProgressReport,
    Stopped,
    Success,
    run_child,
)
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.failures import FailureClass
from replicalab.engine.handlers import Handlers
from replicalab.engine.lease import Lease, boottime
from replicalab.engine.task_store import BeatAnswer, TaskStore
from replicalab.errors import DatabaseUnavailable
from replicalab.settings import EngineSettings, LocalStoreSettings, S3StoreSettings

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_COMMIT_RETRY_SECONDS = 1.0
_STACKS_SECONDS = 5.0
"""What a process that still can takes at most to write where it stands, on a busy machine too."""

_STACKS_PAUSE_SECONDS = 0.2
_LONGEST_STACKS_CHARACTERS = 8000


class _Ending(Enum):
    """Why watching a child stopped without a message from it."""

    DIED = auto()
    FENCED = auto()
    OVERDUE = auto()


class ChildProcess:
    """A spawned process that runs handlers, and the pipe to it."""

    def __init__(
        self,
        load_handlers: Callable[[], Handlers],
        store: LocalStoreSettings | S3StoreSettings,
        log_level: str,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, child_end = context.Pipe()
        descriptor, name = tempfile.mkstemp(prefix="replicalab-stacks-")
        os.close(descriptor)
        self._stacks = Path(name)
        self.process = context.Process(
            target=run_child,
            args=(child_end, load_handlers, store, log_level, os.getpid(), name),
            name="task-runner",
            daemon=True,
        )
        self.process.start()
        child_end.close()

    def receive(self, timeout_seconds: float) -> Message | None:
        """The next message, or None after ``timeout_seconds``; EOFError when the child died."""
        if not self.pipe.poll(timeout_seconds):
            return None
        message: Message = self.pipe.recv()
        return message

    def stacks(self) -> str:
        """Where every thread of the process is now, as far as it can still tell."""
        if self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + _STACKS_SECONDS
        written, before = "", None
        while time.monotonic() < deadline and (not written or written != before):
            time.sleep(_STACKS_PAUSE_SECONDS)
            before, written = written, self._stacks.read_text(errors="replace")
        return written

    def kill(self) -> int | None:
        """End the process at once; returns its exit code (negative: the signal)."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        self._stacks.unlink(missing_ok=True)
        return self.process.exitcode


class Supervisor:
    """Runs one task at a time for one worker."""

    def __init__(
        self,
        store: TaskStore,
        spawn: Callable[[], ChildProcess],
        settings: EngineSettings,
        worker: str,
    ) -> None:
        self._store = store
        self._spawn = spawn
        self._settings = settings
        self.worker = worker
        self._busy = threading.Lock()
        self._stopping = threading.Event()
        self._child = spawn()

    def run(self, task_id: int) -> bool:
        """Run the task if it can be claimed; waits while another one runs.

        Returns:
            Whether the task was claimed.
        """
        with self._busy:
            if self._stopping.is_set():
                return False
            try:
                task = self._store.claim(task_id, self.worker)
            except DatabaseUnavailable as error:
                _log.warning("cannot claim task %d: %s", task_id, error.detail)
                return False
            if task is None:
                return False
            self._supervise(task)
            return True

    @property
    def is_busy(self) -> bool:
        """Whether a task runs now."""
        return self._busy.locked()

    @property
    def is_stopping(self) -> bool:
        """Whether new tasks are refused."""
        return self._stopping.is_set()

    @property
    def child_pid(self) -> int | None:
        """Process id of the present child."""
        return self._child.process.pid

    def stop(self) -> None:
        """Stop: the running task goes back to the queue; new ones are not taken."""
        self._stopping.set()

    def close(self) -> None:
        """End the child once nothing runs."""
        self.stop()
        with self._busy:
            self._child.kill()

    def _supervise(self, task: ClaimedTask) -> None:
        missing = [task_input for task_input, ref in task.inputs if ref is None]
        if missing:
            names = ", ".join(f"{i.artifact} of {i.key[:12]}" for i in missing)
            outcome: Message | _Ending = Failure(
                FailureClass.INPUT, f"Inputs are not stored: {names}."
            )
        else:
            outcome = self._watch(task)
        self._commit(task, outcome)
        name = outcome.name.lower() if isinstance(outcome, _Ending) else type(outcome).__name__
        _log.info("task %d (%s): %s", task.id, task.params.kind, name.lower())

    def _watch(self, task: ClaimedTask) -> "Message | _Ending":
        """Hand the task to the child and renew the lease until it ends one way or another."""
        if not self._child.process.is_alive():
            self._replace_child()
        child = self._child
        inputs = tuple((task_input.role, ref) for task_input, ref in task.inputs if ref is not None)
        lease = Lease(self._settings)
        limit_seconds = self._settings.limit_of(TaskKind(task.params.kind))
        try:
            child.pipe.send(
                Job(task.key, task.epoch, task.params.model_dump_json(), inputs, task.checkpoint)
            )
            while True:
                message = child.receive(min(_POLL_SECONDS, self._settings.beat_seconds))
                if isinstance(message, ProgressReport | CheckpointSaved):
                    self._note(message, lease, task)
                elif message is not None:
                    return message
                if lease.has_stalled() or lease.seconds() > limit_seconds:
                    return self._end_endless(lease, child, limit_seconds)
                ending = self._keep(lease, child, task)
                if ending is not None:
                    return ending
        except (EOFError, OSError):
            return _Ending.DIED

    def _note(
        self, message: ProgressReport | CheckpointSaved, lease: Lease, task: ClaimedTask
    ) -> None:
        """Take in what a running task says; a checkpoint that cannot be noted is lost."""
        if isinstance(message, ProgressReport):
            lease.note(message)
            return
        try:
            if not self._store.save_checkpoint(task.id, message.checkpoint):
                _log.warning("checkpoint of task %d: its epoch is stale, dropped", task.id)
        except DatabaseUnavailable as error:
            _log.warning("checkpoint of task %d is lost: %s", task.id, error.detail)

    def _keep(self, lease: Lease, child: ChildProcess, task: ClaimedTask) -> _Ending | None:
        """Renew the lease when due, pass a stop on, and notice when patience is over."""
        if lease.is_due():
            try:
                answer = self._store.beat(
                    task.id, task.epoch, lease.progress.fraction, lease.progress.stage
                )
            except DatabaseUnavailable as error:
                _log.warning("beat of task %d failed: %s", task.id, error.detail)
                return _Ending.FENCED if lease.has_run_out() else None
            lease.renew()
            if answer is BeatAnswer.FENCED:
                return _Ending.FENCED
            if answer is BeatAnswer.CANCEL:
                lease.stop(child.pipe, task.epoch)
        if self._stopping.is_set():
            lease.stop(child.pipe, task.epoch)
        return _Ending.OVERDUE if lease.patience_is_over() else None

    def _end_endless(self, lease: Lease, child: ChildProcess, limit_seconds: float) -> Failure:
        """End a task that stands still, or that has had its time."""
        stage = lease.progress.stage or "the start"
        if lease.seconds() > limit_seconds:
            failure = FailureClass.TIMEOUT
            why = f"It ran longer than {limit_seconds:.0f} seconds and was at {stage!r}."
        else:
            failure = FailureClass.STALLED
            why = f"No progress for {lease.silence_seconds():.0f} seconds after {stage!r}."
        stacks = told(child.stacks(), _LONGEST_STACKS_CHARACTERS)
        self._replace_child()
        return Failure(failure, f"{why} It stood here:\n{stacks}")

    def _commit(self, task: ClaimedTask, outcome: "Message | _Ending") -> None:
        """Record the outcome, as often as it takes while the lease may still be ours."""
        exit_code = None
        if isinstance(outcome, _Ending):
            exit_code = self._replace_child()
        deadline = boottime() + self._settings.lease_seconds
        while True:
            try:
                accepted = self._record(task, outcome, exit_code)
            except DatabaseUnavailable as error:
                if boottime() > deadline:
                    _log.warning("outcome of task %d is lost: %s", task.id, error.detail)
                    return
                time.sleep(_COMMIT_RETRY_SECONDS)
            else:
                if not accepted:
                    _log.warning("task %d: epoch %d is stale, dropped", task.id, task.epoch)
                return

    def _record(
        self, task: ClaimedTask, outcome: "Message | _Ending", exit_code: int | None
    ) -> bool:
        store = self._store
        match outcome:
            case Success(outputs, measurements):
                return store.complete(task.id, task.epoch, outputs, measurements)
            case Failure(failure, error, damaged):
                if damaged is not None:
                    store.note_damage(*damaged)
                return store.fail(task.id, task.epoch, failure, error)
            case Stopped() | _Ending.OVERDUE:
                return store.stop(task.id, task.epoch)
            case _Ending.DIED:
                return store.lose(task.id, task.epoch, _reason_of_death(exit_code))
            case _:
                return False

    def _replace_child(self) -> int | None:
        exit_code = self._child.kill()
        self._child = self._spawn()
        return exit_code


def _reason_of_death(exit_code: int | None) -> str:
    reason = f"The process running the task died (exit code {exit_code})."
    if exit_code == -signal.SIGKILL:
        reason += " Killed from outside: perhaps the machine ran out of memory."
    return reason
