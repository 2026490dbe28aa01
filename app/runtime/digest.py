"""The daily digest as a human reads it at 18:45: what the day was, what waits, what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from agents.market.calendar import NEW_YORK
from app.runtime.beside import beside
from app.runtime.slots import due_at
from app.runtime.step import Step
from storage.digest import Day, DayClose, DayExit, DayPending, DayRegime, DigestSection
from storage.models.base import Json
from storage.plain import shortened
from storage.quota_query import read_quota
from storage.quota_snapshot import QuotaRow
from storage.records import DeskKind, Rung, Slot
from storage.snapshot import SpendRow
from storage.snapshot_spend import read_spend

TROUBLES_SHOWN = 8
TROUBLE_LONGEST = 160  # characters


@dataclass(frozen=True)
class Use:
    """What the desk has used of what it may use; None where it has no vendor or asks no model."""

    quota: QuotaRow | None
    spend: SpendRow | None


async def use_told(step: Step) -> Use:
    """The vendor's quota and the budget; a desk of history has neither."""
    if step.parts.kind is DeskKind.HISTORY:
        return Use(None, None)
    return await beside(step, lambda connection: Use(read_quota(connection), read_spend(connection)))


def sections(
    day: Day,
    *,
    funnel: str,
    warnings: Iterable[str] = (),
    quota: QuotaRow | None = None,
    spend: SpendRow | None = None,
) -> tuple[DigestSection, ...]:
    """The digest in its order; a section without anything to say is left out."""
    found = (
        ("market", _market(day.regime)),
        ("trades", _trades(day)),
        ("account", _account(day.close, day.regime)),
        ("tonight", [funnel] if funnel else []),
        ("waiting", [_pending(row) for row in day.pending] or ["No approval waits for a verdict."]),
        ("missed", _missed(day)),
        ("spent", _spent(quota, spend)),
        ("warnings", _warnings(day, warnings)),
    )
    return tuple(DigestSection(heading=name, lines=tuple(lines)) for name, lines in found if lines)


def as_rows(told: Iterable[DigestSection]) -> list[Json]:
    """The digest as the run keeps it."""
    return [{"heading": section.heading, "lines": list(section.lines)} for section in told]


def _market(regime: DayRegime | None) -> list[str]:
    if regime is None:
        return ["No regime was read: nothing is proposed."]
    moved = "" if regime.moved is None else f", {regime.index_symbol} {regime.moved:+.2%} today"
    return [f"{regime.direction} {regime.volatility} for {regime.standing} sessions{moved}."]


def _trades(day: Day) -> list[str]:
    lines = [
        f"Bought {row.shares:,} {row.symbol} at {row.price:,.2f}, stop {row.stop:,.2f}." for row in day.fills
    ]
    lines += [_exit(row) for row in day.exits]
    return lines or ["Nothing was bought or sold."]


def _exit(row: DayExit) -> str:
    return f"Out of {row.symbol} by {row.reason.replace('_', ' ')}: {row.r:+.2f}R, {row.pnl:+,.2f} dollars."


def _account(close: DayClose | None, regime: DayRegime | None) -> list[str]:
    if close is None:
        return ["The session has not been settled."]
    lines = [
        f"Equity {close.equity:,.2f} dollars, {close.day_return:+.2%} today, "
        f"{close.drawdown:.2%} below its high; {close.positions} positions, heat {close.heat:.2%}."
    ]
    since = f"{close.growth:+.2%} since the first close, time-weighted"
    if regime is not None and regime.since_start is not None:
        since += f"; {regime.index_symbol} {regime.since_start:+.2%}"
    lines.append(f"{since}.")
    if close.paid_in:
        lines.append(f"{close.paid_in:+,.2f} dollars were paid {'in' if close.paid_in > 0 else 'out'}.")
    return lines


def _pending(row: DayPending) -> str:
    risky = ", risky: its id must be typed" if row.risky else ""
    # By the exchange's calendar: the row's own term is the wall's, which a rehearsal does not live by.
    until = f"until {_cutoff(due_at(row.entry_session, Slot.CUTOFF))}"
    return f"{row.short_id} for {row.entry_session}, {row.max_risk:,.2f} dollars at risk{risky}: {until}."


def _cutoff(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%H:%M} New York, {moment:%Y-%m-%d %H:%M}Z"


def _missed(day: Day) -> list[str]:
    if not day.expired:
        return []
    return [f"Nobody answered {', '.join(day.expired)}: expired at this session's cutoff."]


def _spent(quota: QuotaRow | None, spend: SpendRow | None) -> list[str]:
    lines = []
    if quota is not None:
        lines.append(f"Vendor: {quota.used:,} of {quota.limit:,} calls in 24 hours, {quota.left:,} left.")
    if spend is not None and spend.standing is not None:
        lines.append(f"Models: {spend.standing}.")
    return lines


def _warnings(day: Day, more: Iterable[str]) -> list[str]:
    lines = [f"HALTED: {day.halt}"] if day.halt else []
    if day.close is not None and day.close.rung not in (None, Rung.FULL):
        lines.append(f"The drawdown ladder allows {day.close.rung} size at most.")
    lines += more
    lines += [shortened(trouble, TROUBLE_LONGEST) for trouble in day.troubles[:TROUBLES_SHOWN]]
    if len(day.troubles) > TROUBLES_SHOWN:
        lines.append(f"... and {len(day.troubles) - TROUBLES_SHOWN} more slots that failed or were skipped.")
    return lines
