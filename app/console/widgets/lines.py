"""A scrolling view of lines that repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.console.actions import Scope, bindings_for
from app.console.text import EMPTY, Line, Piece, Tone, changed_cells


class LinesView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows lines through `render_line`; outside text is never parsed as markup."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.LIST)

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: tuple[Line, ...] = ()
        self._tones: dict[Tone, Style] = {}

    @property
    def room(self) -> int:
        """Cells in a row, beside the scroll bar."""
        return self.scrollable_content_region.width

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines; only cells that differ are painted again."""
        old, self.lines = self.lines, tuple(lines)
        if len(old) != len(self.lines):
            self.virtual_size = Size(0, len(self.lines))
        for index in range(max(len(old), len(self.lines))):
            before = old[index] if index < len(old) else EMPTY
            after = self.lines[index] if index < len(self.lines) else EMPTY
            self._repaint(index - self.scroll_offset.y, before, after)

    def _repaint(self, y: int, before: Line, after: Line) -> None:
        span = changed_cells(before, after)
        if span is not None and 0 <= y < self.size.height:
            self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        return self.strip_of(self.lines[index] if index < len(self.lines) else EMPTY)

    def strip_of(self, pieces: Line, over: Style | None = None) -> Strip:
        """The pieces as one row of this widget's width, with `over` laid over every style."""
        segments = [Segment(piece.text, self._style_of(piece, over)) for piece in pieces]
        base = self.rich_style if over is None else self.rich_style + over
        return Strip(segments).adjust_cell_length(self.room, base)

    def _style_of(self, piece: Piece, over: Style | None) -> Style:
        style = self._tones.get(piece.tone)
        if style is None:
            style = self._tones[piece.tone] = self._tone_style(piece.tone)
        return style if over is None else style + over

    def _tone_style(self, tone: Tone) -> Style:
        """A tone on this widget's background.

        The app holds the tones' component classes once: a set in each widget costs the first paint 20 ms.
        """
        styles = self.app.get_component_styles(f"tone--{tone.value}")
        background = self.background_colors[1]
        if styles.has_rule("background"):
            background += styles.background
        ink = background.get_contrast_text(styles.color.a) if styles.auto_color else styles.color
        ink = background + ink
        return Style.from_color(ink.rich_color, background.rich_color) + Style(bold=styles.text_style.bold)

    def notify_style_update(self) -> None:
        self._tones.clear()
        super().notify_style_update()

    def action_cursor_up(self) -> None:
        self.scroll_up(animate=False)

    def action_cursor_down(self) -> None:
        self.scroll_down(animate=False)

    def action_page_up(self) -> None:
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.scroll_page_down(animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)


class LineRow(LinesView, can_focus=False):
    """Lines that neither scroll nor take the focus: the strip, the banner, the footer."""
