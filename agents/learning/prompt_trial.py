"""Two versions of a role's prompt on the same frozen questions: what each decides, and what asking costs.

It says nothing of profit: a model may know how the questions came out. It only stops a version whose
decisions fall into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Generic, TypeVar

from agents.gateway import Gateway
from agents.learning.mix import MixVerdict, judge_mix
from agents.llm.answers import AnswerModel
from agents.llm.outcome import NoAnswer
from agents.llm.questions import DataBlock, Prompt, Question
from storage.proposal_evidence import ChangedDecision, DecisionMix
from storage.records import AgentName

T = TypeVar("T", bound=AnswerModel)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A past question: the data as they were sent, and the dollars it cost then."""

    session: date
    symbol: str | None
    data: tuple[DataBlock, ...]
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Trial(Generic[T]):
    """What is asked of both: `decision` reads one from an answer, `holds` are those that do nothing."""

    agent: AgentName
    answer: type[T]
    decision: Callable[[T], str]
    holds: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class PromptTrialResult:
    """The mixes and the verdict; `mix` is None where it was not asked to the end, and the reason says why.

    `changed` are the questions on which the two took other sides, oldest first.
    """

    mix: DecisionMix | None
    verdict: MixVerdict
    changed: tuple[ChangedDecision, ...] = ()


def expected_cost(questions: Sequence[Frozen]) -> Decimal:
    """Dollars to ask both versions every question, at what each cost when it was first asked."""
    return 2 * sum((question.cost_usd for question in questions), Decimal(0))


async def try_prompts(
    gateway: Gateway,
    trial: Trial[T],
    questions: Sequence[Frozen],
    champion: Prompt,
    challenger: Prompt,
    *,
    session: date,
    most_usd: Decimal,
) -> PromptTrialResult:
    """Ask both versions every question, where that is expected to cost no more than `most_usd`.

    Every call passes the desk's budget as well; an answer that does not come ends the trial. The cost is that
    of the night of `session`, and charged to no decision.
    """
    cost = expected_cost(questions)
    if cost > most_usd:
        return _stopped(f"asking would cost {cost:.4f} dollars, {most_usd:.4f} are allowed")
    sides, spent = [], Decimal(0)
    for prompt in (champion, challenger):
        decisions: list[str] = []
        for number, question in enumerate(questions):
            asked = await gateway.ask(
                Question(
                    agent=trial.agent,
                    prompt=prompt,
                    data=question.data,
                    answer=trial.answer,
                    idempotency_key=f"frozen {number} {trial.agent} {prompt.version}",
                    session=session,
                )
            )
            spent += asked.cost_usd
            if isinstance(asked, NoAnswer):
                return _stopped(f"version {prompt.version} got no answer: {asked.why}")
            decisions.append(trial.decision(asked.value))
        sides.append(decisions)
    before, after = Counter(sides[0]), Counter(sides[1])
    verdict = judge_mix(before, after, holds=trial.holds)
    return PromptTrialResult(
        mix=DecisionMix(
            before=dict(before), after=dict(after), p_value=verdict.p_value, cost_usd=f"{spent:.6f}"
        ),
        verdict=verdict,
        changed=tuple(
            ChangedDecision(session=question.session, symbol=question.symbol or "", before=old, after=new)
            for question, old, new in zip(questions, *sides, strict=True)
            if old != new
        ),
    )


def _stopped(reason: str) -> PromptTrialResult:
    return PromptTrialResult(mix=None, verdict=MixVerdict(p_value=1.0, reason=reason))
