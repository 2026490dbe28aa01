"""The two rows that never scroll away: what desk this is, how it does, and whether anything is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from app.console.figures import age, countdown, money, percent, signed, utc
from app.console.items import SEPARATOR, Item, join
from app.console.panes.changes import waiting_changes
from app.console.panes.positions import unprotected
from app.console.panes.regime import direction_piece
from app.console.state import SILENT_AFTER_S, HostHealth, Link, View, lives
from app.console.text import Line, Piece, Tone, cut, fit, line, outside
from app.console.vitals import vitals
from app.console.widgets.lines import LineRow
from storage.plain import clean

if TYPE_CHECKING:
    from storage.snapshot import DeskSnapshot

CLOCK = 10  # cells at the right end of the second row


def strip_lines(view: View, width: int) -> list[Line]:
    """Both rows without the clock; before the first snapshot they say what is happening."""
    state, snapshot = view.state, view.state.snapshot
    second = width - CLOCK
    if snapshot is None:
        name = clean(state.desk).upper() or "QUORUM"
        return [
            line(" ", Piece(f" {name} ", Tone.STRONG), " starting"),
            cut(
                line(" ", *_host(view), SEPARATOR, *_database(view), SEPARATOR, outside(state.host_note)),
                second,
                ellipsis=view.glyphs.ellipsis,
            ),
        ]
    return [join(_first(view, snapshot), width), join(_second(view, snapshot), second - 1)]


def _first(view: View, snapshot: DeskSnapshot) -> list[Item]:
    header, g = snapshot.header, view.glyphs
    kind = Piece(f" {header.kind.value.upper()} ", Tone(header.kind.value))
    # The first desk goes without saying; beside it a second one must not be taken for it.
    name = "" if header.name == header.kind.value else f" {clean(header.name)}"
    items = [Item(0, (line(kind, Piece(name, Tone.STRONG)),))]
    if (halt := snapshot.halt) is not None:
        long = f" HALTED by {clean(halt.halted_by)} {age((view.now - halt.at).total_seconds())} ago "
        items.append(Item(0, (line(Piece(long, Tone.ALERT)), line(Piece(" HALTED ", Tone.ALERT)))))
    if header.history_title:
        title = outside(header.history_title)
        stamp = (Piece(" survivors only", Tone.WARN),) if header.survivors else ()
        short = (Piece("survivors", Tone.WARN),) if header.survivors else ()
        cut = Piece(fit(title.text, min(len(title.text), 24), ellipsis=g.ellipsis))
        wordings = [(title, *stamp), (cut, *((Piece(" survivors", Tone.WARN),) if stamp else ())), short]
        items.append(Item(6, tuple(filter(None, wordings))))
    if (absence := snapshot.absence) is not None:
        until = f" AWAY until {utc(absence.until)} "
        items.append(Item(0, (line(Piece(until, Tone.WARN)), line(Piece(" AWAY ", Tone.WARN)))))
    if snapshot.missed is not None and (missed := snapshot.missed.words):
        items.append(Item(4, (line(Piece(f"! {missed}", Tone.WARN)), line(Piece("! missed", Tone.WARN)))))
    regime = snapshot.regime
    if regime is not None:
        since = regime.standing
        p = f"P(bear) {regime.bear_probability:.2f}"
        d = direction_piece(regime)
        items.append(
            Item(
                2,
                (line(d, f" {p} for {since} sessions"), line(d, f" {p} {since}d"), line(d, f" P(b){p[-3:]}")),
            )
        )
    else:
        items.append(
            Item(2, (line(Piece("regime not read yet", Tone.MUTED)), line(Piece("regime -", Tone.MUTED))))
        )
    quota = snapshot.quota
    meter = f"FMP {quota.used}/{quota.limit}" if quota else "FMP none"
    if quota and quota.blocks:
        items.append(Item(5, (line(Piece(f"! {meter} blocked", Tone.BAD)), line(Piece("! FMP", Tone.BAD)))))
    else:
        items.append(Item(5, (line(meter),)))
    spend, standing = money(snapshot.spend.today_usd), snapshot.spend.standing
    cap = f"/{standing.caps.day_usd:.2f}" if standing else ""
    items.append(Item(4, (line(f"LLM {spend}{cap}"), line(f"LLM {spend}"))))
    waiting = len(snapshot.pending)
    risky = sum(row.risky for row in snapshot.pending)
    word = f"APPROVALS {waiting}" + (f" ({risky} risky!)" if risky else "")
    short_word = f"APPR {waiting}" + (f" ({risky}!)" if risky else "")
    tone = Tone.ALERT if waiting else Tone.MUTED
    pad = " " if waiting else ""
    items.append(
        Item(1, (line(Piece(f"{pad}{word}{pad}", tone)), line(Piece(f"{pad}{short_word}{pad}", tone))))
    )
    if changes := len(waiting_changes(snapshot)):
        words = (Piece(f"CHANGES {changes}", Tone.WARN), Piece(f"CHG {changes}", Tone.WARN))
        items.append(Item(3, tuple(line(word) for word in words)))
    return items


def _second(view: View, snapshot: DeskSnapshot) -> list[Item]:
    items = vitals(view, snapshot) if lives(snapshot) else [_sessions(snapshot), Item(0, (_host(view),))]
    items.append(Item(0, (_database(view),)))
    since = max((view.now - snapshot.taken_at).total_seconds(), 0.0)
    late = since > 10
    # Whole tens while all is well: a number that changes every second would cost bytes and say nothing.
    seen = Piece(f"{view.glyphs.stale} data {age(since)} old", Tone.WARN) if late else Piece("data fresh")
    items.append(Item(5, (line(seen), line(Piece(age(since), seen.tone) if late else Piece("fresh")))))
    items.append(_equity(snapshot))
    items += _ladder(snapshot)
    items += _broker(view, snapshot)
    verdict = _verdict(view)
    if verdict:
        items.append(Item(1, verdict))
    return items


def _sessions(snapshot: DeskSnapshot) -> Item:
    """How far a replay has come."""
    header = snapshot.header
    done, total = header.sessions_done, header.sessions_total or 0
    day = f"{header.session}" if header.session else "not started"
    finished = " ended" if header.state.value == "finished" else ""
    return Item(
        2,
        (
            line(f"session {done:,}/{total:,}, {day}{finished}"),
            line(f"{done}/{total} {day}{finished}"),
            line(day),
        ),
    )


def _equity(snapshot: DeskSnapshot) -> Item:
    start = snapshot.header.start_equity
    drop = 6 if lives(snapshot) else 3  # in the present the machine's health comes first
    if not snapshot.equity:
        return Item(drop, (line(f"equity {money(start or Decimal(0), cents=False)}"),))
    last = snapshot.equity[-1]
    gain = float(last.equity / start - 1) if start else 0.0
    change = signed(gain, percent(gain, 1, sign=True))
    drawdown = Piece(f" dd {percent(abs(last.drawdown), 1)}", Tone.MUTED)
    equity = money(last.equity, cents=False)
    return Item(drop, (line(f"equity {equity} ", change, drawdown), line(f"{equity} ", change), line(equity)))


def _ladder(snapshot: DeskSnapshot) -> list[Item]:
    """The drawdown ladder while it holds anything back."""
    ladder = snapshot.ladder
    if ladder is None or ladder.at_full_size:
        return []
    tone = Tone.BAD if ladder.stopped else Tone.WARN
    short = "HALTED" if ladder.halted_since else "no entries" if ladder.stopped else "entries cut"
    return [
        Item(1, (line(Piece(f"! {ladder.words}", tone)), line(Piece(f"! {short}", tone)))),
    ]


def _broker(view: View, snapshot: DeskSnapshot) -> list[Item]:
    """What is without a stop, and where book and broker differ: both until somebody has seen to them."""
    items = []
    bare = [clean(row.symbol) for row in snapshot.positions if unprotected(row, view)]
    if bare:
        loud = (Piece(f" UNPROTECTED {' '.join(bare)} ", Tone.ALERT), Piece(" UNPROTECTED ", Tone.ALERT))
        items.append(Item(0, tuple(line(words) for words in loud)))
    if snapshot.differences:
        words = f"! book and broker differ ({len(snapshot.differences)})"
        items.append(Item(1, (line(Piece(words, Tone.BAD)), line(Piece("! DIFFERS", Tone.BAD)))))
    return items


def _host(view: View) -> Line:
    state = view.state
    if state.host is HostHealth.RESTARTING:
        return line(Piece("! restarting", Tone.BAD))
    if state.host is HostHealth.STARTING:
        return line(Piece("desk starting", Tone.WARN))
    snapshot = state.snapshot
    seen = snapshot.header.host_seen_at if snapshot else None
    if snapshot is not None and seen is not None and snapshot.header.state.value == "running":
        silent = (view.now - seen).total_seconds()
        if silent > SILENT_AFTER_S:
            return line(Piece(f"! host silent {age(silent)}", Tone.BAD))
    return line(Piece("desk ok", Tone.GOOD))


def _database(view: View) -> Line:
    match view.state.link:
        case Link.UP:
            return line(Piece("db ok", Tone.GOOD))
        case Link.AWAY:
            return line(Piece("! db away", Tone.BAD))
        case _:
            return line(Piece("db -", Tone.MUTED))


def _verdict(view: View) -> tuple[Line, ...]:
    """The last verdict of this console, with what is left of its time to undo."""
    last = view.state.verdict
    if last is None:
        return ()
    symbol = clean(last.symbol)
    if not last.receipt.accepted:
        message = outside(f"! {last.verb} {symbol} REFUSED: {last.receipt.message}", Tone.BAD)
        return (line(message), line(Piece(f"! {symbol} REFUSED", Tone.BAD)))
    effective = last.receipt.effective_at
    left = (effective - view.now).total_seconds() if effective else 0.0
    if left > 0:
        undo = Piece(f" undo (u) {countdown(left)}", Tone.WARN)
        return (line(f"{last.verb} {symbol}", undo), line(f"{symbol}", undo))
    return (line(f"{last.verb} {symbol}"),)


class DeskStrip(Vertical):
    """The strip; loud (class `-alert`) while an approval waits that the operator has not looked at.

    The clock is a widget of its own because a row is painted whole: each second would send the whole row.
    """

    def __init__(self) -> None:
        super().__init__(id="strip")
        self._first = LineRow(id="strip-first")
        self._second = LineRow(id="strip-second")
        self._clock = LineRow(id="clock")

    def compose(self) -> ComposeResult:
        yield self._first
        with Horizontal(id="strip-below"):
            yield self._second
            yield self._clock

    def show(self, view: View, width: int) -> None:
        """Show a view in a strip of this width."""
        first, second = strip_lines(view, width)
        self._first.set_lines([first])
        self._second.set_lines([second])
        self._clock.set_lines([line(Piece(utc(view.now), Tone.MUTED))])
