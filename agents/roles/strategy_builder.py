"""The strategy builder: the prices of a trade, or why there is none."""

from dataclasses import dataclass

from agents.base import Abstention, BaseAgent
from agents.market.indicators import Technicals
from agents.trading.setups import NoSetup, OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from storage.records import AgentName, Stance


@dataclass(frozen=True, kw_only=True)
class StrategyContext:
    """No thesis in it: the first round is blind, so that agreeing means something."""

    symbol: str
    technicals: Technicals
    parameters: OversoldBounceParameters


@dataclass(frozen=True, kw_only=True)
class StrategyVerdict:
    """A plan voted for, or no setup voted against; conviction 0-1."""

    plan: SetupPlan | NoSetup
    stance: Stance
    conviction: float
    reasoning: str


class StrategyBuilderAgent(BaseAgent[StrategyContext, StrategyVerdict]):
    """Plans the oversold bounce; votes for it with 0.5 at the highest RSI allowed, up to 1 at an RSI of zero.

    Without a setup it votes against with conviction 1: there is nothing to trade.
    """

    name = AgentName.STRATEGY

    async def execute(self, context: StrategyContext) -> StrategyVerdict | Abstention:
        """Never abstains: missing readings are no setup."""
        parameters, rsi = context.parameters, context.technicals.rsi14
        plan = plan_oversold_bounce(context.symbol, context.technicals, parameters)
        if isinstance(plan, NoSetup) or rsi is None:
            reason = plan.reason if isinstance(plan, NoSetup) else "RSI(14) is missing"
            return StrategyVerdict(
                plan=NoSetup(reason),
                stance=Stance.AGAINST,
                conviction=1.0,
                reasoning=f"No setup in {context.symbol}: {reason}.",
            )
        return StrategyVerdict(
            plan=plan,
            stance=Stance.FOR,
            conviction=round(0.5 + 0.5 * (parameters.rsi_max - rsi) / parameters.rsi_max, 3),
            reasoning=(
                f"{context.symbol} is oversold at RSI(14) {rsi:.1f}: buy {plan.min_entry:.2f} to "
                f"{plan.max_entry:.2f}, stop {plan.stop:.2f}, target {plan.target:.2f}, "
                f"out after {plan.max_hold} sessions."
            ),
        )
