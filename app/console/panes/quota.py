"""The two meters that rule the desk: calls to the market-data vendor, dollars to models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.figures import money, percent
from app.console.layout import PaneId
from app.console.panes.base import LinesPane
from app.console.panes.regime import meter
from app.console.state import View, lives
from app.console.text import Line, Piece, Tone, labelled, line, paragraph

if TYPE_CHECKING:
    from storage.quota_snapshot import QuotaRow
    from storage.snapshot import SpendRow

NO_VENDOR = "no vendor is asked on a HISTORY desk: 0 calls; the free FMP plan's meter starts with a live desk"
ASKS_NOBODY = "this desk asks no vendor: 0 calls"
NO_SPEND = "$0.00: no model was called; agents answer by rules"


def quota_lines(quota: QuotaRow | None, view: View, width: int) -> list[Line]:
    heading = line(Piece("FMP CALLS, 24 h", Tone.HEAD))
    if quota is None:
        snapshot = view.state.snapshot
        note = ASKS_NOBODY if snapshot is not None and lives(snapshot) else NO_VENDOR
        return [heading, *paragraph(note, width)]
    share = quota.used / quota.limit if quota.limit else 1.0
    tone = Tone.BAD if share >= 0.9 else Tone.WARN if share >= 0.7 else Tone.GOOD
    note = (
        "gone: exits keep their reserve, the rest waits" if share >= 1 else f"{quota.limit - quota.used} left"
    )
    return [
        heading,
        labelled("used", Piece(f"{quota.used}/{quota.limit}", Tone.STRONG), f" {percent(share, 0)}"),
        meter(share, min(width, 40), view.glyphs, tone),
        line(Piece(note, Tone.MUTED)),
    ]


def spend_lines(spend: SpendRow, width: int) -> list[Line]:
    heading = line(Piece("MODEL SPEND", Tone.HEAD))
    if not spend.calls and not spend.month_usd:
        return [heading, *paragraph(NO_SPEND, width)]
    return [
        heading,
        labelled("today", Piece(money(spend.today_usd), Tone.STRONG)),
        labelled("month", money(spend.month_usd)),
        labelled("calls", f"{spend.calls:,}"),
    ]


class QuotaPane(LinesPane):
    PANE = PaneId.QUOTA

    def content(self, view: View, width: int) -> list[Line]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        return [*quota_lines(snapshot.quota, view, width), line(), *spend_lines(snapshot.spend, width)]

    def as_of(self, view: View) -> str:
        return self.read_at(view)
