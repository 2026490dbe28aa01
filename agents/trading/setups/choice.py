"""Which of the setups a symbol shows is the one to trade."""

from collections.abc import Collection

from agents.market.indicators import Technicals
from agents.trading.setups.bounce import plan_oversold_bounce
from agents.trading.setups.breakout import plan_breakout
from agents.trading.setups.momentum import plan_momentum
from agents.trading.setups.parameters import Setups
from agents.trading.setups.plan import NoSetup, SetupPlan
from storage.records import SetupType


def plan_setup(
    symbol: str, technicals: Technicals, setups: Setups, allowed: Collection[SetupType]
) -> SetupPlan | NoSetup:
    """The plan of the highest conviction among the allowed setups, ties by the order of SetupType.

    Without one: why each allowed setup does not show.
    """
    tried = {kind: _plan(kind, symbol, technicals, setups) for kind in SetupType if kind in allowed}
    plans = [plan for plan in tried.values() if isinstance(plan, SetupPlan)]
    if plans:
        return max(plans, key=lambda plan: plan.conviction)  # the first of equals
    reasons = [
        f"{kind.replace('_', ' ')}: {plan.reason}"
        for kind, plan in tried.items()
        if isinstance(plan, NoSetup)
    ]
    return NoSetup("; ".join(reasons) or "no setup is allowed")


def _plan(kind: SetupType, symbol: str, technicals: Technicals, setups: Setups) -> SetupPlan | NoSetup:
    match kind:
        case SetupType.OVERSOLD_BOUNCE:
            return plan_oversold_bounce(symbol, technicals, setups.oversold_bounce)
        case SetupType.MOMENTUM:
            return plan_momentum(symbol, technicals, setups.momentum)
        case SetupType.BREAKOUT:
            return plan_breakout(symbol, technicals, setups.breakout)
