"""Open positions with what is left to stop, target and time; below them the trades closed last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.console.figures import NOTHING, money, number, percent, price, signed
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View
from app.console.text import Line, Piece, Tone, outside
from app.console.widgets.table import Column, Row

if TYPE_CHECKING:
    from storage.snapshot import PositionRow, TradeRow, TradeTotals

UNPROTECTED_S = 60  # as long as the leader waits before it raises the alarm
EARNINGS_SOON = 7  # calendar days: within five sessions


def totals_text(totals: TradeTotals) -> str:
    """Trades, win rate and mean R in one phrase."""
    if not totals.trades:
        return "no trade closed yet"
    mean = "" if totals.mean_r is None else f", mean {totals.mean_r:+.2f}R"
    return f"{totals.trades} closed, {percent(totals.wins / totals.trades, 0)} won{mean}"


def unprotected(row: PositionRow, view: View) -> bool:
    """Whether its broker has known no stop for it for longer than it takes to send one."""
    since = row.unprotected_since
    return since is not None and (view.now - since).total_seconds() >= UNPROTECTED_S


def _near(row: PositionRow) -> bool:
    """Whether an ordinary day's range reaches the stop."""
    return row.to_stop_atr is not None and row.to_stop_atr < 1


def _earnings(row: PositionRow) -> Piece:
    """Days until the company reports."""
    days = row.earnings_days
    if days is None:
        return Piece(NOTHING, Tone.MUTED)
    return Piece(f"{days}d", Tone.WARN if days <= EARNINGS_SOON else Tone.PLAIN)


class PositionsPane(TablePane):
    PANE = PaneId.POSITIONS
    COLUMNS = (
        Column(title="SYM", width=6),
        Column(title="R", width=6, right=True),
        Column(title="P&L $", width=10, right=True),
        Column(title="SHRS", width=5, right=True, drop=9),
        Column(title="ENTRY", width=8, right=True, drop=11),
        Column(title="LAST", width=8, right=True, drop=5),
        Column(title="TO STOP", width=7, right=True, drop=1),
        Column(title="ATR", width=4, right=True, drop=6),  # to the stop too, in another measure
        Column(title="TO TGT", width=7, right=True, drop=3),
        Column(title="TGT R", width=5, right=True, drop=8),
        Column(title="HELD", width=5, right=True, drop=4),
        Column(title="HEAT", width=5, right=True, drop=7),
        Column(title="EARN", width=4, right=True, drop=10),
        Column(title="STOP AT", width=7, drop=2),
    )

    def rows(self, view: View, width: int) -> Iterable[Row]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        yield from (self._position(row, view) for row in snapshot.positions)
        if not snapshot.positions and snapshot.trades:
            yield Row(key="none", cells=(Piece("no position is open", Tone.MUTED),), rule=True)
        if snapshot.trades:
            rule = view.glyphs.rule
            heading = (
                f"{rule * 2} {totals_text(snapshot.totals)}; the last {len(snapshot.trades)} {rule * width}"
            )
            yield Row(key="closed", cells=(Piece(heading, Tone.HEAD),), rule=True)
            yield from (self._trade(row, view) for row in snapshot.trades)

    def _position(self, row: PositionRow, view: View) -> Row:
        last = float(row.last_close)
        return Row(
            key=str(row.id),
            cells=(
                outside(row.symbol, Tone.ALERT if unprotected(row, view) else Tone.STRONG),
                signed(row.r_now, f"{row.r_now:+.2f}"),
                signed(float(row.unrealised), f"{row.unrealised:+,.2f}"),
                Piece(f"{row.shares:,}"),
                Piece(price(row.entry_price)),
                Piece(price(row.last_close)),
                Piece(percent(float(row.stop) / last - 1 if last else None, 1, sign=True)),
                Piece(number(row.to_stop_atr, 1), Tone.WARN if _near(row) else Tone.PLAIN),
                Piece(percent(float(row.target) / last - 1 if last else None, 1, sign=True)),
                Piece(f"{row.target_r:.1f}"),
                Piece(
                    f"{row.sessions_held}/{row.max_hold}",
                    Tone.WARN if row.sessions_held >= row.max_hold - 1 else Tone.PLAIN,
                ),
                Piece(percent(row.heat)),
                _earnings(row),
                self._protection(row, view),
            ),
        )

    def _protection(self, row: PositionRow, view: View) -> Piece:
        """Who knows of its stop, or what a human has asked of it."""
        if unprotected(row, view):
            return Piece("NOBODY", Tone.ALERT)
        if row.asked:
            return Piece("closing" if row.asked.startswith("close") else "asked", Tone.WARN)
        return Piece("broker", Tone.MUTED) if row.protected_by else Piece("-", Tone.MUTED)

    def _trade(self, row: TradeRow, view: View) -> Row:
        text = (
            f"{row.symbol:<6} {row.r_multiple:+6.2f} {row.pnl:+10,.2f} {row.shares:>5,}  "
            f"{row.exit_reason.value.replace('_', ' ')}, "
            f"{row.entry_session} {view.glyphs.arrow} {row.exit_session}"
        )
        tone = Tone.GOOD if row.pnl > 0 else Tone.BAD if row.pnl < 0 else Tone.MUTED
        return Row(key=f"{row.symbol} {row.exit_session}", cells=(outside(text, tone),), rule=True)

    def nothing(self, view: View) -> list[Line]:
        return self.missing(
            view,
            "no position is open and no trade has closed",
            "open",
            "an approved card becomes a position at the next open, inside its price band",
        )

    def facts(self, view: View) -> str:
        snapshot = view.state.snapshot
        if snapshot is None:
            return ""
        if not snapshot.positions:
            return totals_text(snapshot.totals)
        heat = sum(row.heat for row in snapshot.positions)
        gain = sum((row.unrealised for row in snapshot.positions), start=snapshot.positions[0].unrealised * 0)
        return f"heat {percent(heat)}, unrealised {money(gain)}"
