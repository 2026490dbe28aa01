"""Where each pane stands: a pure function of the size, the pane in front and the zoom."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from textual.geometry import Region

MIN_WIDTH, MIN_HEIGHT = 60, 15  # below this nothing sensible fits
PLAIN_WIDTH, PLAIN_HEIGHT = 80, 24  # below this: the strip and one list
WIDE_WIDTH, WIDE_HEIGHT = 120, 34  # rail and main column
FULL_WIDTH, FULL_HEIGHT = 200, 50  # rail, main column and detail
RAIL_WIDE, RAIL_FULL, DETAIL_FULL, LOG_FULL, CHANGES_FULL = 36, 42, 58, 11, 80


class PaneId(StrEnum):
    """The panes in the order of their keys."""

    WATCH = "watch"
    APPROVALS = "approvals"
    POSITIONS = "positions"
    REGIME = "regime"
    QUOTA = "quota"
    AGENTS = "agents"
    LOG = "log"
    DETAIL = "detail"
    CHANGES = "changes"

    @property
    def key(self) -> str:
        return str(list(PaneId).index(self) + 1)

    @property
    def heading(self) -> str:
        return self.value.capitalize()

    @property
    def short(self) -> str:
        """Its name where all the names must share one row."""
        return {"approvals": "Appr", "positions": "Pos", "changes": "Chg"}.get(self.value, self.heading)


SLOT = (PaneId.POSITIONS, PaneId.LOG, PaneId.DETAIL, PaneId.CHANGES)  # they share the bottom of a wide screen


class Size(StrEnum):
    """How much there is room for."""

    PLAIN = "plain"  # one pane at a time
    WIDE = "wide"
    FULL = "full"


def size_class(width: int, height: int) -> Size:
    """What fits into a screen of this size."""
    if width >= FULL_WIDTH and height >= FULL_HEIGHT:
        return Size.FULL
    return Size.WIDE if width >= WIDE_WIDTH and height >= WIDE_HEIGHT else Size.PLAIN


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The panes in sight and their places inside the body, in the order tab goes through them."""

    size: Size
    places: tuple[tuple[PaneId, Region], ...]

    def __contains__(self, pane: PaneId) -> bool:
        return any(pane is shown for shown, _ in self.places)


def plan(size: Size, width: int, height: int, *, front: PaneId, slot: PaneId, zoomed: bool) -> Plan:
    """Places for a body of this size: `front` has the focus, `slot` is what the shared place shows."""
    if zoomed or size is Size.PLAIN:
        return Plan(size=size, places=((front, Region(0, 0, width, height)),))
    if size is Size.WIDE:
        return Plan(size=size, places=_wide(width, height, slot))
    return Plan(size=size, places=_full(width, height))


def _rail(width: int, height: int) -> list[tuple[PaneId, Region]]:
    agents = 9
    quota = 11
    regime = max(height - agents - quota, 8)
    return [
        (PaneId.REGIME, Region(0, 0, width, regime)),
        (PaneId.QUOTA, Region(0, regime, width, quota)),
        (PaneId.AGENTS, Region(0, regime + quota, width, height - regime - quota)),
    ]


def _wide(width: int, height: int, slot: PaneId) -> tuple[tuple[PaneId, Region], ...]:
    main = width - RAIL_WIDE
    approvals = max(height * 26 // 100, 7)
    bottom = max(height * 32 // 100, 9)
    watch = height - approvals - bottom
    return (
        (PaneId.WATCH, Region(RAIL_WIDE, 0, main, watch)),
        (PaneId.APPROVALS, Region(RAIL_WIDE, watch, main, approvals)),
        (slot, Region(RAIL_WIDE, watch + approvals, main, bottom)),
        *_rail(RAIL_WIDE, height),
    )


def _full(width: int, height: int) -> tuple[tuple[PaneId, Region], ...]:
    main = width - RAIL_FULL - DETAIL_FULL
    upper = height - LOG_FULL
    approvals = max(upper * 26 // 100, 8)
    positions = max(upper * 34 // 100, 10)
    watch = upper - approvals - positions
    return (
        (PaneId.WATCH, Region(RAIL_FULL, 0, main, watch)),
        (PaneId.APPROVALS, Region(RAIL_FULL, watch, main, approvals)),
        (PaneId.POSITIONS, Region(RAIL_FULL, watch + approvals, main, positions)),
        (PaneId.DETAIL, Region(RAIL_FULL + main, 0, DETAIL_FULL, upper)),
        *_rail(RAIL_FULL, upper),
        (PaneId.LOG, Region(0, upper, width - CHANGES_FULL, LOG_FULL)),
        (PaneId.CHANGES, Region(width - CHANGES_FULL, upper, CHANGES_FULL, LOG_FULL)),
    )
