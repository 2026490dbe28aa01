"""The strategy builder: the prices of a trade, or why there is none."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from agents.base import Abstention
from agents.grounding import Facts
from agents.llm.answers import AnswerModel
from agents.llm.questions import DataBlock
from agents.market.indicators import Technicals
from agents.roles.asking import REASONING_LONGEST, Brief, Heeded, ModelAgent
from agents.roles.research import Metric
from agents.roles.sheets import technicals_sheet
from agents.trading.setups import NoSetup, SetupPlan, Setups, plan_setup
from storage.records import AgentName, SetupType, Stance


class Tunable(StrEnum):
    """What of a setup may be fitted to one trade, within the bounds of the parameter.

    When a trade is entered is not among them, and it may be held no longer and entered in no wider a band
    than the desk's parameters say. A wider stop buys fewer shares: the risk stays.
    """

    STOP_ATR = "stop_atr"
    TARGET_R = "target_r"
    MAX_HOLD = "max_hold"
    ENTRY_BAND_ATR = "entry_band_atr"


ONLY_LESS = (Tunable.MAX_HOLD, Tunable.ENTRY_BAND_ATR)


class Choice(StrEnum):
    """A setup, or none."""

    OVERSOLD_BOUNCE = SetupType.OVERSOLD_BOUNCE.value
    MOMENTUM = SetupType.MOMENTUM.value
    BREAKOUT = SetupType.BREAKOUT.value
    NONE = "none"


class Tuning(AnswerModel):
    """Another value for this one trade."""

    parameter: Tunable
    value: float


class StrategyAnswer(AnswerModel):
    """What a model is asked for: code builds the plan."""

    setup: Choice
    conviction: Annotated[float, Field(ge=0, le=1)]
    tuning: Annotated[list[Tuning], Field(max_length=4)]
    key_metrics: Annotated[list[Metric], Field(max_length=8)]
    reasoning: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True, kw_only=True)
class StrategyContext:
    """No thesis in it: the first round is blind, so that agreeing means something.

    `allowed` are the setups that the regime's policy leaves.
    """

    symbol: str
    technicals: Technicals
    setups: Setups
    allowed: Collection[SetupType]


@dataclass(frozen=True, kw_only=True)
class StrategyVerdict:
    """A plan voted for, or no setup voted against; conviction 0-1."""

    plan: SetupPlan | NoSetup
    stance: Stance
    conviction: float
    reasoning: str


class StrategyBuilderAgent(ModelAgent[StrategyContext, StrategyVerdict, StrategyAnswer]):
    """Plans the allowed setup that shows most plainly; votes for it with the plan's own conviction, 0.5-1.

    A model chooses among the setups that show, or none, and may fit the plan to the trade. Without a setup it
    votes against with conviction 1: there is nothing to trade.
    """

    name = AgentName.STRATEGY
    answer_type = StrategyAnswer

    def by_rules(self, context: StrategyContext) -> StrategyVerdict | Abstention:
        """Never abstains: missing readings are no setup."""
        plan = plan_setup(context.symbol, context.technicals, context.setups, context.allowed)
        if isinstance(plan, NoSetup):
            return _against(context, plan.reason)
        return StrategyVerdict(
            plan=plan, stance=Stance.FOR, conviction=plan.conviction, reasoning=_described(plan)
        )

    def brief(self, context: StrategyContext, rules: StrategyVerdict | Abstention) -> Brief | None:
        """Asked only where a setup shows: a model cannot make one."""
        if isinstance(rules, Abstention) or isinstance(rules.plan, NoSetup):
            return None
        sheet = technicals_sheet(context.symbol, context.technicals)
        session = context.technicals.session
        return Brief(
            symbol=context.symbol,
            session=session,
            data=(
                sheet.block,
                DataBlock(
                    name="setups",
                    source="the desk's parameters",
                    as_of=session,
                    content=[_offer(plan) for plan in _showing(context)],
                ),
            ),
            facts=sheet.facts,
        )

    def heed(
        self,
        context: StrategyContext,
        rules: StrategyVerdict | Abstention,
        answer: StrategyAnswer,
        facts: Facts,
    ) -> Heeded[StrategyVerdict]:
        """The plan that code builds of the choice; a value out of bounds leaves the desk's own."""
        stated = [facts.metric(metric.name, metric.value) for metric in answer.key_metrics]
        said = facts.text(answer.reasoning, REASONING_LONGEST)
        figures = tuple(dict.fromkeys((*stated, *said.figures)))
        if answer.setup is Choice.NONE:
            return Heeded(_against(context, f"the model sees none. {said.text}", answer.conviction), figures)
        kind = SetupType(answer.setup.value)
        fitted, refused = _fitted(context.setups, kind, answer.tuning)
        allowed = [kind] if kind in context.allowed else []
        plan = plan_setup(context.symbol, context.technicals, fitted, allowed)
        flags = tuple(f"{name} refused" for name in refused)
        if isinstance(plan, NoSetup):
            return Heeded(_against(context, plan.reason), figures, flags)
        verdict = StrategyVerdict(
            plan=plan,
            stance=Stance.FOR,
            conviction=answer.conviction,
            reasoning=f"{_described(plan)} {said.text}".strip(),
        )
        return Heeded(verdict, figures, flags)


