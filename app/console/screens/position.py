"""What a human asks of what is held: sell one, sell all, move a stop. It is typed out, never a habit's key.

What was typed ahead goes nowhere: the field opens once the question could have been read, and it closes again
when what it asks about is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app.console.actions import Scope, bindings_for
from app.console.clock import Clock
from app.console.commands import Ask, Asked
from app.console.figures import money, price
from app.console.notes import footer_line
from app.console.screens.deciding import ARM_S
from app.console.text import Line, Piece, Tone, line, paragraph
from app.console.widgets.lines import LineRow
from storage.plain import clean

if TYPE_CHECKING:
    from app.console.state import View
    from storage.snapshot import PositionRow


class PositionScreen(ModalScreen["Asked | None"]):
    """Dismissed with what was asked, or with None to change nothing."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.POSITION)

    def __init__(self, ask: Ask, row: PositionRow | None, view: Callable[[], View], clock: Clock) -> None:
        """`row` is the position, None for all of them."""
        super().__init__()
        self._ask = ask
        self._row = row
        self._view = view
        self._clock = clock
        self._shown_at: float | None = None
        self._over = False
        self._shown = self._facts()
        self.problem = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="position") as box:
            box.border_title = {Ask.CLOSE: "Close", Ask.STOP: "Move the stop", Ask.FLATTEN: "Flatten"}[
                self._ask
            ]
            yield LineRow(id="position-text")
            yield Input(id="position-field", compact=True, disabled=True, max_length=60)
            yield Input(id="position-id", compact=True, disabled=True, max_length=60)
            yield LineRow(id="position-status")
            yield LineRow(id="position-keys")

    def on_mount(self) -> None:
        self.query_one("#position-id", Input).display = False
        self.set_interval(0.2, self.tick)
        # The delay runs from the moment the question is on the terminal, not from when it was made.
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._shown_at = self._clock.monotonic()
        self.show()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Show what will be done, and to what."""
        text = self.query_one("#position-text", LineRow)
        width = max(text.size.width, 20)
        lines = [piece for said in self._says() for piece in paragraph(said, width)]
        text.set_lines(lines)
        text.styles.height = len(lines)
        self.query_one("#position-field", Input).placeholder = self._wants()
        self.query_one("#position-keys", LineRow).set_lines([footer_line(width, Scope.POSITION)])
        self.tick()

    def tick(self) -> None:
        """Time has passed: the field opens, or what was shown is no longer so."""
        field = self.query_one("#position-field", Input)
        closed = bool(self._locked) or not self.armed
        if field.disabled and not closed:
            field.disabled = False
            field.focus()
        elif closed:
            field.disabled = True
        self.query_one("#position-status", LineRow).set_lines([self._status()])

    @property
    def armed(self) -> bool:
        """Whether the question has been on the screen long enough to have been read."""
        return self._shown_at is not None and self._clock.monotonic() - self._shown_at >= ARM_S

    @property
    def _locked(self) -> str:
        """Why nothing can be asked any more, or nothing."""
        state = self._view().state
        if state.snapshot is None or self._facts() != self._shown:
            return "what is held has changed; close this and look again"
        return clean(state.closed_because)

    def _facts(self) -> tuple[tuple[str, int, Decimal], ...]:
        """What the question is about: it must not change while it is asked."""
        snapshot = self._view().state.snapshot
        rows = snapshot.positions if snapshot is not None else ()
        return tuple(
            (row.symbol, row.shares, row.stop)
            for row in rows
            if self._row is None or row.symbol == self._row.symbol
        )

    def _status(self) -> Line:
        if self._locked:
            return line(Piece(f"LOCKED: {self._locked}", Tone.ALERT))
        if not self.armed:
            return line(Piece("read first: the field opens in a moment", Tone.MUTED))
        return line(Piece(self.problem or "nothing is asked before that; esc changes nothing", Tone.WARN))

    def _says(self) -> list[str]:
        snapshot, row = self._view().state.snapshot, self._row
        if row is None:
            rows = snapshot.positions if snapshot is not None else ()
            worth = sum((held.shares * held.last_close for held in rows), Decimal(0))
            names = " ".join(clean(held.symbol) for held in rows)
            return [f"Sell all {len(rows)} positions, worth {money(worth)}: {names}", AT_NEXT]
        what = f"{clean(row.symbol)}: {row.shares:,} shares, {row.r_now:+.2f}R, {money(row.unrealised)}"
        if self._ask is Ask.CLOSE:
            return [f"Sell all of {what}.", AT_NEXT]
        return [
            f"{what}.",
            f"The stop is at {price(row.stop)}, the first was {price(row.initial_stop)}, the last close "
            f"{price(row.last_close)}. Up is free; down asks for the trade's id.",
        ]

    def _wants(self) -> str:
        if self._ask is Ask.STOP:
            return "type the new stop and enter"
        return f"type {self._word} and enter to sell"

    @property
    def _word(self) -> str:
        """What is typed to sell: the symbol, or for all of it the desk's name."""
        snapshot = self._view().state.snapshot
        if self._row is not None:
            return clean(self._row.symbol)
        return clean(snapshot.header.name) if snapshot is not None else ""

    # What decides

    @on(Input.Submitted, "#position-field")
    def field_entered(self) -> None:
        self.action_ask_now()

    @on(Input.Submitted, "#position-id")
    def id_entered(self) -> None:
        self.action_ask_now()

    def action_ask_now(self) -> None:
        """Ask it, where everything that has to be typed is there."""
        typed = self.query_one("#position-field", Input).value.strip()
        if self._over or self._locked or not self.armed or not typed:
            self.app.bell()
            return
        if self._ask is Ask.STOP:
            self._ask_stop(typed)
        elif typed.casefold() == self._word.casefold():
            self._end(Asked(ask=self._ask, symbol=self._row.symbol if self._row is not None else ""))
        else:
            self._refuse(f"{clean(typed)} is not {self._word}")

    def _ask_stop(self, typed: str) -> None:
        assert self._row is not None  # a stop is of one position
        try:
            stop = Decimal(typed)
        except InvalidOperation:
            self._refuse(f"{clean(typed)} is no price")
            return
        field = self.query_one("#position-id", Input)
        if not stop.is_finite() or stop >= self._row.stop:
            self._end(Asked(ask=Ask.STOP, symbol=self._row.symbol, stop=stop))
        elif field.value.strip().casefold() == self._row.short_id.casefold():
            self._end(Asked(ask=Ask.STOP, symbol=self._row.symbol, stop=stop, typed_id=self._row.short_id))
        else:
            field.display, field.disabled = True, False
            field.placeholder = f"looser: type {clean(self._row.short_id)} and enter"
            field.focus()
            more = (self._row.stop - stop) * self._row.shares
            self._refuse(f"looser by {money(more)}: type {clean(self._row.short_id)}")

    def _refuse(self, why: str) -> None:
        self.problem = why
        self.app.bell()
        self.tick()

    def action_leave_be(self) -> None:
        self._end(None)

    def _end(self, asked: Asked | None) -> None:
        if not self._over:  # keys may arrive twice before the screen is gone
            self._over = True
            self.dismiss(asked)


AT_NEXT = "They are sold at the next open, or at the close while the session trades."
