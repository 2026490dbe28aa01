"""What a tighter regime does to the stops of what is held: it pulls them up, and it sells nothing."""

from __future__ import annotations

from datetime import timedelta

from agents.market.indicators import technicals
from agents.trading.holding import raised_stop
from agents.trading.policy import is_tighter
from app.runtime.limits import policy_of
from app.runtime.protection import protect
from app.runtime.step import Step, held
from storage.models import RegimeReading
from storage.records import ExitReason


async def tighten_stops(step: Step, before: RegimeReading | None, now: RegimeReading) -> list[str]:
    """Raise the stops where `now` allows less than `before` did, at the broker too; each in a few words.

    A position that a later action has moved already, when the regime is read late, keeps its stop.
    """
    if before is None or not is_tighter(policy_of(step, now), policy_of(step, before)):
        return []
    later = await step.ledger.actions_since(step.session + timedelta(days=1))
    moved = {row.symbol for row in later if row.applied_session is not None}
    raised = []
    stop_atr = step.parts.regime_policy.stop_atr
    for position in await step.ledger.open_positions():
        readings = technicals(step.view.bars(position.symbol))
        if position.symbol in moved:
            continue
        stop = raised_stop(held(position), readings, step.session, stop_atr=stop_atr)
        if stop > position.stop:
            raised.append(f"{position.symbol} {position.stop:.2f} to {stop:.2f}")
            position.stop, position.stop_reason = stop, ExitReason.REGIME_CHANGE
            if why := await protect(step, position):
                raised.append(f"{position.symbol} is unprotected: {why}")
    return raised
