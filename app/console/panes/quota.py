"""The two meters that rule the desk: calls to the market-data vendor, dollars to models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from app.console.figures import left, minute, money, percent, utc
from app.console.layout import PaneId
from app.console.panes.base import LinesPane
from app.console.panes.regime import meter
from app.console.state import View, lives
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph
from storage.quota_rules import BLOCK_WORDS
from storage.spending import Rung

if TYPE_CHECKING:
    from storage.quota_snapshot import BlockRow, PlannedSlotRow, QuotaRow
    from storage.snapshot import ModelCallRow, SpendRow
    from storage.spending import Standing

NO_VENDOR = "no vendor is asked on a HISTORY desk: 0 calls; the free FMP plan's meter starts with a live desk"
ASKS_NOBODY = "this desk asks no vendor: 0 calls"
NO_SPEND = "$0.00: no model was called; agents answer by rules"
SLOTS_SHOWN = 12


def quota_lines(quota: QuotaRow | None, view: View, width: int) -> list[Line]:
    """What must be in sight also where there is little room."""
    heading = line(Piece("FMP CALLS, 24 h", Tone.HEAD))
    if quota is None:
        snapshot = view.state.snapshot
        note = ASKS_NOBODY if snapshot is not None and lives(snapshot) else NO_VENDOR
        return [heading, *paragraph(note, width)]
    share = quota.used / quota.limit
    tone = Tone.BAD if quota.left == 0 else Tone.WARN if share >= 0.7 else Tone.GOOD
    rest = f"{quota.left} + {quota.reserve_left} for exits"
    return [
        heading,
        *(row for block in quota.blocks for row in _block(block, quota, width)),
        labelled("used", Piece(f"{quota.used}/{quota.limit}", Tone.STRONG), f" {percent(share, 0)}"),
        meter(share, min(width, 40), view.glyphs, tone),
        labelled("left", Piece(rest, Tone.BAD if quota.left == 0 else Tone.PLAIN)),
        labelled("dry", *_forecast(quota)),
    ]


def quota_details(quota: QuotaRow, width: int) -> Iterator[Line]:
    """What there is to know besides, where there is room."""
    yield labelled("last hour", f"{quota.last_hour} calls")
    for counted in quota.by_priority:
        yield labelled(counted.name, f"{counted.calls}")
    if quota.held:
        yield labelled("reserved", f"{quota.held} by jobs that go first")
    if quota.unsettled:
        yield labelled("unsettled", f"{quota.unsettled} under way or cut off, counted all the same")
    if quota.next_free_at is not None:
        until = left((quota.next_free_at - quota.as_of).total_seconds())
        yield labelled("next free", f"{_when(quota.next_free_at, quota)}, in {until}")
    if quota.reset_hour is None or quota.reset_learned_at is None:
        yield labelled("reset", Piece("at an hour not found out yet", Tone.MUTED))
    else:
        yield labelled("reset", f"{quota.reset_hour}, learned {quota.reset_learned_at:%Y-%m-%d}")
    received, allowed = quota.received_bytes / 1e6, quota.bytes_limit / 1e6
    yield labelled("bytes", f"{received:,.1f} of {allowed:,.0f} MB in 30 days")
    refused = f"{quota.refused_symbols} symbols and {quota.refused_endpoints} endpoints refused"
    yield labelled("asks", f"{quota.allowed} known to be answered; {refused}")
    oldest = ""
    if quota.oldest_fresh_at is not None:
        oldest = f", the oldest {left((quota.as_of - quota.oldest_fresh_at).total_seconds())} old"
    yield labelled("cache", f"{quota.cached_fresh} fresh{oldest}, {quota.cached_stale} stale")
    to_come = [row for row in quota.planned if row.due_at >= quota.as_of]
    if to_come:
        yield line()
        yield line(Piece("CALLS TO COME", Tone.HEAD))
    for row in to_come[:SLOTS_SHOWN]:
        yield _slot(row, quota)


def _block(block: BlockRow, quota: QuotaRow, width: int) -> list[Line]:
    tries = "no call before `quorum fmp unblock`"
    if block.until is not None:
        tries = f"tried again {_when(block.until, quota)}"
    said = f"! {BLOCK_WORDS[block.fault]} {_when(block.refused_at, quota)}: {tries}"
    return paragraph(said, width, tone=Tone.BAD)


def _forecast(quota: QuotaRow) -> Line:
    if quota.planned_at is None:
        return line(Piece("not planned yet", Tone.MUTED))
    source = Piece(f", said {_when(quota.planned_at, quota)}", Tone.MUTED)
    if quota.dry_at is None:
        return line("never", source)
    return line(Piece(_when(quota.dry_at, quota), Tone.WARN), source)


def _slot(row: PlannedSlotRow, quota: QuotaRow) -> Line:
    parts = [f"{row.calls} calls", *([f"{row.served} cached"] if row.served else [])]
    waits = Piece(f", {row.deferred} wait", Tone.WARN) if row.deferred else ""
    what = outside(f"{row.slot}, {row.priority}: ")
    return labelled(_when(row.due_at, quota), what, ", ".join(parts), waits)


def _when(moment: datetime, quota: QuotaRow) -> str:
    """The minute, with its day where that is not today."""
    today = moment.astimezone(UTC).date() == quota.as_of.astimezone(UTC).date()
    return minute(moment) if today else f"{moment.astimezone(UTC):%m-%d %H:%M}"


def spend_lines(spend: SpendRow, width: int) -> list[Line]:
    heading = line(Piece("MODEL SPEND", Tone.HEAD))
    if not spend.calls and not spend.month_usd:
        return [heading, *paragraph(NO_SPEND, width)]
    standing = spend.standing
    caps = standing.caps if standing else None
    lines = [
        heading,
        _against("today UTC", spend.today_usd, caps.day_usd if caps else None),
        _against("month UTC", spend.month_usd, caps.month_usd if caps else None),
    ]
    if spend.projected_usd is not None:
        lines.append(labelled("", Piece(f"{money(spend.projected_usd)} at this pace", Tone.MUTED)))
    if standing is not None:
        lines.append(labelled("ladder", *_ladder(standing)))
    if spend.held_usd:
        lines.append(labelled("held", f"{money(spend.held_usd)} for calls under way"))
    if spend.uncertain_usd:
        lines.append(labelled("uncertain", f"{money(spend.uncertain_usd)} perhaps billed, counted as spent"))
    if spend.over_reported:
        lines.append(
            labelled("beyond", Piece(f"{spend.over_reported} cost more than their worst case", Tone.BAD))
        )
    for park in spend.parks:
        who = outside(park.model or "every model")
        lines.append(labelled("waits", who, Piece(f" until {utc(park.until)}", Tone.WARN)))
        lines.extend(paragraph(park.because, width, indent=11, tone=Tone.MUTED, most=2))
    for agent in spend.agents:
        calls = Piece(f" {agent.calls} calls this month", Tone.MUTED)
        lines.append(labelled(agent.agent.value, f"{_small(agent.today_usd)} today", calls))
    for model in spend.models:
        share = f", {percent(model.cache_share, 0)} of the input cached" if model.cache_share else ""
        lines.append(
            line(outside(model.model), Piece(f" {_small(model.month_usd)} this month{share}", Tone.MUTED))
        )
    if spend.last is not None:
        lines.extend(_last(spend.last, width))
    return lines


def _against(label: str, spent: Decimal, cap: Decimal | None) -> Line:
    if cap is None:
        return labelled(label, Piece(_small(spent), Tone.STRONG), Piece(" no cap is set", Tone.WARN))
    share = float(spent / cap) if cap else 1.0
    tone = Tone.BAD if share >= 0.9 else Tone.WARN if share >= 0.6 else Tone.STRONG
    return labelled(label, Piece(_small(spent), tone), f" of {money(cap)}, {percent(share, 0)}")


def _ladder(standing: Standing) -> Line:
    rung = standing.rung
    if rung is Rung.FULL:
        return line(Piece("full: each role its own model", Tone.GOOD))
    if rung is Rung.CHEAPER:
        return line(Piece("cheaper model for every role", Tone.WARN))
    until = f"{standing.resumes_at:%m-%d %H:%M}Z"
    return line(Piece(f"{rung}: no model is asked until {until}", Tone.BAD))


def _last(call: ModelCallRow, width: int) -> list[Line]:
    """The last call: what it counts for, how it ended, and where its price was read."""
    dated = f" of {call.price_date}" if call.price_date else ""
    said = f"{utc(call.at)} {call.agent} {call.state} {_small(call.cost_usd)}"
    lines = [labelled("last call", outside(said))]
    if call.error:
        lines.extend(paragraph(call.error, width, indent=11, tone=Tone.WARN, most=2))
    lines.append(labelled("prices", outside(f"{call.price_source}{dated}", Tone.MUTED)))
    return lines


def _small(value: Decimal) -> str:
    """Dollars; below ten cents the digits that a call of a small model costs."""
    return money(value) if value >= Decimal("0.1") or not value else f"${value:.4f}"


class QuotaPane(LinesPane):
    PANE = PaneId.QUOTA

    def content(self, view: View, width: int) -> list[Line]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        quota = snapshot.quota
        lines = [*quota_lines(quota, view, width), line(), *spend_lines(snapshot.spend, width)]
        return lines if quota is None else [*lines, line(), *quota_details(quota, width)]

    def as_of(self, view: View) -> str:
        return self.read_at(view)
