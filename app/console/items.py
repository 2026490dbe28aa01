"""Rows of items that give way to each other where the screen is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.console.text import Line, Piece, Tone, width_of

SEPARATOR = Piece(" | ", Tone.MUTED)


@dataclass(frozen=True)
class Item:
    """A part of a row in wordings from longest to shortest; the highest `drop` gives way first."""

    drop: int
    wordings: tuple[Line, ...]


def join(items: Sequence[Item], width: int) -> Line:
    """The items in at most `width` cells: all are shortened before the least important are dropped."""
    chosen = dict.fromkeys(range(len(items)), 0)

    def built() -> Line:
        pieces: list[Piece] = [Piece(" ")]
        for index, wording in sorted(chosen.items()):
            if len(pieces) > 1:
                pieces.append(SEPARATOR)
            pieces += items[index].wordings[wording]
        return tuple(pieces)

    by_weight = sorted(range(len(items)), key=lambda index: -items[index].drop)
    while width_of(built()) > width and chosen:
        index = next((i for i in by_weight if chosen.get(i, 99) < len(items[i].wordings) - 1), None)
        if index is not None:
            chosen[index] += 1
        else:
            chosen.pop(next(i for i in by_weight if i in chosen))
    # What was shortened in vain gets its longer wording back, important parts first.
    for index in reversed(by_weight):
        while chosen.get(index, 0) > 0:
            chosen[index] -= 1
            if width_of(built()) > width:
                chosen[index] += 1
                break
    return built()
