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
    """Half the size in HIGH_VOL, half again in a BEAR market; veto where costs would eat the trade.

    The veto: slippage and commissions of a full round trip come to more than a quarter of the risk that is
    left. All three are engineering defaults.
    """

    name = AgentName.RISK

    async def execute(self, context: RiskContext) -> RiskVerdict | Abstention:
        """Never abstains."""
        scale, reasons = 1.0, []
        if context.volatility is Volatility.HIGH_VOL:
            scale /= 2
            reasons.append("half size: volatility is high")
        if context.direction is Direction.BEAR:
            scale /= 2
            reasons.append("half size: the market is in a BEAR direction")
        shares = max(1, int(context.sized.shares * scale))
        plan = context.plan
        cost = context.costs.round_trip(shares, plan.max_entry, plan.stop)
        share = float(cost / (shares * (plan.max_entry - plan.stop)))
        veto = share > MOST_COST_TO_RISK
        if veto:
            reasons.append(
                f"veto: a round trip costs {share:.0%} of the risk, more than {MOST_COST_TO_RISK:.0%}"
            )
        return RiskVerdict(scale=scale, veto=veto, reasons=tuple(reasons))
