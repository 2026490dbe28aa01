"""The market's regime with what it was read from, and the desk's equity under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.figures import money, percent, price, signed
from app.console.glyphs import Glyphs
from app.console.layout import PaneId
from app.console.machine import comes
from app.console.panes.base import LinesPane
from app.console.state import View, lives
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph, sparkline
from storage.plain import clean

if TYPE_CHECKING:
    from storage.snapshot import DeskSnapshot, EquityRow, RegimeRow

DIRECTION_TONES = {"BULL": Tone.GOOD, "BEAR": Tone.BAD, "SIDEWAYS": Tone.WARN}
BAND = 10  # cells on each side of the average


def direction_piece(regime: RegimeRow) -> Piece:
    return Piece(regime.direction.value, DIRECTION_TONES[regime.direction.value])


def band(distance: float, glyphs: Glyphs) -> Line:
    """Where the index stands against its 200-session average: -10% .. +10%."""
    cell = round(max(-0.1, min(0.1, distance)) / 0.1 * BAND) + BAND
    track = [glyphs.rule] * (2 * BAND + 1)
    track[BAND] = "|" if glyphs.rule == "-" else "┼"
    return line(
        Piece("".join(track[:cell]), Tone.MUTED),
        Piece(glyphs.held, Tone.GOOD if distance > 0 else Tone.BAD),
        Piece("".join(track[cell + 1 :]), Tone.MUTED),
    )


def meter(fraction: float, width: int, glyphs: Glyphs, tone: Tone) -> Line:
    """A bar that fills from the left."""
    full = round(min(max(fraction, 0.0), 1.0) * width)
    return line(Piece(glyphs.bar_full * full, tone), Piece(glyphs.bar_empty * (width - full), Tone.MUTED))


class RegimePane(LinesPane):
    PANE = PaneId.REGIME

    def content(self, view: View, width: int) -> list[Line]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        return [*self._regime(view, snapshot, width), *self._equity(view, snapshot, width)]

    def _when(self, view: View, snapshot: DeskSnapshot, slot: str, width: int) -> list[Line]:
        """When a slot of the schedule brings what is missing; a replay has no schedule."""
        when = comes(view, slot)
        return paragraph(when.text, width, tone=when.tone) if lives(snapshot) else []

    def _regime(self, view: View, snapshot: DeskSnapshot, width: int) -> list[Line]:
        regime, glyphs = snapshot.regime, view.glyphs
        if regime is None:
            return [
                line(Piece("not read yet", Tone.STRONG)),
                *paragraph(
                    "the regime needs 200 sessions of the index before its first reading",
                    width,
                    tone=Tone.MUTED,
                ),
                *self._when(view, snapshot, "regime", width),
                line(),
            ]
        volatility = regime.volatility_value
        reading = f"{volatility:.1f}%"
        p = regime.bear_probability
        tone = Tone.BAD if p >= 0.6 else Tone.WARN if p >= 0.4 else Tone.GOOD
        return [
            labelled("direction", direction_piece(regime), f" since {regime.since}"),
            labelled("P(bear)", f"{p:.2f} ", *meter(p, max(min(width - 16, 21), 4), glyphs, tone)),
            labelled("volatility", regime.volatility.value),
            labelled("", outside(f"{reading} {regime.volatility_source}", Tone.MUTED)),
            labelled(
                clean(regime.index_symbol)[:10],
                f"{price(regime.index_close)} ",
                signed(regime.distance, percent(regime.distance, 1, sign=True)),
            ),
            labelled("SMA200", price(regime.sma200)),
            labelled("-10% +10%", *band(regime.distance, glyphs)),
            line(),
        ]

    def _equity(self, view: View, snapshot: DeskSnapshot, width: int) -> list[Line]:
        start, glyphs = snapshot.header.start_equity, view.glyphs
        if not snapshot.equity:
            return [
                labelled("equity", money(start)),
                line(Piece("no session settled yet", Tone.MUTED)),
                *self._when(view, snapshot, "settle", width),
            ]
        last = snapshot.equity[-1]
        gain = float(last.equity / start - 1) if start else 0.0
        worst = snapshot.totals.max_drawdown
        values = [float(row.equity) for row in snapshot.equity]
        return [
            labelled(
                "equity",
                Piece(money(last.equity), Tone.STRONG),
                " ",
                signed(gain, percent(gain, 1, sign=True)),
            ),
            labelled(
                "drawdown",
                percent(abs(last.drawdown), 1),
                Piece(f" worst {percent(worst, 1)}", Tone.MUTED),
            ),
            *_ladder(snapshot, width),
            labelled("cash", money(last.settled), Piece(" settled", Tone.MUTED)),
            *_unsettled(last),
            labelled("heat", percent(last.heat), Piece(" at the stops", Tone.MUTED)),
            line(Piece(sparkline(values, width, glyphs.spark), Tone.ACCENT)),
            line(
                Piece(f"{snapshot.equity[0].session}", Tone.MUTED),
                Piece(" " * max(width - 20, 1)),
                Piece(f"{last.session}", Tone.MUTED),
            ),
        ]


def _ladder(snapshot: DeskSnapshot, width: int) -> list[Line]:
    """Where the drawdown ladder stands, once it has been marked."""
    ladder = snapshot.ladder
    if ladder is None:
        return []
    tone = Tone.BAD if ladder.stopped else Tone.GOOD if ladder.at_full_size else Tone.WARN
    size = "full size" if ladder.at_full_size else ladder.words
    first, *more = paragraph(size, max(width - 11, 10), tone=tone)
    return [labelled("ladder", *first), *(labelled("", *rest) for rest in more)]


def _unsettled(last: EquityRow) -> list[Line]:
    if last.settles_on is None:
        return []
    return [labelled("", money(last.unsettled), Piece(f" settles {last.settles_on}", Tone.MUTED))]
