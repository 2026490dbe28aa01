"""The contract every agent keeps, whoever answers: rules, or a model before them (agents/roles/asking.py)."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from agents.grounding import Figure
from storage.records import AgentName, Stance, ThesisKind

ContextT = TypeVar("ContextT")
VerdictT = TypeVar("VerdictT")

RULES = "rules"  # the source of a verdict no model had a part in

_STANCES = {
    ThesisKind.BULLISH: Stance.FOR,
    ThesisKind.BEARISH: Stance.AGAINST,
    ThesisKind.NEUTRAL: Stance.ABSTAIN,
}


class AgentUnavailable(Exception):
    """Raised by an agent that cannot answer now; its text is the reason shown to the operator."""


@dataclass(frozen=True)
class Abstention:
    """No verdict, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who answered, and on what.

    `source` is a model's name, "rules", or "rules: budget" where a model was to be asked and why it was not.
    `interaction_id` is the call to read; `figures` are the numbers stated, `flags` what was noticed about the
    answer, `note` what a model said that decides nothing.
    """

    source: str = RULES
    interaction_id: UUID | None = None
    cost_usd: Decimal = Decimal(0)
    figures: tuple[Figure, ...] = ()
    flags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Answered(Generic[VerdictT]):
    """What was decided, and who decided it on what."""

    outcome: VerdictT | Abstention
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Report(Generic[VerdictT]):
    """What an agent answered, who answered and how long it took."""

    agent: AgentName
    outcome: VerdictT | Abstention
    origin: Origin
    latency_ms: float

    @property
    def source(self) -> str:
        return self.origin.source


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One voice in a deliberation. Conviction is 0-1, None where an agent abstains or only holds a veto."""

    agent: AgentName
    stance: Stance
    conviction: float | None
    reason: str
    latency_ms: float
    origin: Origin = Origin()
    veto_only: bool = False

    @property
    def source(self) -> str:
        return self.origin.source


class Attendance:
    """Who may be asked, and who is told that an agent is at work. This one: everybody, and nobody."""

    def paused(self, agent: AgentName) -> str | None:
        """Why the agent may not be asked now; None when it may."""
        return None

    @asynccontextmanager
    async def working(self, agent: AgentName, symbol: str) -> AsyncIterator[None]:
        """While it lasts the agent works on the symbol."""
        yield


EVERYBODY = Attendance()


class BaseAgent(ABC, Generic[ContextT, VerdictT]):
    """One role on the desk; it keeps no state between calls: all it may know is in the context."""

    name: ClassVar[AgentName]
    source: str = RULES

    def __init__(self, *, timer: Callable[[], float] = time.perf_counter) -> None:
        """`timer` gives monotonic seconds; it measures latency and nothing else."""
        self._timer = timer

    @abstractmethod
    async def execute(self, context: ContextT) -> VerdictT | Abstention:
        """Decide on the context alone; raise AgentUnavailable when there is nobody to decide."""

    async def answer(self, context: ContextT) -> Answered[VerdictT]:
        """The decision of `execute`, and whose it is."""
        return Answered(await self.execute(context), Origin(source=self.source))

    async def run(
        self, context: ContextT, *, symbol: str = "", attendance: Attendance = EVERYBODY
    ) -> Report[VerdictT]:
        """Answer and measure; AgentUnavailable becomes an abstention, any other exception surfaces."""
        started = self._timer()
        answered: Answered[VerdictT]
        try:
            if away := attendance.paused(self.name):
                raise AgentUnavailable(away)
            async with attendance.working(self.name, symbol):
                answered = await self.answer(context)
        except AgentUnavailable as unavailable:
            answered = Answered(Abstention(str(unavailable)), Origin(source=self.source))
        latency_ms = (self._timer() - started) * 1000
        return Report(
            agent=self.name, outcome=answered.outcome, origin=answered.origin, latency_ms=latency_ms
        )


async def together(*asked: Coroutine[None, None, Any]) -> list[Any]:
    """All answers in the order asked; when one fails the others are ended, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asked]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]


def stance_of(thesis: ThesisKind) -> Stance:
    """How a view on a symbol counts for buying it: a neutral one takes no side."""
    return _STANCES[thesis]
