"""The limits of the evening: the desk's own under the regime's policy, and what records let a setup risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from agents.trading.limits import (
    BookView,
    KellyCap,
    Limits,
    kelly_cap,
    limits_in_force,
    record_of,
    risk_policy,
)
from agents.trading.policy import Policy, policy_for
from app.runtime.step import Step
from storage.models import RegimeReading
from storage.models.base import Json
from storage.records import SetupType


def policy_of(step: Step, regime: RegimeReading) -> Policy:
    """What a market so read allows this desk."""
    return policy_for(
        regime.direction,
        regime.volatility,
        step.parts.regime_policy,
        full_risk=step.parts.limits.risk_per_trade,
    )


def limits_under(step: Step, policy: Policy) -> Limits:
    """The desk's own limits, tightened by the policy."""
    return risk_policy(step.parts.limits, policy.risk_per_trade, policy.heat)


async def kelly_caps(step: Step) -> dict[SetupType, KellyCap]:
    """What the record of each setup, as known now, lets one trade risk; only where there is enough of it."""
    results = await step.memory.setup_results(before=step.now)
    caps = {setup: kelly_cap(record_of(results.get(setup, ()))) for setup in SetupType}
    return {setup: cap for setup, cap in caps.items() if cap is not None}


def limits_now(
    step: Step, regime: RegimeReading | None, book: BookView, kelly: Mapping[SetupType, KellyCap]
) -> list[Json]:
    """Every limit for an entry into this book, as the figures of a run keep it."""
    own = step.parts.limits
    limits = own if regime is None else limits_under(step, policy_of(step, regime))
    return [asdict(row) for row in limits_in_force(own, limits, book, kelly)]
