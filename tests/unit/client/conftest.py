"""A lab whose service is a function, and whose time does not pass by itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab

Answer = httpx.Response | Exception


@dataclass
class FakeTime:
    """A clock that only sleeping moves."""

    now: float = 0.0
    sleeps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@dataclass
class Service:
    """Answers in turn, the last one for ever, and remembers what was asked."""

    answers: Sequence[Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def lab_of(time: FakeTime) -> Iterator[Callable[[Service], Lab]]:
    labs: list[Lab] = []

    def make(service: Service) -> Lab:
        client = httpx.Client(
            base_url="http://lab",
            headers={"Authorization": "Bearer secret"},
            transport=httpx.MockTransport(service),
        )
        labs.append(Lab(client=client, backoff=Backoff(sleep=time.sleep, clock=time.clock)))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()
