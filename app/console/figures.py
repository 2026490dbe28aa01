"""How numbers, ages and instants read on the screen."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from app.console.glyphs import Glyphs
from app.console.text import Piece, Tone

NOTHING = "-"


def money(value: Decimal | float, *, cents: bool = True) -> str:
    """Dollars with thousands separators: $10,520.40, -$12.00."""
    text = f"{value:,.{2 if cents else 0}f}"
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


def price(value: Decimal | float | None) -> str:
    """Dollars a share; below one dollar the fourth decimal matters."""
    if value is None:
        return NOTHING
    return f"{value:,.2f}" if value >= 1 or value <= -1 else f"{value:.4f}"


def percent(fraction: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """A fraction as a percentage: 0.0125 -> 1.25%."""
    if fraction is None:
        return NOTHING
    return f"{fraction * 100:{'+' if sign else ''}.{digits}f}%"


def number(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def trend(fraction: float | None, glyphs: Glyphs, digits: int = 2) -> Piece:
    """A change with its arrow, so that its direction never hangs on colour alone."""
    if fraction is None:
        return Piece(NOTHING, Tone.MUTED)
    text = f"{abs(fraction) * 100:.{digits}f}"
    if float(text) == 0:
        return Piece(f"{glyphs.flat} {text}", Tone.MUTED)
    return (
        Piece(f"{glyphs.up} {text}", Tone.GOOD) if fraction > 0 else Piece(f"{glyphs.down} {text}", Tone.BAD)
    )


def signed(value: float, text: str) -> Piece:
    """A text toned by the sign of its value."""
    return Piece(text, Tone.GOOD if value > 0 else Tone.BAD if value < 0 else Tone.MUTED)


def age(seconds: float) -> str:
    """A span at the precision that matters: 12s, 4m, 3h, 2d."""
    seconds = max(seconds, 0)
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h" if seconds < 172_800 else f"{seconds / 86_400:.0f}d"


def countdown(seconds: float) -> str:
    """A span that runs out: 0:09, 1:40, 2h05m."""
    left = max(int(seconds), 0)
    return f"{left // 3600}h{left % 3600 // 60:02d}m" if left >= 3600 else f"{left // 60}:{left % 60:02d}"


def left(seconds: float) -> str:
    """A span until something is due, no finer than it must be: 45s, 12m, 1h57m, 2d04h."""
    whole = max(int(seconds), 0)
    if whole < 100:
        return f"{whole}s"
    minutes, hours = whole // 60, whole // 3600
    if hours < 1:
        return f"{minutes}m"
    return f"{hours}h{minutes % 60:02d}m" if hours < 24 else f"{hours // 24}d{hours % 24:02d}h"


def utc(moment: datetime) -> str:
    """The time of day, which is always UTC on this screen."""
    return f"{moment.astimezone(UTC):%H:%M:%S}Z"


def minute(moment: datetime) -> str:
    """The time of day without its second, for what must not be painted again every second."""
    return f"{moment.astimezone(UTC):%H:%M}Z"


def wall(moment: datetime, now: datetime) -> str:
    """An instant as short as it can be told today: 14:03:22Z, or 02-27 21:30 for another day."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    return utc(moment) if moment.date() == now.date() else f"{moment:%m-%d %H:%M}"


def full(moment: datetime) -> str:
    """An instant with its day, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
