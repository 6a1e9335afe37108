"""How long the gateway waits for a client that hardly sends or hardly reads.

uvicorn waits for ever: for the head of a request, for its body, and for room to write an answer.
So whoever opens connections and then does nothing keeps memory and file descriptors of a gateway
that has no proxy before it. Here every connection is looked at from time to time, and ended where
its client does not keep up; whatever else is served does not notice.
"""

import asyncio
import socket
import struct
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from replicalab.refusals import RequestTimeout
from replicalab_api.http.problems import problem_head
from replicalab_api.settings import PatienceSettings

_DROP_WHAT_WAITS = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for no time."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 for clients that keep up."""

    patience: ClassVar[PatienceSettings] = PatienceSettings()

    _head_timer: asyncio.TimerHandle | None = None
    _window_timer: asyncio.TimerHandle | None = None
    _received_bytes = 0
    _owed_a_body = False
    _unsent_bytes: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._await_head()
        self._begin_window()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        for timer in (self._head_timer, self._window_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came; the head of a further request has its time from its first byte."""
        self._received_bytes += len(data)
        if self._head_timer is None and self._is_between_requests():
            self._await_head()
        super().data_received(data)
        if self._head_timer is not None and not self._is_between_requests():
            self._head_timer.cancel()
            self._head_timer = None

    def resume_writing(self) -> None:
        """The client has read; the next look begins to count anew."""
        self._unsent_bytes = None
        super().resume_writing()

    def _is_between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.patience.head_seconds, self._end_head)

    def _end_head(self) -> None:
        self._head_timer = None
        if self._is_between_requests():
            self._refuse("The head of the request")

    def _begin_window(self) -> None:
        seconds = self.patience.window_seconds
        self._received_bytes = 0
        self._owed_a_body = self._owes_a_body()
        self._window_timer = self.loop.call_later(seconds, self._end_window)

    def _end_window(self) -> None:
        if not self._has_kept_reading():
            self._cut()
            return
        if self._owed_a_body and self._owes_a_body() and self._received_bytes < self._least_bytes:
            self._refuse("The body of the request")
        self._begin_window()

    @property
    def _least_bytes(self) -> float:
        return self.patience.least_bytes_per_second * self.patience.window_seconds

    def _owes_a_body(self) -> bool:
        """Whether more of a body must come, and it is not the gateway that holds it up."""
        is_asked_to_wait = self.cycle is not None and self.cycle.waiting_for_100_continue
        return (
            self.conn.their_state is h11.SEND_BODY
            and not self.flow.read_paused
            and not is_asked_to_wait
        )

    def _has_kept_reading(self) -> bool:
        """Whether enough was read since the last look, where nothing was written meanwhile.

        Nothing is while the buffer is full, and once an answer is whole.
        """
        unsent = self.transport.get_write_buffer_size()
        is_whole = self.cycle is None or self.cycle.response_complete
        if not unsent or not (self.flow.write_paused or is_whole):
            self._unsent_bytes = None
            return True
        before, self._unsent_bytes = self._unsent_bytes, unsent
        return before is None or before - unsent >= self._least_bytes

    def _cut(self) -> None:
        """End the connection with all that waits to be read, also in the kernel's buffers.

        An orderly end would wait for the same reader.
        """
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP_WHAT_WAITS)
        self.transport.abort()

    def _refuse(self, what: str) -> None:
        """Say 408 where an answer can still be said, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and self._has_begun():
            self._answer(RequestTimeout(f"{what} came too slowly."))
        self.transport.close()  # once that is read, or by the next look

    def _has_begun(self) -> bool:
        """Whether anything of a request has come: a silent connection is closed without a word."""
        return self.conn.their_state is not h11.IDLE or bool(self.conn.trailing_data[0])

    def _answer(self, error: RequestTimeout) -> None:
        status, headers, body = problem_head(error)
        response = h11.Response(
            status_code=status, headers=[*headers, (b"connection", b"close")], reason=b""
        )
        events = (response, h11.Data(data=body), h11.EndOfMessage())
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))


def patient(patience: PatienceSettings) -> type[PatientProtocol]:
    """The protocol with ``patience``, as uvicorn takes it."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": patience})
