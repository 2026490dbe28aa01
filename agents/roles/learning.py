"""The learning agent: which part of the rules is looked at tonight; a model may add ideas to be tested."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import Field

from agents.base import Abstention
from agents.grounding import Facts, Unit
from agents.llm.answers import AnswerModel
from agents.llm.questions import DataBlock
from agents.roles.asking import REASONING_LONGEST, Brief, Heeded, ModelAgent
from agents.roles.sheets import sheet
from storage.plain import clean
from storage.records import AgentName

MOST_IDEAS = 3
PROMPT_LONGEST = 8_000  # characters of a prompt that may be proposed


@dataclass(frozen=True, kw_only=True)
class OpenParameter:
    """A parameter that may be proposed tonight: its value in force and what it may be."""

    name: str
    unit: str
    bounds: str
    value: Decimal
    step: Decimal


@dataclass(frozen=True, kw_only=True)
class KindOfTrade:
    """What the closed trades of one kind came to; rates as fractions, results in R, shrunk."""

    name: str
    n: int
    win_rate: float
    mean_r: float


@dataclass(frozen=True, kw_only=True)
class LearningContext:
    """What a night knows: trades closed before `session`, parameters that are free, whose turn it is.

    `prompts` are the words in force by agent, for whoever may propose others.
    """

    session: date
    family: str | None  # whose turn it is in the search; None on a night without one
    trades: tuple[KindOfTrade, ...]
    parameters: tuple[OpenParameter, ...]
    prompts: tuple[tuple[AgentName, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Idea:
    """A value somebody would like to see tested."""

    parameter: str
    value: Decimal
    reasoning: str


@dataclass(frozen=True, kw_only=True)
class PromptIdea:
    """Other words for a role: the system text, a line of three dashes, the template."""

    agent: AgentName
    text: str
    reasoning: str


@dataclass(frozen=True, kw_only=True)
class Hypotheses:
    """What is tested tonight. `family` is searched by rules; ideas are what a model adds to it."""

    family: str | None
    ideas: tuple[Idea, ...] = ()
    prompts: tuple[PromptIdea, ...] = ()


class ParameterIdea(AnswerModel):
    """One change a model would test. Name and value are checked like anybody's."""

    parameter: Annotated[str, Field(max_length=80)]
    value: Annotated[str, Field(max_length=20)]
    reasoning: Annotated[str, Field(max_length=1_200)]


class PromptProposal(AnswerModel):
    """Other words for one role, whole."""

    agent: AgentName
    text: Annotated[str, Field(max_length=PROMPT_LONGEST)]
    reasoning: Annotated[str, Field(max_length=1_200)]


class LearningAnswer(AnswerModel):
    """What a model is asked for: ideas, which decide nothing."""

    changes: Annotated[list[ParameterIdea], Field(max_length=MOST_IDEAS)]
    prompts: Annotated[list[PromptProposal], Field(max_length=1)]


class LearningAgent(ModelAgent[LearningContext, Hypotheses, LearningAnswer]):
    """Rules search the family whose turn it is; a model may add what is tested by the same gate."""

    name = AgentName.LEARNING
    answer_type = LearningAnswer

    def by_rules(self, context: LearningContext) -> Hypotheses | Abstention:
        if context.family is None:
            return Abstention("nothing is searched tonight")
        return Hypotheses(family=context.family)

    def brief(self, context: LearningContext, rules: Hypotheses | Abstention) -> Brief | None:
        if isinstance(rules, Abstention) or not context.trades:
            return None
        kinds = [
            sheet(
                "trades",
                "the desk's closed trades",
                context.session,
                {
                    "n": (float(kind.n), Unit.COUNT),
                    "win_rate": (kind.win_rate, Unit.FRACTION),
                    "mean_r": (kind.mean_r, Unit.RATIO),
                },
                {"kind": kind.name},
            )
            for kind in context.trades
        ]
        parameters = DataBlock(
            name="parameters",
            source="the desk's rules in force",
            as_of=context.session,
            content=[
                {
                    "name": row.name,
                    "value": str(row.value),
                    "unit": row.unit,
                    "bounds": row.bounds,
                    "step": str(row.step),
                }
                for row in context.parameters
            ],
        )
        prompts = DataBlock(
            name="prompts",
            source="the desk's words in force",
            as_of=context.session,
            content={agent.value: text for agent, text in context.prompts},
        )
        return Brief(
            symbol=None,
            session=context.session,
            data=(*(one.block for one in kinds), parameters, *((prompts,) if context.prompts else ())),
            facts=tuple(fact for one in kinds for fact in one.facts),
        )

    def heed(
        self,
        context: LearningContext,
        rules: Hypotheses | Abstention,
        answer: LearningAnswer,
        facts: Facts,
    ) -> Heeded[Hypotheses]:
        """The rules' search with the ideas beside it; what is no number is none."""
        assert isinstance(rules, Hypotheses)  # nobody is asked on another night
        ideas = []
        for told in answer.changes:
            value = _number(told.value)
            if value is not None:
                said = facts.text(told.reasoning, REASONING_LONGEST)
                ideas.append(Idea(parameter=clean(told.parameter), value=value, reasoning=said.text))
        prompts = tuple(
            PromptIdea(
                agent=told.agent,
                text="\n".join(clean(line) for line in told.text.splitlines()),
                reasoning=facts.text(told.reasoning, REASONING_LONGEST).text,
            )
            for told in answer.prompts
        )
        return Heeded(Hypotheses(family=rules.family, ideas=tuple(ideas), prompts=prompts))


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
