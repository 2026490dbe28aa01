"""What the console reads back: history, equity, digest, notes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from textual.widgets import Input

from app.console.chart import Series, bounds, chart, marks, thinned
from app.console.glyphs import ASCII, UNICODE
from app.console.messages import FindingRow, ReplayRead
from app.console.screens.equity import curve_lines
from app.console.screens.history import HistoryScreen
from app.console.text import Tone, width_of
from storage.curve import Curve, CurvePoint, RegimeResult
from storage.digest import DigestSection, StoredDigest
from storage.history import PastDecision, PastFill, PastOutcome, PastProposal, PastVerdict, PastVote
from storage.notes import NoteRow
from storage.records import (
    AgentName,
    ApprovalState,
    Direction,
    ExitReason,
    NoteKind,
    OrderState,
    SetupType,
    Stance,
    VerdictVerb,
    Volatility,
)

from .desks import FakeDesk, a_desk
from .running import Console, running

MONDAY = date(2018, 1, 29)
AT = datetime(2018, 1, 29, 23, 30, tzinfo=UTC)
HOSTILE = "[/x] [red]\x1b[2J\u202e" + "w" * 300


def decision(number: int, symbol: str, *, r: float | None = None, **changes: object) -> PastDecision:
    """A candidate of an evening: denied, or traded to a result in R."""
    session = MONDAY + timedelta(days=number)
    position = UUID(int=number + 100) if r is not None else None
    values: dict[str, object] = {
        "id": UUID(int=number + 1),
        "session": session,
        "symbol": symbol,
        "rank": 1,
        "setup_type": SetupType.MOMENTUM,
        "denied_by": "consensus" if r is None else None,
        "reasoning": "because",
        "direction": Direction.BULL,
        "volatility": Volatility.NORMAL_VOL,
        "consensus": None,
        "contradictions": (),
        "checks": (),
        "votes": (
            PastVote(
                agent=AgentName.RESEARCH,
                stance=Stance.FOR,
                conviction=0.7,
                source="rules",
                reason="above its average",
                veto_only=False,
                flags=(),
                interaction_id=None,
            ),
        ),
        "technicals": {},
        "proposal": None,
        "verdicts": (),
        "order": None,
        "order_note": "",
        "fill": None,
        "outcome": None,
        "position_id": position,
        "notes": (),
        "decided_at": AT,
    }
    if r is not None:
        values |= {
            "proposal": PastProposal(
                id=UUID(int=7),
                short_id=f"{symbol}-1a2b",
                state=ApprovalState.APPROVED,
                entry_session=session + timedelta(days=1),
                min_entry=Decimal("160"),
                max_entry=Decimal("164"),
                stop=Decimal("158.5"),
                target=Decimal("171"),
                max_shares=100,
                max_risk=Decimal("550"),
                max_hold=10,
                risky_reasons=(),
                parameters_version=1,
            ),
            "verdicts": (
                PastVerdict(
                    verb=VerdictVerb.APPROVED,
                    given_by="ada",
                    given_from="/dev/pts/3 10.0.0.7",
                    reason="as planned",
                    given_at=AT,
                ),
            ),
            "order": OrderState.FILLED,
            "fill": PastFill(session=session, shares=100, price=Decimal("162"), fee=Decimal(1)),
            "outcome": PastOutcome(
                exit_session=session + timedelta(days=3),
                exit_reason=ExitReason.TAKE_PROFIT,
                pnl=Decimal(str(r * 550)),
                r_multiple=r,
            ),
        }
    return PastDecision(**values | changes)  # type: ignore[arg-type]


def point(number: int, growth: float, *, flow: str = "0", market: float | None = None) -> CurvePoint:
    return CurvePoint(
        session=MONDAY + timedelta(days=number),
        equity=Decimal("100000"),
        growth=growth,
        market=market,
        drawdown=0.01,
        heat=0.02,
        day_return=0.0,
        flow=Decimal(flow),
        direction=Direction.BULL,
        r=None,
    )


async def opened(console: Console, key: str = "H") -> HistoryScreen:
    await console.press(key)
    await console.until(lambda: isinstance(console.app.screen, HistoryScreen))
    screen = console.app.screen
    assert isinstance(screen, HistoryScreen)
    await console.until(lambda: screen._past is not None)
    return screen


async def test_the_history_is_scrubbed_evening_by_evening() -> None:
    past = (decision(0, "AAPL"), decision(1, "MSFT", r=1.5), decision(2, "GE", r=-1.0))
    async with running(FakeDesk(a_desk(), history=past)) as console:
        await opened(console)
        assert "2018-01-31  3 of 3" in console.text and "GE" in console.text
        for key, shown in (
            ("left", "2018-01-30  2 of 3"),
            ("home", "2018-01-29  1 of 3"),
            ("left", "2018-01-29  1 of 3"),  # there is none before
            ("right", "2018-01-30  2 of 3"),
            ("end", "2018-01-31  3 of 3"),
        ):
            await console.press(key)
            await console.until(lambda shown=shown: shown in console.text)  # type: ignore[misc]
        await console.press("left")
        await console.until(lambda: "+1.50R" in console.text)
        assert "by ada from /dev/pts/3 10.0.0.7 at 2018-01-29 23:30:00Z" in console.text
        assert "as planned" in console.text and "filled     100 at 162.00" in console.text


async def test_a_filter_keeps_what_matches_and_esc_clears_it_before_it_closes() -> None:
    past = (decision(0, "AAPL"), decision(1, "MSFT", r=1.5), decision(2, "GE", r=-1.0))
    async with running(FakeDesk(a_desk(), history=past)) as console:
        screen = await opened(console)
        await console.press("slash", *"won", "enter")
        await console.until(lambda: "1 of 1" in console.text)
        assert "MSFT" in console.text and "filter won" in console.text
        await console.press("slash")
        screen.query_one("#history-filter", Input).value = "nobody"
        await console.press("enter")
        await console.until(lambda: "nothing matches nobody" in console.text)
        await console.press("escape")
        await console.until(lambda: "of 3" in console.text)
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, HistoryScreen))


async def test_a_decision_decided_again_says_where_it_differs() -> None:
    async with running(FakeDesk(a_desk(), history=(decision(0, "AAPL", r=1.0),))) as console:
        screen = await opened(console)
        finding = FindingRow(
            part="consensus", then="for", now="against", sameness="different", note="1 of 3 are for it"
        )
        screen.post_message(ReplayRead(UUID(int=1), "today's code decides otherwise", (finding,)))
        await console.until(lambda: "DECIDED AGAIN" in console.text)
        assert "for then, against now" in console.text and "different" in console.text


async def test_hostile_words_in_a_decision_are_drawn_and_obeyed_by_nobody() -> None:
    note = NoteRow(
        position_id=UUID(int=100),
        kind=NoteKind.NOTE,
        text=HOSTILE,
        written_by=HOSTILE,
        written_from="",
        at=AT,
    )
    past = (decision(0, "AAPL", r=1.0, notes=(note,), reasoning=HOSTILE, order_note=HOSTILE),)
    digest = StoredDigest(
        session=MONDAY,
        written_at=AT,
        summary=HOSTILE,
        sections=(DigestSection(heading=HOSTILE, lines=(HOSTILE,)),),
    )
    async with running(FakeDesk(a_desk(), history=past, summed_up=digest)) as console:
        await opened(console)
        assert "[/x] [red]" in console.text and "\x1b" not in console.text and "\u202e" not in console.text
        await console.press("escape", "D")
        await console.until(lambda: "2018-01-29, written" in console.text)
        assert "[/x]" in console.text and "\x1b" not in console.text


async def test_a_note_on_a_position_is_told_to_the_desk_once() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk) as console:
        await console.press("T")
        assert desk.told == []  # no position is chosen: it says where to go
        await console.press("3", "T", *"+late", "enter", "enter")
        await console.until(lambda: bool(desk.told))
        assert desk.told == [("note", "+late")]


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_the_curve_marks_payments_and_keeps_to_its_width(glyphs: object) -> None:
    assert glyphs in (UNICODE, ASCII)
    curve = Curve(
        points=tuple(
            point(n, 1 + n / 100, flow="5000" if n == 4 else "0", market=1 - n / 200) for n in range(9)
        ),
        regimes=(
            RegimeResult(direction=Direction.BULL, sessions=9, growth=0.08, market=-0.04, trades=3, r=1.5),
        ),
    )
    lines = curve_lines(curve, 78, 8, UNICODE if glyphs is UNICODE else ASCII)
    text = ["".join(piece.text for piece in row) for row in lines]
    assert all(width_of(row) <= 78 for row in lines)
    assert "the desk +8.00% time-weighted" in text[0] and "the index -4.00%" in text[0]
    assert any(row.strip() == "$" for row in text)
    assert any("1 payments, +5,000.00 in all: neither gain nor loss" in row for row in text)
    if glyphs is ASCII:
        assert all(row.isascii() for row in text)


def test_a_chart_draws_every_value_and_leaves_gaps_open() -> None:
    rising = Series(values=(1.0, 2.0, None, None, 3.0), tone=Tone.ACCENT)
    assert bounds([rising]) == (1.0, 3.0)
    assert bounds([Series(values=(None,), tone=Tone.PLAIN)]) is None
    assert chart([Series(values=(), tone=Tone.PLAIN)], 10, 4, UNICODE) == []
    rows = ["".join(piece.text for piece in row) for row in chart([rising], 5, 3, ASCII)]
    assert rows == ["    *", " *   ", "**   "]
    assert thinned([1.0, 2.0, 3.0], 2) == [1.0, 3.0]
    assert marks([0, 4], 5, 9, "$") == "$       $"
