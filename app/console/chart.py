"""Lines over time drawn with characters: braille where the terminal has it, signs of its own where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.console.glyphs import ASCII, Glyphs
from app.console.text import Line, Piece, Tone

BLANK = 0x2800
# The bit of each dot of a braille cell, by its column and its row from the top.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
PLAIN_SIGNS = "*.o+"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: a value for each point in time, None where there is none, and how it is toned."""

    values: tuple[float | None, ...]
    tone: Tone


def thinned(values: Sequence[float | None], width: int) -> list[float | None]:
    """The values at `width` places spread evenly over them, the first and the last among them."""
    if not values or width <= 0:
        return []
    if len(values) == 1:
        return [values[0]] * width
    last = len(values) - 1
    return [values[round(place * last / max(width - 1, 1))] for place in range(width)]


def bounds(series: Sequence[Series]) -> tuple[float, float] | None:
    """The least and the greatest value, a little apart where they are one; None without any."""
    values = [value for one in series for value in one.values if value is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.01, high + 0.01)


def chart(series: Sequence[Series], width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The series over one another in `height` rows of `width` cells, none without values."""
    span = bounds(series)
    if span is None or width < 2 or height < 2:
        return []
    plain = glyphs is ASCII
    across, up = (1, 1) if plain else (2, 4)
    cells: dict[tuple[int, int], tuple[int, Tone, str]] = {}
    for number, one in reversed(list(enumerate(series))):
        for x, y in _dots(one.values, width * across, height * up, span):
            place = (y // up, x // across)
            bits = cells.get(place, (0, one.tone, ""))[0] | DOTS[x % across][y % up]
            cells[place] = (bits, one.tone, PLAIN_SIGNS[number % len(PLAIN_SIGNS)])
    lines = []
    for row in range(height):
        pieces: list[Piece] = []
        for column in range(width):
            bits, tone, sign = cells.get((row, column), (0, Tone.PLAIN, " "))
            text = sign if plain else chr(BLANK + bits) if bits else " "
            if pieces and pieces[-1].tone is tone:
                pieces[-1] = Piece(pieces[-1].text + text, tone)
            else:
                pieces.append(Piece(text, tone))
        lines.append(tuple(pieces))
    return lines


def _dots(
    values: Sequence[float | None], width: int, height: int, span: tuple[float, float]
) -> list[tuple[int, int]]:
    """The dots of one line, from left to right; steep parts are filled in, gaps stay gaps."""
    low, high = span
    dots: list[tuple[int, int]] = []
    before: int | None = None
    for x, value in enumerate(thinned(values, width)):
        if value is None:
            before = None
            continue
        y = round((high - value) / (high - low) * (height - 1))
        between = range(min(before, y), max(before, y) + 1) if before is not None else range(y, y + 1)
        dots += [(x, step) for step in between]
        before = y
    return dots


def marks(places: Sequence[int], points: int, width: int, sign: str) -> str:
    """A row with a sign under each of the points, which a chart of this width has drawn."""
    row = [" "] * width
    for place in places:
        row[round(place * (width - 1) / max(points - 1, 1))] = sign
    return "".join(row).rstrip()
