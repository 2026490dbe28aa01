"""The strategy builder: the prices of a trade, or why there is none."""

from collections.abc import Collection
from dataclasses import dataclass

from agents.base import Abstention, BaseAgent
from agents.market.indicators import Technicals
from agents.trading.setups import NoSetup, SetupPlan, Setups, plan_setup
from storage.records import AgentName, SetupType, Stance


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


class StrategyBuilderAgent(BaseAgent[StrategyContext, StrategyVerdict]):
    """Plans the allowed setup that shows most plainly; votes for it with the plan's own conviction, 0.5-1.

    Without a setup it votes against with conviction 1: there is nothing to trade.
    """

    name = AgentName.STRATEGY

    async def execute(self, context: StrategyContext) -> StrategyVerdict | Abstention:
        """Never abstains: missing readings are no setup."""
        plan = plan_setup(context.symbol, context.technicals, context.setups, context.allowed)
        if isinstance(plan, NoSetup):
            return StrategyVerdict(
                plan=plan,
                stance=Stance.AGAINST,
                conviction=1.0,
                reasoning=f"No setup in {context.symbol}: {plan.reason}.",
            )
        return StrategyVerdict(
            plan=plan,
            stance=Stance.FOR,
            conviction=plan.conviction,
            reasoning=(
                f"{context.symbol} is {plan.signal}: buy {plan.min_entry:.2f} to "
                f"{plan.max_entry:.2f}, stop {plan.stop:.2f}, target {plan.target:.2f}, "
                f"out after {plan.max_hold} sessions."
            ),
        )
