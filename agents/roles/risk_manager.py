"""The risk manager: holds no vote, may only make a sized trade smaller or veto it."""

from dataclasses import dataclass

from agents.base import Abstention, BaseAgent
from agents.trading.costs import Costs
from agents.trading.limits import Sized
from agents.trading.setups import SetupPlan
from storage.records import AgentName, Direction, Volatility

MOST_COST_TO_RISK = 0.25


@dataclass(frozen=True, kw_only=True)
class RiskContext:
    """A trade that already fits every limit, and the market it would be taken in."""

    plan: SetupPlan
    sized: Sized
    direction: Direction
    volatility: Volatility
    costs: Costs


@dataclass(frozen=True, kw_only=True)
class RiskVerdict:
    """`scale` multiplies the shares; ValueError unless it lies in (0, 1]: nobody here can enlarge a trade."""

    scale: float
    veto: bool
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise ValueError(f"expected a scale above 0 and at most 1, was {self.scale}")


class RiskManagerAgent(BaseAgent[RiskContext, RiskVerdict]):
    """Vetoes a trade that its costs would eat; otherwise has no objection.

    The veto: slippage and fees of a full round trip come to more than a quarter of the risk, an engineering
    default. What a BEAR or HIGH_VOL market allows is the regime policy's to say (agents/trading/policy.py)
    and is in the size already: taken off here again it would count twice.
    """

    name = AgentName.RISK

    async def execute(self, context: RiskContext) -> RiskVerdict | Abstention:
        """Never abstains."""
        plan, shares = context.plan, context.sized.shares
        cost = context.costs.round_trip(shares, plan.max_entry, plan.stop, plan.session)
        share = float(cost / (shares * (plan.max_entry - plan.stop)))
        if share <= MOST_COST_TO_RISK:
            return RiskVerdict(scale=1.0, veto=False, reasons=())
        reason = f"veto: a round trip costs {share:.0%} of the risk, more than {MOST_COST_TO_RISK:.0%}"
        return RiskVerdict(scale=1.0, veto=True, reasons=(reason,))