def _against(context: StrategyContext, reason: str, conviction: float = 1.0) -> StrategyVerdict:
    return StrategyVerdict(
        plan=NoSetup(reason),
        stance=Stance.AGAINST,
        conviction=conviction,
        reasoning=f"No setup in {context.symbol}: {reason.removesuffix('.')}.",
    )


def _described(plan: SetupPlan) -> str:
    return (
        f"{plan.symbol} is {plan.signal}: buy {plan.min_entry:.2f} to {plan.max_entry:.2f}, "
        f"stop {plan.stop:.2f}, target {plan.target:.2f}, out after {plan.max_hold} sessions."
    )


def _showing(context: StrategyContext) -> list[SetupPlan]:
    """The allowed setups that show, by the desk's own parameters."""
    plans = (
        plan_setup(context.symbol, context.technicals, context.setups, [kind])
        for kind in SetupType
        if kind in context.allowed
    )
    return [plan for plan in plans if isinstance(plan, SetupPlan)]


def _offer(plan: SetupPlan) -> dict[str, object]:
    """A setup that shows, with the bounds of what may be fitted."""
    return {
        "setup": plan.setup_type.value,
        "conviction": plan.conviction,
        "tuning": {
            name.value: {"now": now, "least": least, "most": most}
            for name in Tunable
            for now, least, most in [_bounds(plan.parameters, name)]
        },
    }


def _bounds(parameters: BaseModel, name: Tunable) -> tuple[float, float, float]:
    """The value in force, and the least and the most a trade may have instead."""
    now = float(getattr(parameters, name.value))
    bounds = type(parameters).model_fields[name.value].metadata
    least = next(float(bound.ge) for bound in bounds if hasattr(bound, "ge"))
    most = next(float(bound.le) for bound in bounds if hasattr(bound, "le"))
    return now, least, now if name in ONLY_LESS else most


def _fitted(setups: Setups, kind: SetupType, tuning: list[Tuning]) -> tuple[Setups, list[str]]:
    """The parameters for this trade, and what of the tuning was out of bounds."""
    parameters: BaseModel = getattr(setups, kind.value)
    refused: list[str] = []
    for one in tuning:
        _, least, most = _bounds(parameters, one.parameter)
        whole = one.parameter is not Tunable.MAX_HOLD or one.value.is_integer()
        if not (least <= one.value <= most and whole):
            refused.append(one.parameter.value)
            continue
        values = parameters.model_dump() | {one.parameter.value: one.value}
        try:
            parameters = type(parameters).model_validate(values)
        except ValidationError:
            refused.append(one.parameter.value)
    return setups.model_copy(update={kind.value: parameters}), refused
