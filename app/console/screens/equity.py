"""What a dollar became: the desk beside the index and the benchmarks, drawdown, heat, payments, by market."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, bindings_for
from app.console.chart import Series, bounds, chart, marks
from app.console.figures import percent, signed
from app.console.messages import BenchmarksRead, CurveRead
from app.console.text import Line, Piece, Tone, line, outside, paragraph, sparkline
from app.console.widgets.lines import LinesView

if TYPE_CHECKING:
    from app.console.glyphs import Glyphs
    from app.console.readings import Readings
    from app.console.state import View
    from storage.curve import Curve, RegimeResult

GUTTER = 9  # cells for the scale
NOTHING = "no session has settled yet: the curve begins with the first close"


def curve_lines(curve: Curve, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The chart with its scale, the payments under it, drawdown and heat, and what it came to by market."""
    points = curve.points
    if not points:
        return paragraph(NOTHING, width, tone=Tone.MUTED)
    room = max(width - GUTTER, 10)
    series = (
        Series(values=tuple(point.growth for point in points), tone=Tone.ACCENT),
        Series(values=tuple(point.market for point in points), tone=Tone.WARN),
    )
    first, last = points[0], points[-1]
    head = line(
        "the desk ",
        signed(last.growth - 1, percent(last.growth - 1, sign=True)),
        Piece(" time-weighted", Tone.MUTED),
        "   the index ",
        Piece(percent(None if last.market is None else last.market - 1, sign=True), Tone.WARN),
    )
    return [
        head,
        line(Piece(f"{first.session} to {last.session}, n = {len(points)} closes", Tone.MUTED)),
        line(),
        *_charted(series, room, height, glyphs),
        *_payments(curve, room, glyphs),
        line(),
        _spark("below high", [point.drawdown for point in points], room, glyphs, Tone.BAD),
        _spark("heat", [point.heat for point in points], room, glyphs, Tone.WARN),
        line(),
        *_by_market(curve.regimes),
    ]


def _charted(series: tuple[Series, ...], room: int, height: int, glyphs: Glyphs) -> list[Line]:
    span = bounds(series)
    rows = chart(series, room, height, glyphs)
    if span is None or not rows:
        return []
    low, high = span
    labels = {0: high, len(rows) // 2: (low + high) / 2, len(rows) - 1: low}
    return [
        (Piece(f"{labels[row] - 1:+8.1%} " if row in labels else " " * GUTTER, Tone.MUTED), *pieces)
        for row, pieces in enumerate(rows)
    ]


def _payments(curve: Curve, room: int, glyphs: Glyphs) -> list[Line]:
    """A sign under each close with money paid in or out; the line above it does not move for that."""
    paid = [(index, point) for index, point in enumerate(curve.points) if point.flow]
    if not paid:
        return []
    into = sum(float(point.flow) for _, point in paid)
    signs = marks([index for index, _ in paid], len(curve.points), room, "$")
    told = f"$ {len(paid)} payments, {into:+,.2f} in all: neither gain nor loss"
    return [line(" " * GUTTER, Piece(signs, Tone.KEY)), line(" " * GUTTER, Piece(told, Tone.MUTED))]


def _spark(label: str, values: list[float], room: int, glyphs: Glyphs, tone: Tone) -> Line:
    worst, now = max(values), values[-1]
    return line(
        Piece(f"{label:<11}", Tone.MUTED),
        Piece(sparkline(values, max(room - 30, 10), glyphs.spark), tone),
        Piece(f"  {percent(now)} now, {percent(worst)} at most", Tone.MUTED),
    )


def _by_market(regimes: tuple[RegimeResult, ...]) -> list[Line]:
    if not regimes:
        return []
    heading = f"{'BY MARKET':<11}{'SESSIONS':>9}{'DESK':>10}{'INDEX':>10}{'TRADES':>8}{'R':>9}"
    lines = [line(Piece(heading, Tone.HEAD))]
    for row in regimes:
        lines.append(
            line(
                Piece(f"{row.direction:<11}", Tone.STRONG),
                f"{row.sessions:>9}",
                signed(row.growth, f"{percent(row.growth, sign=True):>10}"),
                f"{percent(row.market, sign=True):>10}{row.trades:>8}",
                signed(row.r, f"{row.r:>+9.2f}"),
            )
        )
    return lines


def benchmark_lines(read: BenchmarksRead | None, width: int) -> list[Line]:
    """What the same money could have bought, and what could not be told."""
    lines = [line(), line(Piece("THE SAME MONEY", Tone.HEAD))]
    if read is None:
        return [*lines, *paragraph("reckoning ...", width, tone=Tone.MUTED)]
    if read.problem:
        return [*lines, *paragraph(read.problem, width, tone=Tone.BAD)]
    for name, total, label in read.rows:
        lines.append(line(Piece(f"{total:>+9.2%} "), outside(name, Tone.STRONG)))
        lines += paragraph(label, width, indent=10, tone=Tone.MUTED)
    for words in read.unknown:
        lines += paragraph(f"not known: {words}", width, tone=Tone.MUTED)
    return lines


class EquityScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.READING)
    AUTO_FOCUS = "LinesView"

    def __init__(self, view: Callable[[], View], readings: Readings) -> None:
        super().__init__()
        self._view = view
        self._readings = readings
        self._curve: CurveRead | None = None
        self._benchmarks: BenchmarksRead | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="equity") as box:
            box.border_title = "Equity"
            box.border_subtitle = "esc closes"
            yield LinesView(id="equity-text")

    def on_mount(self) -> None:
        self._readings.read_curve(self.post_message)
        self._readings.read_benchmarks(self.post_message, self._view().state.desk)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    @on(CurveRead)
    def curve_read(self, message: CurveRead) -> None:
        self._curve = message
        self._show()

    @on(BenchmarksRead)
    def benchmarks_read(self, message: BenchmarksRead) -> None:
        self._benchmarks = message
        self._show()

    def _show(self) -> None:
        text, read = self.query_one(LinesView), self._curve
        width, height = max(text.room, 30), max(min(text.size.height - 16, 18), 6)
        if read is None:
            text.set_lines(paragraph("reading ...", width, tone=Tone.MUTED))
        elif read.curve is None:
            text.set_lines(paragraph(read.problem, width, tone=Tone.BAD))
        else:
            lines = curve_lines(read.curve, width, height, self._view().glyphs)
            text.set_lines([*lines, *benchmark_lines(self._benchmarks, width)])

    def action_close_reading(self) -> None:
        self.dismiss(None)
