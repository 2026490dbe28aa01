"""Setups: from the readings of one symbol to the prices of a trade, or the reason there is none."""

from agents.trading.setups.bounce import plan_oversold_bounce
from agents.trading.setups.breakout import base_of, plan_breakout
from agents.trading.setups.choice import plan_setup
from agents.trading.setups.momentum import plan_momentum
from agents.trading.setups.parameters import (
    BreakoutParameters,
    Lookback,
    MomentumParameters,
    OversoldBounceParameters,
    Setups,
)
from agents.trading.setups.plan import NoSetup, SetupPlan

__all__ = [
    "BreakoutParameters",
    "Lookback",
    "MomentumParameters",
    "NoSetup",
    "OversoldBounceParameters",
    "SetupPlan",
    "Setups",
    "base_of",
    "plan_breakout",
    "plan_momentum",
    "plan_oversold_bounce",
    "plan_setup",
]
