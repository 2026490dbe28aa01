"""The detail of the row under the cursor: a symbol, an approval's card, a position, a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.card import card_lines
from app.console.figures import money, number, percent, price, signed, trend, utc
from app.console.layout import PaneId
from app.console.panes.approvals import decided_line, fate
from app.console.panes.base import LinesPane
from app.console.panes.watch import THESIS_TONES, bar_age
from app.console.state import View
from app.console.text import Line, Piece, Tone, clean, labelled, line, outside, paragraph, sparkline

if TYPE_CHECKING:
    from storage.snapshot import ApprovalRow, DeskSnapshot, PositionRow, RunRow, WatchRow

NOTHING_CHOSEN = "move the cursor in a list and its row is explained here"


class DetailPane(LinesPane):
    PANE = PaneId.DETAIL

    def content(self, view: View, width: int) -> list[Line]:
        snapshot, chosen = view.state.snapshot, view.selection
        assert snapshot is not None
        if chosen is not None:
            match chosen.kind:
                case PaneId.APPROVALS:
                    card = next((row for row in snapshot.approvals if str(row.id) == chosen.key), None)
                    if card is not None:
                        return self._approval(card, view, width)
                case PaneId.POSITIONS:
                    position = next((row for row in snapshot.positions if str(row.id) == chosen.key), None)
                    if position is not None:
                        return self._position(position, snapshot, view, width)
                case PaneId.LOG:
                    run = next(
                        (r for r in snapshot.runs if f"{r.session} {r.slot.value}" == chosen.key), None
                    )
                    if run is not None:
                        return self._run(run, width)
                    for event in view.state.events:
                        if event.key == chosen.key:
                            title = Piece("console fault" if event.bad else "console note", Tone.STRONG)
                            return [
                                line(title, f" at {utc(event.at)}"),
                                line(),
                                *paragraph(event.text, width),
                            ]
                case PaneId.AGENTS:
                    for agent in snapshot.agents:
                        if agent.agent.value == chosen.key:
                            return [
                                line(
                                    Piece(agent.agent.value, Tone.STRONG),
                                    f" on {agent.last_session or 'no session'}",
                                ),
                                line(),
                                *paragraph(agent.last_result, width),
                            ]
                case _:
                    symbol = next((row for row in snapshot.watch if row.symbol == chosen.key), None)
                    if symbol is not None:
                        return self._symbol(symbol, view, width)
        return [line(), *paragraph(NOTHING_CHOSEN, width, tone=Tone.MUTED)]

    def _symbol(self, row: WatchRow, view: View, width: int) -> list[Line]:
        lines = [
            line(
                outside(row.symbol, Tone.STRONG),
                " ",
                outside(row.name),
                Piece("  held", Tone.ACCENT) if row.held else "",
            ),
            line(outside(row.sector, Tone.MUTED)),
            line(),
            labelled("last", price(row.close), "  ", trend(row.change, view.glyphs), "%"),
            labelled("bar of", f"{row.bar_session or 'none yet'} ", bar_age(row, view)),
            labelled("score", number(row.score, 1), Piece(" of 100", Tone.MUTED)),
            labelled("RSI 14", number(row.rsi14, 1)),
        ]
        if row.closes:
            lines += [
                line(),
                line(Piece(sparkline(row.closes, width, view.glyphs.spark), Tone.ACCENT)),
                line(
                    Piece(
                        f"{len(row.closes)} closes, {price(min(row.closes))} to {price(max(row.closes))}",
                        Tone.MUTED,
                    )
                ),
            ]
        lines += [
            line(),
            labelled(
                "thesis",
                Piece(row.thesis or "none yet", THESIS_TONES.get(row.thesis or "", Tone.MUTED)),
                f"  confidence {number(row.confidence)} of 100, by ",
                outside(row.source or "nobody"),
            ),
            *paragraph(row.reasoning or "no agent has written about it yet", width),
        ]
        return lines

    def _approval(self, row: ApprovalRow, view: View, width: int) -> list[Line]:
        state = [decided_line(row)] if row.state.value != "pending" else []
        return [line(fate(row, view)), *state, line(), *card_lines(row, view, width)]

    def _position(self, row: PositionRow, snapshot: DeskSnapshot, view: View, width: int) -> list[Line]:
        lines = [
            line(outside(row.symbol, Tone.STRONG), f"  {row.shares:,} shares"),
            line(),
            labelled("entry", f"{price(row.entry_price)} on {row.entry_session}"),
            labelled("last", f"{price(row.last_close)} on {row.last_session}"),
            labelled(
                "stop", f"{price(row.stop)}  {percent(float(row.stop / row.last_close) - 1, 1, sign=True)}"
            ),
            labelled(
                "target",
                f"{price(row.target)}  {percent(float(row.target / row.last_close) - 1, 1, sign=True)}",
            ),
            labelled(
                "result", signed(row.r_now, f"{row.r_now:+.2f}R"), f"  {money(row.unrealised)} unrealised"
            ),
            labelled("held", f"{row.sessions_held} of {row.max_hold} sessions at most"),
            labelled("heat", f"{percent(row.heat)} of equity at the stop"),
        ]
        watched = next((watch for watch in snapshot.watch if watch.symbol == row.symbol), None)
        return lines if watched is None else [*lines, line(), *self._symbol(watched, view, width)]

    def _run(self, row: RunRow, width: int) -> list[Line]:
        return [
            line(Piece(row.slot.value, Tone.STRONG), f" of {row.session}, {row.state.value}"),
            labelled("desk time", f"{row.desk_time:%Y-%m-%d %H:%M}Z"),
            labelled("took", f"{row.seconds:.2f} s"),
            line(),
            *paragraph(clean(row.summary), width),
        ]
