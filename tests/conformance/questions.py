"""Schemathesis asks: whatever anybody sends, the answers are the ones that are described."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.coverage import GenerationSession
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.meta import CoverageScenario
from schemathesis.generation.overrides import Override
from schemathesis.specs.openapi import checks as openapi

from tests.conformance.tally import Tally

CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.missing_required_header,
    openapi.unsupported_method,
    openapi.allow_header_conformance,
    openapi.use_after_free,
    openapi.ensure_resource_availability,
]
"""All but two: rules between fields, which no schema tells, refuse what is valid by itself
(positive_data_acceptance); and nobody at all is a principal of its own here (ignored_auth)."""

METHODS = ("get", "post", "put", "patch", "delete")
STEPS = 5
WALKS_EACH = 5
"""For each example of an operation."""
STREAMS = "/events$"
"""Walks submit experiments that nobody runs, and the events of those have no end."""


@dataclass
class Asker:
    """A principal who asks, and hears whether the answers are as described.

    Attributes:
        headers: What the principal shows.
        known: Things that there are, by the names of path parameters.
        examples: How many of right and of wrong data each operation is sent.
        seed: Decides which.
        transport: How requests are sent, as ``Case.call`` takes it.
        tally: What came back.
        walks: Begun along the links.
    """

    headers: Mapping[str, str]
    known: Mapping[str, str]
    examples: int
    seed: int
    transport: Mapping[str, Any] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    walks: int = 0

    def ask(self, case: Any) -> None:
        """Send ``case`` and note what is not as described."""
        without_waiting(case)
        with self.noting_silence(case):
            self.judge(case, self.send(case))

    @contextmanager
    def noting_silence(self, case: Any) -> Iterator[None]:
        """Note it where no answer comes."""
        try:
            yield
        except requests.RequestException as error:
            self.tally.failures[f"{case.operation.label}: no answer: {error}"] += 1

    def send(self, case: Any) -> Response:
        """The answer to ``case``."""
        answer: Response = case.call(headers=dict(self.headers), **self.transport)
        # Schemathesis tries other methods of a path in the name of an operation.
        is_operation = case.method.upper() == case.operation.method.upper()
        self.tally.add_answer(case.operation.label if is_operation else None, answer)
        return answer

    def judge(self, case: Any, answer: Response, recorder: Any = None) -> None:
        """Note how ``answer`` is not as described; a recorder knows what was asked before."""
        try:
            case.validate_response(
                answer,
                checks=CHECKS,
                headers=dict(self.headers),
                transport_kwargs=dict(self.transport) or None,
                recorder=recorder,
            )
        except FailureGroup as group:
            self.tally.add_failures(case.operation.label, answer.status_code, group.exceptions)

    def known_of(self, operation: Any) -> dict[str, str]:
        """What there is for the path parameters of ``operation``."""
        names = {parameter.name for parameter in operation.path_parameters}
        return {name: self.known[name] for name in names & self.known.keys()}


def without_waiting(case: Any) -> None:
    """Take out of a query what would hold the answer back."""
    if case.query:
        case.query.pop("wait", None)


def operations_of(schema: Any) -> list[Any]:
    """Everything that is described, what destroys coming last."""
    operations = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    return sorted(operations, key=lambda operation: METHODS.index(operation.method))


def ask_at_random(asker: Asker, operation: Any) -> None:
    """Send right data, half of it about things that there are, and wrong data."""
    for mode in schemathesis.GenerationMode:
        with suppress(Unsatisfiable):  # an operation without parameters takes nothing wrong
            _ask_at_random(asker, operation, mode)


def _ask_at_random(asker: Asker, operation: Any, mode: schemathesis.GenerationMode) -> None:
    known = asker.known_of(operation)

    @hypothesis.seed(asker.seed)
    @chosen(asker.examples)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    def ask(case: Any, is_known: bool) -> None:
        if is_known and mode.is_positive:
            case.path_parameters.update(known)
        asker.ask(case)

    ask()


def ask_at_the_edges(asker: Asker, operation: Any, session: GenerationSession) -> None:
    """Send, about things that there are, what just fits the schema and what just does not."""
    known = asker.known_of(operation)
    cases: Iterable[Any] = CoverageGenerator(
        operation=operation,
        generation_modes=list(schemathesis.GenerationMode),
        generation_config=operation.schema.config.generation_for(
            operation=operation, phase="coverage"
        ),
        auth_storage=None,
        override=Override(),
        feedback=NO_FEEDBACK,
        session=session,
    )
    for case in cases:
        about = case.meta.phase.data
        is_further = about.scenario is CoverageScenario.OBJECT_UNEXPECTED_PROPERTIES
        if is_further and about.parameter_location is ParameterLocation.HEADER:
            continue  # HTTP lets everybody add fields to a head (RFC 9110, section 5.1)
        if about.parameter_location is not ParameterLocation.PATH:
            case.path_parameters.update(known)
        asker.ask(case)


def walk_along_links(asker: Asker, schema: Any) -> None:
    """Go where answers lead, from wherever a walk can begin."""
    linked: Any = schema.exclude(path_regex=STREAMS).as_state_machine()

    class Machine(linked):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            asker.walks += 1

        def step(self, step: Any) -> Any:
            with asker.noting_silence(step.case):
                return super().step(step)

        def before_call(self, case: Any) -> None:
            without_waiting(case)

        def call(self, case: Any, **_: Any) -> Response:
            return asker.send(case)

        def validate_response(self, response: Response, case: Any, **_: Any) -> None:
            asker.judge(case, response, self.recorder)

    wanted = asker.examples * WALKS_EACH
    while asker.walks < wanted:
        # The gateway remembers earlier walks, so that what was drawn before may be impossible.
        with suppress(FlakyStrategyDefinition):
            seeded = hypothesis.seed(asker.seed + asker.walks)(Machine)
            seeded.run(settings=chosen(wanted - asker.walks))


def chosen(examples: int) -> settings:
    """So many examples, of which none is kept, and none made smaller."""
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
