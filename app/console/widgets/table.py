"""A virtual table: it draws the rows in sight, keeps its cursor by key and drops columns by priority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from app.console.actions import Scope, bindings_for
from app.console.glyphs import UNICODE, Glyphs
from app.console.text import EMPTY, Line, Piece, Tone, changed_cells, cut, fit
from app.console.widgets.lines import LinesView


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of at least `width` cells; the highest `drop` goes first where it is narrow, 0 never."""

    title: str
    width: int
    drop: int = 0
    right: bool = False
    grow: int = 0  # its share of the cells left over


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: a key that stays the same while its data change, and one piece for each column."""

    key: str
    cells: tuple[Piece, ...]
    rule: bool = False  # a heading across all columns: drawn from its first cell, never under the cursor


def fit_columns(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """The columns that fit as (index, cells): dropped by priority, then the rest of the width shared out."""
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[index].width + 1 for index in kept) - 1

    while needed() > width:
        worst = max(kept, key=lambda index: (columns[index].drop, index))
        if columns[worst].drop == 0:
            break
        kept.remove(worst)
    spare = max(width - needed(), 0)
    shares = sum(columns[index].grow for index in kept)
    return [
        (index, columns[index].width + (spare * columns[index].grow // shares if shares else 0))
        for index in kept
    ]


class Table(LinesView):
    """Rows under a fixed heading; enter opens the row under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.TABLE)
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--cursor", "table--cursor-blurred"}

    class Highlighted(Message):
        """The cursor came to rest on a row."""

        def __init__(self, table: Table, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    class Opened(Message):
        """The operator opened a row."""

        def __init__(self, table: Table, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    def __init__(self, columns: Sequence[Column], *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.glyphs = glyphs
        self.rows: tuple[Row, ...] = ()
        self.empty: tuple[Line, ...] = ()
        self.cursor_key = ""
        self._cursor = 0

    @property
    def cursor(self) -> int:
        """Index of the row under the cursor, -1 while there is none."""
        return self._cursor if self._cursor < len(self.rows) else -1

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Take other columns; the rows for them must follow. The cursor finds its key in those."""
        if tuple(columns) != self.columns:
            self.columns, self.rows = tuple(columns), ()
            self.refresh()

    def set_rows(self, rows: Sequence[Row], *, empty: Sequence[Line] = ()) -> None:
        """Show other rows, or the `empty` lines where there are none; the cursor stays on its key."""
        before = [self._line(y) for y in range(self.size.height)]
        cursor_before = self._cursor - self.scroll_offset.y + 1
        self.rows, self.empty = tuple(rows), tuple(empty)
        index = next(
            (i for i, row in enumerate(self.rows) if row.key == self.cursor_key and not row.rule), None
        )
        self._settle(self._cursor if index is None else index)
        height = len(self.rows) + 1 if self.rows else len(self.empty)
        if height != self.virtual_size.height:
            self.virtual_size = Size(0, height)
        for y, old in enumerate(before):
            span = changed_cells(old, self._line(y))
            if span is not None:
                self.refresh(Region(span[0], y, span[1] - span[0], 1))
        if cursor_before != self._cursor - self.scroll_offset.y + 1:
            self.refresh()

    def _settle(self, index: int, step: int = 1) -> None:
        """Put the cursor at `index` or the nearest row that can hold it; say so if its key changed."""
        last = len(self.rows) - 1
        index = min(max(index, 0), max(last, 0))
        order = [*range(index, last + 1), *range(index - 1, -1, -1)]
        if step < 0:
            order = [*range(index, -1, -1), *range(index + 1, last + 1)]
        self._cursor = next((i for i in order if not self.rows[i].rule), 0)
        row = self.rows[self._cursor] if self.rows else None
        key = row.key if row is not None and not row.rule else ""
        if key != self.cursor_key:
            self.cursor_key = key
            if key:
                self.post_message(self.Highlighted(self, key))

    def move_to(self, index: int, step: int = 1) -> None:
        """Put the cursor on a row and keep it in sight."""
        if not self.rows:
            return
        old = self._cursor
        self._settle(index, step)
        if self._cursor == old:
            return
        self.refresh_lines(old + 1)
        self.refresh_lines(self._cursor + 1)
        sight = max(self.size.height - 1, 1)
        if self._cursor < self.scroll_offset.y:
            self.scroll_to(y=self._cursor, animate=False, immediate=True)
        elif self._cursor >= self.scroll_offset.y + sight:
            self.scroll_to(y=self._cursor - sight + 1, animate=False, immediate=True)

    def select(self, key: str) -> bool:
        """Put the cursor on the row with this key; False where there is none."""
        index = next((i for i, row in enumerate(self.rows) if row.key == key), None)
        if index is None:
            return False
        self.move_to(index)
        return True

    def _line(self, y: int) -> Line:
        if not self.rows:
            return self.empty[y] if y < len(self.empty) else EMPTY
        width = self.room - 1
        layout = fit_columns(self.columns, width)
        if y == 0:
            cells = [
                Piece(
                    fit(self.columns[i].title, w, ellipsis="", right=self.columns[i].right) + " ", Tone.HEAD
                )
                for i, w in layout
            ]
            return (Piece(" ", Tone.HEAD), *cells)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            return EMPTY
        row = self.rows[index]
        if row.rule:
            return cut((Piece(" "), row.cells[0]), width, ellipsis=self.glyphs.ellipsis)
        mark = Piece(self.glyphs.cursor, Tone.ACCENT) if index == self.cursor else Piece(" ")
        return (
            mark,
            *(
                Piece(
                    fit(row.cells[i].text, w, ellipsis=self.glyphs.ellipsis, right=self.columns[i].right)
                    + " ",
                    row.cells[i].tone,
                )
                for i, w in layout
            ),
        )

    def render_line(self, y: int) -> Strip:
        over: Style | None = None
        if self.rows and y > 0 and y - 1 + self.scroll_offset.y == self.cursor:
            name = "table--cursor" if self.has_focus else "table--cursor-blurred"
            style = self.get_component_rich_style(name)
            over = Style(bgcolor=style.bgcolor, bold=style.bold or None)
        return self.strip_of(self._line(y), over)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        index = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and 0 <= index < len(self.rows):
            self.move_to(index)
            if event.chain > 1:
                self.action_open()

    def action_cursor_up(self) -> None:
        self.move_to(self._cursor - 1, -1)

    def action_cursor_down(self) -> None:
        self.move_to(self._cursor + 1)

    def action_page_up(self) -> None:
        self.move_to(self._cursor - max(self.size.height - 2, 1), -1)

    def action_page_down(self) -> None:
        self.move_to(self._cursor + max(self.size.height - 2, 1))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.rows) - 1, -1)

    def action_open(self) -> None:
        if self.cursor_key:
            self.post_message(self.Opened(self, self.cursor_key))
