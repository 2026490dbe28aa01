"""The risk manager: holds no vote, may only make a sized trade smaller or veto it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from agents.base import Abstention
from agents.grounding import Facts, Unit
from agents.llm.answers import AnswerModel
from agents.roles.asking import Brief, Heeded, ModelAgent
from agents.roles.sheets import market_block, sheet
from agents.trading.costs import Costs
from agents.trading.limits import Sized
from agents.trading.setups import SetupPlan
from storage.records import AgentName, Direction, Volatility

MOST_COST_TO_RISK = 0.25
REASON_LONGEST = 300  # characters
OVERREACH = "asked for more than the limits leave"
OBJECTS = "the model objects"  # where it names no reason
_UNITS = {"usd": Unit.USD, "count": Unit.COUNT, "ratio": Unit.RATIO}


@dataclass(frozen=True, kw_only=True)
class RiskContext:
    """A trade that already fits every limit, and the market it would be taken in."""

    plan: SetupPlan
    sized: Sized
    direction: Direction
    volatility: Volatility
    costs: Costs


class Objection(StrEnum):
    """What the risk manager does about a trade."""

    NONE = "none"
    SHRINK = "shrink"
    VETO = "veto"


class RiskAnswer(AnswerModel):
    """What a model is asked for. `scale` has no bound in the schema: what lies outside is cut to it."""

    objection: Objection
    scale: Annotated[float, Field(description="Multiplies the shares: above 0, at most 1")]
    reasons: Annotated[list[str], Field(max_length=3)]


@dataclass(frozen=True, kw_only=True)
class RiskVerdict:
    """`scale` multiplies the shares; ValueError unless it lies in (0, 1]: nobody here can enlarge a trade."""

    scale: float
    veto: bool
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise ValueError(f"expected a scale above 0 and at most 1, was {self.scale}")


class RiskManagerAgent(ModelAgent[RiskContext, RiskVerdict, RiskAnswer]):
    """Vetoes a trade that its costs would eat; a model may shrink or veto what is left of it.

    The rules' veto: slippage and fees of a full round trip come to more than a quarter of the risk, an
    engineering default. What a BEAR or HIGH_VOL market allows is the regime policy's to say
    (agents/trading/policy.py) and is in the size already: taken off here again it would count twice.
    """

    name = AgentName.RISK
    answer_type = RiskAnswer

    def by_rules(self, context: RiskContext) -> RiskVerdict | Abstention:
        """Never abstains."""
        share = _cost_to_risk(context)
        if share <= MOST_COST_TO_RISK:
            return RiskVerdict(scale=1.0, veto=False, reasons=())
        reason = f"veto: a round trip costs {share:.0%} of the risk, more than {MOST_COST_TO_RISK:.0%}"
        return RiskVerdict(scale=1.0, veto=True, reasons=(reason,))

    def brief(self, context: RiskContext, rules: RiskVerdict | Abstention) -> Brief | None:
        """What the rules have vetoed is not asked about: no answer could let it through."""
        if isinstance(rules, Abstention) or rules.veto:
            return None
        plan, sized = context.plan, context.sized
        trade = sheet(
            "trade",
            "the desk's plan and limits",
            plan.session,
            {
                "shares": (float(sized.shares), Unit.COUNT),
                "max_risk": (float(sized.max_risk), Unit.USD),
                "cost": (float(sized.cost), Unit.USD),
                "close": (float(plan.close), Unit.USD),
                "max_entry": (float(plan.max_entry), Unit.USD),
                "stop": (float(plan.stop), Unit.USD),
                "target": (float(plan.target), Unit.USD),
                "atr": (float(plan.atr), Unit.USD),
                "reward_risk": (float(plan.reward_risk), Unit.RATIO),
                "max_hold": (float(plan.max_hold), Unit.COUNT),
                "cost_to_risk": (_cost_to_risk(context), Unit.FRACTION),
            },
            {"symbol": plan.symbol, "setup": plan.setup_type.value, "bound_by": sized.bound_by},
        )
        limits = sheet(
            "limits",
            "the desk's limits, with this trade",
            plan.session,
            {
                f"{check.name}_{what}": (value, _UNITS.get(check.unit, Unit.FRACTION))
                for check in sized.checks
                for what, value in (("after", check.after), ("limit", check.limit))
            },
            {"notes": list(sized.notes)},
        )
        return Brief(
            symbol=plan.symbol,
            session=plan.session,
            data=(
                trade.block,
                limits.block,
                market_block(context.direction, plan.session, context.volatility),
            ),
            facts=(*trade.facts, *limits.facts),
        )

    def heed(
        self, context: RiskContext, rules: RiskVerdict | Abstention, answer: RiskAnswer, facts: Facts
    ) -> Heeded[RiskVerdict]:
        """The scale is cut to (0, 1]; shrunk to nothing is a veto."""
        said = [facts.text(reason, REASON_LONGEST) for reason in answer.reasons]
        veto = answer.objection is Objection.VETO or answer.scale <= 0
        scale = 1.0 if veto else min(1.0, answer.scale)
        reasons = tuple(one.text for one in said if one.text.strip())
        if veto:
            reasons = (f"veto: {'; '.join(reasons) or OBJECTS}",)
        elif scale < 1 and not reasons:
            reasons = (OBJECTS,)
        return Heeded(
            RiskVerdict(scale=scale, veto=veto, reasons=reasons),
            tuple(dict.fromkeys(figure for one in said for figure in one.figures)),
            (OVERREACH,) if answer.scale > 1 else (),
        )


def _cost_to_risk(context: RiskContext) -> float:
    """Slippage and fees of a full round trip as a share of the risk."""
    plan, shares = context.plan, context.sized.shares
    cost = context.costs.round_trip(shares, plan.max_entry, plan.stop, plan.session)
    return float(cost / (shares * (plan.max_entry - plan.stop)))
