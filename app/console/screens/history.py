"""The history of decisions: evening by evening, every one with what led to it and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app.console.actions import Scope, bindings_for
from app.console.messages import ExchangesRead, NoteAsked, PastRead, ReplayRead
from app.console.notes import footer_line
from app.console.past import decision_lines, fate_piece
from app.console.text import Line, Piece, Tone, line, outside, paragraph
from app.console.widgets.lines import LineRow, LinesView
from app.console.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from app.console.readings import Readings
    from app.console.state import View
    from storage.history import Past, PastDecision, PastEvening

COLUMNS = (
    Column(title="SYM", width=6),
    Column(title="SETUP", width=16, drop=2),
    Column(title="CAME TO", width=20, grow=1),
    Column(title="FOR", width=4, right=True, drop=3),
    Column(title="R", width=7, right=True, drop=1),
    Column(title="TAGS", width=16, drop=4),
)
NOTHING = "nothing has been decided yet: a session's candidates are argued over at 18:30 New York"


def evening_line(past: Past) -> Line:
    """Which evening this is of how many, and what came of it."""
    at = next((i for i, evening in enumerate(past.evenings) if evening.session == past.session), 0)
    evening: PastEvening = past.evenings[at]
    came = f"{evening.argued} argued, {evening.proposed} proposed, {evening.approved} approved"
    result = () if evening.r is None else (f", {evening.r:+.2f}R",)
    needle = (Piece("  filter ", Tone.MUTED), outside(past.needle, Tone.KEY)) if past.needle else ()
    return line(
        Piece(f"{past.session}", Tone.STRONG),
        Piece(f"  {at + 1} of {len(past.evenings)}  ", Tone.MUTED),
        f"{came}, {evening.filled} filled",
        *result,
        *needle,
    )


def decision_rows(past: Past) -> list[Row]:
    return [
        Row(
            key=str(decision.id),
            cells=(
                outside(decision.symbol, Tone.STRONG),
                Piece(decision.setup_type.value.replace("_", " ")),
                fate_piece(decision),
                Piece(_in_favour(decision)),
                Piece("" if decision.outcome is None else f"{decision.outcome.r_multiple:+.2f}"),
                outside(" ".join(decision.tags), Tone.ACCENT),
            ),
        )
        for decision in past.decisions
    ]


def _in_favour(decision: PastDecision) -> str:
    voting = [vote for vote in decision.votes if not vote.veto_only]
    return f"{sum(vote.stance.value == 'for' for vote in voting)}/{len(voting)}"


class HistoryScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.HISTORY)
    AUTO_FOCUS = "Table"

    def __init__(self, view: Callable[[], View], readings: Readings) -> None:
        super().__init__()
        self._view = view
        self._readings = readings
        self._past: Past | None = None
        self._problem = "reading ..."
        self._needle = ""
        self._replays: dict[UUID, ReplayRead] = {}

    def compose(self) -> ComposeResult:
        with Vertical(id="history") as box:
            box.border_title = "History"
            yield LineRow(id="history-evening")
            yield Table(COLUMNS, glyphs=self._view().glyphs, id="decisions")
            yield LinesView(id="decision")
            yield Input(id="history-filter", placeholder="symbol, won, lost, denied, tag ...", compact=True)
            yield LineRow(id="history-keys")

    def on_mount(self) -> None:
        self.query_one("#history-filter", Input).display = False
        self._ask(None)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _ask(self, session: date | None) -> None:
        self._readings.read_past(self.post_message, session, self._needle)

    @on(PastRead)
    def past_read(self, message: PastRead) -> None:
        if message.needle != self._needle:
            return  # an answer to what is no longer asked
        self._problem = message.problem
        if message.past is not None:
            self._past = message.past
        self._show()

    @on(ReplayRead)
    def replay_read(self, message: ReplayRead) -> None:
        self._replays[message.decision_id] = message
        self._show_decision()
        self.query_one("#decision", LinesView).scroll_home(animate=False)

    @on(ExchangesRead)
    def words_read(self, message: ExchangesRead) -> None:
        from app.console.screens.exchange import ExchangeScreen

        message.stop()
        if message.problem:
            self.notify(message.problem, severity="error", timeout=20, markup=False)
        else:
            self.app.push_screen(ExchangeScreen(message.symbol, message.exchanges))

    # What is shown

    def _show(self) -> None:
        past, table = self._past, self.query_one(Table)
        head = self.query_one("#history-evening", LineRow)
        width = max(table.room, 20)
        keys = self.query_one("#history-keys", LineRow)
        keys.set_lines([footer_line(width, Scope.HISTORY)])
        if past is None or past.session is None:
            nothing = f"nothing matches {self._needle}" if self._needle else NOTHING
            head.set_lines(paragraph(self._problem or nothing, width, tone=Tone.MUTED, most=1))
            table.set_rows(())
        else:
            bad = (Piece(f"  {self._problem}", Tone.BAD),) if self._problem else ()
            head.set_lines([line(*evening_line(past), *bad)])
            table.set_rows(decision_rows(past))
        self._show_decision()

    def _show_decision(self) -> None:
        text, chosen = self.query_one("#decision", LinesView), self._chosen
        width = max(text.room, 20)
        if chosen is None:
            text.set_lines(())
            return
        text.set_lines(decision_lines(chosen, self._replays.get(chosen.id), width))

    @property
    def _chosen(self) -> PastDecision | None:
        key = self.query_one(Table).cursor_key
        decisions = self._past.decisions if self._past else ()
        return next((decision for decision in decisions if str(decision.id) == key), None)

    @on(Table.Highlighted)
    def decision_chosen(self) -> None:
        self._show_decision()
        self.query_one("#decision", LinesView).scroll_home(animate=False)

    @on(Table.Opened)
    def decision_opened(self) -> None:
        self.query_one("#decision", LinesView).focus()

    # What the operator does

    def action_evening_before(self) -> None:
        self._step(-1)

    def action_evening_after(self) -> None:
        self._step(1)

    def _step(self, step: int) -> None:
        at = self._at
        if at is not None:
            self._go(at + step)

    def action_first_evening(self) -> None:
        self._go(0)

    def action_last_evening(self) -> None:
        self._go(len(self._past.evenings) - 1 if self._past else 0)

    @property
    def _at(self) -> int | None:
        past = self._past
        if past is None:
            return None
        return next((i for i, evening in enumerate(past.evenings) if evening.session == past.session), None)

    def _go(self, index: int) -> None:
        past = self._past
        if past is not None and past.evenings:
            self._ask(past.evenings[min(max(index, 0), len(past.evenings) - 1)].session)

    def action_find(self) -> None:
        typed = self.query_one("#history-filter", Input)
        typed.display = True
        typed.focus()

    @on(Input.Submitted, "#history-filter")
    def filter_given(self, event: Input.Submitted) -> None:
        self._needle = event.value.strip()
        self.query_one("#history-filter", Input).display = False
        self.query_one(Table).focus()
        self._ask(self._past.session if self._past else None)

    def action_replay(self) -> None:
        chosen = self._chosen
        if chosen is not None:
            self.notify(f"{chosen.symbol} is decided again ...", timeout=3, markup=False)
            self._readings.replay(self.post_message, self._view().state.desk, chosen)

    def action_words(self) -> None:
        chosen = self._chosen
        if chosen is not None:
            self._readings.read_words(self.post_message, chosen)

    def action_write_note(self) -> None:
        chosen = self._chosen
        if chosen is None or chosen.position_id is None:
            self.notify("no trade came of this decision", timeout=4)
            return
        self.post_message(NoteAsked(chosen.position_id, chosen.symbol))

    def action_next_part(self) -> None:
        self.focus_next()

    def action_close_history(self) -> None:
        typed = self.query_one("#history-filter", Input)
        if typed.display or self._needle:
            typed.value = self._needle = ""
            typed.display = False
            self.query_one(Table).focus()
            self._ask(self._past.session if self._past else None)
        else:
            self.dismiss(None)
