"""Text as the console draws it: cleaned of control characters, measured in cells, never markup.

A line is a tuple of pieces, a piece is a string and its tone. Nothing here or in the widgets that draw lines
parses markup, so no name, reason or message from outside can style, break or crash the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise, takewhile
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

from storage.plain import clean


class Tone(StrEnum):
    """What a piece of text means; styles.tcss gives each a style as the component class `tone--NAME`."""

    PLAIN = "plain"
    STRONG = "strong"
    MUTED = "muted"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    ACCENT = "accent"
    HEAD = "head"
    KEY = "key"
    ALERT = "alert"
    PAPER = "paper"
    LIVE = "live"
    HISTORY = "history"


TONES = frozenset(f"tone--{tone.value}" for tone in Tone)


class Piece(NamedTuple):
    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Piece, ...]
EMPTY: Line = ()


def outside(text: str, tone: Tone = Tone.PLAIN) -> Piece:
    """A piece of text that was not written by the console."""
    return Piece(clean(text), tone)


def line(*parts: Piece | str) -> Line:
    """A line of pieces; plain strings are the console's own words."""
    return tuple(Piece(part) if isinstance(part, str) else part for part in parts if part != "")


def width_of(pieces: Iterable[Piece]) -> int:
    """Cells that the pieces take."""
    return sum(cell_len(piece.text) for piece in pieces)


def fit(text: str, width: int, *, ellipsis: str, right: bool = False) -> str:
    """The text in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(text[: width * 2], max(width - len(ellipsis), 0)) + ellipsis[:width]
    padding = " " * (width - cells)
    return padding + text if right else text + padding


def cut(pieces: Line, width: int, *, ellipsis: str) -> Line:
    """The line in at most `width` cells."""
    if width_of(pieces) <= width:
        return pieces
    kept: list[Piece] = []
    left = width
    for piece in pieces:
        cells = cell_len(piece.text)
        if cells < left:
            kept.append(piece)
            left -= cells
            continue
        kept.append(Piece(fit(piece.text + " " * left, left, ellipsis=ellipsis), piece.tone))
        break
    return tuple(kept)


def wrap(text: str, width: int) -> list[str]:
    """The words of an outside text in rows of at most `width` cells; overlong words are cut."""
    rows: list[str] = []
    row = ""
    width = max(width, 1)
    for word in clean(text).split():
        for part in [word] if cell_len(word) <= width else chop_cells(word, width):
            if row and cell_len(row) + 1 + cell_len(part) > width:
                rows.append(row)
                row = part
            else:
                row = f"{row} {part}" if row else part
    return [*rows, row] if row else rows


def paragraph(
    text: str, width: int, *, indent: int = 0, tone: Tone = Tone.PLAIN, most: int | None = None
) -> list[Line]:
    """An outside text as wrapped lines, at most `most` of them."""
    rows = wrap(text, width - indent)
    if most is not None and len(rows) > most:
        rows = [*rows[: most - 1], rows[most - 1] + " ..."] if most > 0 else []
    return [line(Piece(" " * indent + row, tone)) for row in rows]


def labelled(label: str, *parts: Piece | str, width: int = 11) -> Line:
    """A row of a form: a muted label in its own column, then the value."""
    return line(Piece(f"{label:<{width}}", Tone.MUTED), *parts)


def sparkline(values: Sequence[float], width: int, spark: str) -> str:
    """The last values as one row of bars, averaged into at most `width` cells."""
    if not values or width <= 0:
        return ""
    if len(values) > width:
        edges = [round(index * len(values) / width) for index in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    if high == low:
        return spark[len(spark) // 2] * len(values)
    return "".join(spark[round((value - low) / (high - low) * (len(spark) - 1))] for value in values)


def changed_cells(old: Line, new: Line) -> tuple[int, int] | None:
    """The span (start, stop) of cells that differ between two lines, or None: only they are sent."""
    if old == new:
        return None
    start = width_of(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    old_width, new_width = width_of(old), width_of(new)
    stop = max(old_width, new_width)
    if old_width == new_width:
        tail = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(old), reversed(new), strict=False))
        stop -= width_of(a for a, _ in tail)
    return start, max(stop, start)
