"""How a role puts its question to a model: rules decide first, and again whenever no answer comes."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar, Generic, Protocol, TypeVar, cast

from agents.base import RULES, Abstention, Answered, BaseAgent, Origin, Vote
from agents.gateway import Gateway
from agents.grounding import Fact, Facts, Figure
from agents.llm.answers import AnswerModel
from agents.llm.outcome import NoAnswer, Why
from agents.llm.questions import DataBlock, Prompt, Question
from storage.records import AgentName

ContextT = TypeVar("ContextT")
VerdictT = TypeVar("VerdictT")
AnswerT = TypeVar("AnswerT", bound=AnswerModel)

INJECTION = "injection suspected"
UNGROUNDED = "numbers struck:"
REASONING_LONGEST = 900  # characters of a model's prose that are kept


class PromptBook(Protocol):
    async def champion(self, agent: AgentName) -> Prompt | None:
        """The words the agent answers with now; None where none of its prompts is the champion."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Through what roles ask. `keyed`: the same question about the same session is paid for once."""

    gateway: Gateway
    prompts: PromptBook
    keyed: bool = True


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What a model is told about one decision. `facts` are the numbers of `data` that it may state."""

    symbol: str | None
    session: date
    data: tuple[DataBlock, ...]
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Heeded(Generic[VerdictT]):
    """What code makes of an answer."""

    verdict: VerdictT | Abstention
    figures: tuple[Figure, ...] = ()
    flags: tuple[str, ...] = ()
    note: str = field(default="", kw_only=True)


class ModelAgent(BaseAgent[ContextT, VerdictT], Generic[ContextT, VerdictT, AnswerT]):
    """A role with a model before its rules.

    Without `models` it answers by rules alone. A model that does not answer, for whatever reason, leaves the
    decision to the rules, and the source says why.
    """

    answer_type: ClassVar[type[AnswerModel]]
    reads_strangers: ClassVar[bool] = False  # a refusal to answer is then a suspicion

    def __init__(
        self, models: Models | None = None, *, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(timer=timer)
        self._models = models

    @abstractmethod
    def by_rules(self, context: ContextT) -> VerdictT | Abstention:
        """The decision without a model."""

    @abstractmethod
    def brief(self, context: ContextT, rules: VerdictT | Abstention) -> Brief | None:
        """What a model is asked about; None where there is nothing worth a question."""

    @abstractmethod
    def heed(
        self, context: ContextT, rules: VerdictT | Abstention, answer: AnswerT, facts: Facts
    ) -> Heeded[VerdictT]:
        """The decision after a valid answer. Whatever it says, no risk is widened by it."""

    def noticed(self, context: ContextT) -> tuple[str, ...]:
        """What code sees in the context before anybody is asked; it stands among the flags."""
        return ()

    def stated_by_rules(self, context: ContextT, rules: VerdictT) -> tuple[Figure, ...]:
        """The numbers the rules' decision names."""
        return ()

    async def execute(self, context: ContextT) -> VerdictT | Abstention:
        return (await self.answer(context)).outcome

    async def answer(self, context: ContextT) -> Answered[VerdictT]:
        """Raises sqlalchemy.exc.DBAPIError while the ledger of model calls is away."""
        answered = await self._answer(context)
        flags = tuple(dict.fromkeys((*self.noticed(context), *answered.origin.flags)))
        return Answered(answered.outcome, replace(answered.origin, flags=flags))

    async def _answer(self, context: ContextT) -> Answered[VerdictT]:
        rules = self.by_rules(context)
        brief = self.brief(context, rules) if self._models is not None else None
        if self._models is None or brief is None:
            return self._ruled(context, rules, Origin(source=RULES))
        prompt = await self._models.prompts.champion(self.name)
        if prompt is None:
            return self._ruled(context, rules, Origin(source=f"{RULES}: no champion prompt"))
        about = f"{brief.session} {self.name} {brief.symbol or 'market'}"
        asked = await self._models.gateway.ask(
            Question(
                agent=self.name,
                prompt=prompt,
                data=brief.data,
                answer=self.answer_type,
                idempotency_key=about if self._models.keyed else None,
                symbol=brief.symbol,
                session=brief.session,
            )
        )
        if isinstance(asked, NoAnswer):
            return self._ruled(context, rules, self._unanswered(asked))
        facts = Facts(brief.facts, days=(brief.session,))
        heeded = self.heed(context, rules, cast("AnswerT", asked.value), facts)
        unverified = sum(not figure.grounded for figure in heeded.figures)
        struck = (f"{UNGROUNDED} {unverified}",) if unverified else ()
        return Answered(
            heeded.verdict,
            Origin(
                source=asked.model,
                interaction_id=asked.interaction_id,
                cost_usd=asked.cost_usd,
                figures=heeded.figures,
                flags=(*heeded.flags, *struck),
                note=heeded.note,
            ),
        )

    def _unanswered(self, none: NoAnswer) -> Origin:
        """Whose the decision is then: the rules', and why."""
        suspicious = self.reads_strangers and none.why is Why.REFUSED
        return Origin(
            source=f"{RULES}: {none.why}",
            interaction_id=none.interactions[-1] if none.interactions else None,
            cost_usd=none.cost_usd,
            flags=(INJECTION,) if suspicious else (),
        )

    def _ruled(self, context: ContextT, rules: VerdictT | Abstention, origin: Origin) -> Answered[VerdictT]:
        if isinstance(rules, Abstention):
            return Answered(rules, origin)
        return Answered(rules, replace(origin, figures=self.stated_by_rules(context, rules)))


def groundedness(votes: Iterable[Vote]) -> dict[tuple[AgentName, str], float]:
    """Of each agent a model answered for: numbers stated, how many were struck, suspicions of injection."""
    counted: Counter[tuple[AgentName, str]] = Counter()
    for vote in votes:
        if vote.origin.interaction_id is not None:
            figures = vote.origin.figures
            counted[vote.agent, "numbers stated"] += len(figures)
            counted[vote.agent, "numbers struck"] += sum(not figure.grounded for figure in figures)
            counted[vote.agent, "injections suspected"] += INJECTION in vote.origin.flags
    return {key: float(count) for key, count in counted.items()}
