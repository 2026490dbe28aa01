"""The detail of the row under the cursor: a symbol, a card, a position, an agent, a line of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.agent_card import agent_lines
from app.console.card import card_lines
from app.console.figures import full, money, number, percent, price, signed, trend
from app.console.layout import PaneId
from app.console.machine import slot_words
from app.console.panes.approvals import decided_line, fate
from app.console.panes.base import LinesPane
from app.console.panes.changes import change_summary
from app.console.panes.log import kind_words, operation_key, run_key, run_notes, run_state
from app.console.panes.positions import unprotected
from app.console.panes.watch import THESIS_TONES, bar_age
from app.console.state import View
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph, sparkline

if TYPE_CHECKING:
    from storage.snapshot import ApprovalRow, DeskSnapshot, PositionRow, RunRow, WatchRow

NOTHING_CHOSEN = "move the cursor in a list and its row is explained here"


def _protection(row: PositionRow, view: View) -> list[Piece]:
    """Where the stop and the target rest."""
    if row.protected_by is not None:
        return [Piece("the broker "), outside(row.protected_by, Tone.MUTED)]
    if unprotected(row, view):
        return [Piece("NOBODY: a fall would not be sold", Tone.ALERT)]
    return [Piece("nobody yet", Tone.WARN)]


class DetailPane(LinesPane):
    PANE = PaneId.DETAIL

    def as_of(self, view: View) -> str:
        machine = view.selection is not None and view.selection.kind in (PaneId.AGENTS, PaneId.LOG)
        return self.read_at(view) if machine else super().as_of(view)

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
                case PaneId.CHANGES:
                    change = next((row for row in snapshot.changes if str(row.id) == chosen.key), None)
                    if change is not None:
                        return change_summary(change, view, width)
                case PaneId.LOG:
                    entry = self._entry(chosen.key, snapshot, view, width)
                    if entry:
                        return entry
                case PaneId.AGENTS:
                    agent = next((row for row in snapshot.agents if row.agent.value == chosen.key), None)
                    if agent is not None:
                        return agent_lines(agent, view, width)
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
            labelled("target is", f"{row.target_r:.2f}R"),
            labelled("to stop", f"{number(row.to_stop_atr, 1)} ATR(14)"),
            labelled(
                "held",
                f"{row.sessions_held} of {row.max_hold} sessions at most, "
                f"{max(row.max_hold - row.sessions_held, 0)} left",
            ),
            labelled("heat", f"{percent(row.heat)} of equity at the stop"),
            labelled("trade", outside(row.short_id)),
            labelled("stop at", *_protection(row, view)),
            *([labelled("asked", outside(row.asked, Tone.WARN))] if row.asked else []),
            labelled(
                "earnings", "not known" if row.earnings_days is None else f"in {row.earnings_days} days"
            ),
            *([labelled("tags", outside(" ".join(row.tags), Tone.ACCENT))] if row.tags else []),
        ]
        watched = next((watch for watch in snapshot.watch if watch.symbol == row.symbol), None)
        return lines if watched is None else [*lines, line(), *self._symbol(watched, view, width)]

    def _entry(self, key: str, snapshot: DeskSnapshot, view: View, width: int) -> list[Line]:
        """The line of the log that goes by this key; nothing when it has scrolled out of what is kept."""
        for run in snapshot.runs:
            if run_key(run) == key:
                return self._run(run, snapshot, view, width)
        for row in snapshot.operations:
            if operation_key(row) == key:
                return [
                    line(Piece("desk: ", Tone.STRONG), kind_words(row), f" at {full(row.at)}"),
                    labelled("by", outside(row.who)),
                    line(),
                    *paragraph(row.text, width),
                ]
        for event in view.state.events:
            if event.key == key:
                title = Piece("console fault" if event.bad else "console note", Tone.STRONG)
                return [line(title, f" at {full(event.at)}"), line(), *paragraph(event.text, width)]
        return []

    def _run(self, row: RunRow, snapshot: DeskSnapshot, view: View, width: int) -> list[Line]:
        notes = ", ".join(run_notes(row, snapshot.header))
        return [
            line(Piece(slot_words(row.slot), Tone.STRONG), f" of {row.session}  ", run_state(row, view)),
            labelled("due", f"{full(row.desk_time)[:16]}Z", Piece(" by the desk's clock", Tone.MUTED)),
            labelled("finished", full(row.finished_at) if row.finished_at else "not yet"),
            labelled("took", "-" if row.seconds is None else f"{row.seconds:.2f} s"),
            labelled("done for", outside(row.agent)),
            *([labelled("note", outside(notes, Tone.WARN))] if notes else []),
            line(),
            *paragraph(row.summary, width),
        ]
