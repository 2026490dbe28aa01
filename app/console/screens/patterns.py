"""Asking about past trades: words above, below them the filter they came to, its figures, its analogues."""

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
from app.console.figures import percent, signed
from app.console.messages import PatternsRead
from app.console.notes import footer_line
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph
from app.console.widgets.lines import LineRow, LinesView

if TYPE_CHECKING:
    from app.console.patterns import Figures, PatternTold
    from app.console.readings import Readings
    from app.console.state import View

LONGEST = 300  # characters, as the command takes
HINT = (
    "Ask what became of past trades in plain words: oversold bounces in bear markets; breakouts in Energy "
    "since 2008; AAPL losers; momentum, RSI above 60, research against. Nothing asks for all trades."
)
BY_OUTCOME = "chosen by how they ended: the figures describe these trades and foretell nothing"
ILLUSTRATE = "they illustrate, the figures above count"


def pattern_lines(told: PatternTold, width: int) -> list[Line]:
    """The filter and what was not understood first: the figures are of nothing else."""
    price = f", ${told.cost_usd:.4f}" if told.cost_usd else ""
    lines = [
        *_form("filter", told.filter, width, Tone.STRONG),
        *_form("read by", f"{told.read_by}{price}; as of {told.as_of[:16].replace('T', ' ')}Z", width),
    ]
    if told.left:
        lines += _form("not read", "; ".join(told.left), width, Tone.WARN)
    if told.note:
        lines += _form("", told.note, width, Tone.MUTED)
    if told.chosen_by_outcome:
        lines += _form("", BY_OUTCOME, width, Tone.WARN)
    lines += [line(), *_figures(told.figures), line(), *_by_market(told), line()]
    return [*lines, *_analogues(told, width)]


def _form(label: str, text: str, width: int, tone: Tone = Tone.PLAIN) -> list[Line]:
    first, *more = paragraph(text, width - 11, tone=tone) or [line()]
    return [labelled(label, *first), *(labelled("", *row) for row in more)]


def _figures(of: Figures) -> list[Line]:
    spread = "" if of.mean_r_interval is None else "  95% {:+.2f} to {:+.2f}".format(*of.mean_r_interval)
    return [
        labelled("trades", Piece(f"{of.n}", Tone.STRONG), f", won {of.wins}"),
        labelled(
            "win rate",
            Piece(percent(of.win_rate, 1), Tone.STRONG),
            f" shrunk, expected {percent(of.expected_rate, 1)}",
            Piece(f"  95% of the bare rate {_rates(of)}", Tone.MUTED),
        ),
        labelled(
            "mean R",
            signed(of.mean_r, f"{of.mean_r:+.3f}"),
            f" shrunk, expected {of.expected_r:+.3f}",
            Piece(spread, Tone.MUTED),
        ),
    ]


def _rates(of: Figures) -> str:
    return f"{percent(of.interval[0], 1)} to {percent(of.interval[1], 1)}"


def _by_market(told: PatternTold) -> list[Line]:
    head = f"{'MARKET':<11}{'N':>5}{'WON':>5}{'WIN RATE':>10}  {'95%':<16}{'MEAN R':>8}"
    return [
        line(Piece(head, Tone.HEAD)),
        *(
            line(
                outside(f"{regime:<11}", Tone.STRONG),
                f"{of.n:>5}{of.wins:>5}{percent(of.win_rate, 1):>10}  {_rates(of):<16}",
                signed(of.mean_r, f"{of.mean_r:>+8.2f}"),
            )
            for regime, of in told.by_regime
        ),
    ]


def _analogues(told: PatternTold, width: int) -> list[Line]:
    if not told.analogues:
        return paragraph("no trade of this kind had closed", width, tone=Tone.MUTED)
    what = f"nearest to {told.like}" if told.like else "the latest"
    return [
        line(Piece("ANALOGUES", Tone.HEAD)),
        *paragraph(f"{what}: {ILLUSTRATE}", width, tone=Tone.MUTED),
        *(
            line(
                outside(f"{row.symbol:<8}", Tone.STRONG),
                outside(f"{row.entered:<12}{row.closed:<12}{row.setup:<16}{row.regime:<9}"),
                signed(row.r, f"{row.r:>+6.2f}R "),
                outside(f"{row.exit_reason:<14}"),
                Piece("" if row.distance is None else f"{row.distance:.2f} away", Tone.MUTED),
            )
            for row in told.analogues
        ),
    ]


class PatternsScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.PATTERNS)
    AUTO_FOCUS = "#patterns-words"

    def __init__(self, view: Callable[[], View], readings: Readings) -> None:
        super().__init__()
        self._view = view
        self._readings = readings
        self._words: str | None = None  # asked last; None before the first question
        self._read: PatternsRead | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="patterns") as box:
            box.border_title = "Patterns"
            yield Input(
                id="patterns-words",
                placeholder="oversold bounces in bear markets",
                max_length=LONGEST,
                compact=True,
            )
            yield LinesView(id="patterns-text")
            yield LineRow(id="patterns-keys")

    def on_mount(self) -> None:
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    @on(Input.Submitted, "#patterns-words")
    def words_given(self) -> None:
        self.action_ask_patterns()

    def action_ask_patterns(self) -> None:
        self._words = self.query_one("#patterns-words", Input).value.strip()
        self._readings.read_patterns(self.post_message, self._view().state.desk, self._words)
        self._show()

    @on(PatternsRead)
    def patterns_read(self, message: PatternsRead) -> None:
        if message.words == self._words:  # else an answer to what is no longer asked
            self._read = message
            self._show()

    def _show(self) -> None:
        text, read = self.query_one(LinesView), self._read
        width = max(text.room, 30)
        self.query_one("#patterns-keys", LineRow).set_lines([footer_line(width, Scope.PATTERNS)])
        if self._words is None:
            text.set_lines(paragraph(HINT, width, tone=Tone.MUTED))
        elif read is None or read.words != self._words:
            text.set_lines(paragraph("looking through the closed trades ...", width, tone=Tone.MUTED))
        elif read.told is None:
            text.set_lines(paragraph(read.problem, width, tone=Tone.BAD))
        else:
            text.set_lines(pattern_lines(read.told, width))

    def action_next_part(self) -> None:
        self.focus_next()

    def action_close_patterns(self) -> None:
        self.dismiss(None)
