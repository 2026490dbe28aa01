from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.funnel import (
    WAITING,
    Answered,
    Deliberated,
    Funnel,
    Ordered,
    Rung,
    RungDenial,
    RungName,
    ScreenCounts,
    funnel,
)
from storage.records import ApprovalState, OrderState

TONIGHT = date(2024, 3, 7)
APPROVED, FILLED = ApprovalState.APPROVED, OrderState.FILLED

SCREEN = ScreenCounts(
    universe=100,
    with_data=90,
    passed=4,
    selected=("AAA", "BBB", "CCC"),
    failures=(("fresh", 7), ("history", 3), ("liquidity", 20), ("oversold", 60), ("volatility", 11)),
)


def climb(
    denials: dict[str, str | None],
    approvals: dict[str, ApprovalState] | None = None,
    orders: list[Ordered] | None = None,
) -> Funnel:
    return funnel(
        TONIGHT,
        SCREEN,
        [Deliberated(symbol, why) for symbol, why in denials.items()],
        [Answered(symbol, state) for symbol, state in (approvals or {}).items()],
        orders or [],
    )


def test_an_evening_counted_from_the_universe_to_the_fill() -> None:
    evening = climb(
        {"AAA": None, "BBB": "heat", "CCC": "consensus"}, {"AAA": APPROVED}, [Ordered("AAA", FILLED)]
    )
    counts = [(rung.name.value, rung.entered, rung.left) for rung in evening.rungs]
    assert counts == [
        ("universe", 100, 100),
        ("fresh", 100, 90),
        ("screened", 90, 3),
        ("thesis", 3, 3),
        ("voted", 3, 2),
        ("within limits", 2, 1),
        ("approved", 1, 1),
        ("filled", 1, 1),
    ]
    assert evening.last is None
    assert evening.sentence == "1 of 100 symbols became a trade."


def test_the_screen_names_what_a_symbol_can_fail_together() -> None:
    screened = climb({}).rung(RungName.SCREENED)
    assert [(denial.reason, denial.count) for denial in screened.denials] == [
        ("liquidity", 20),
        ("oversold or volatility", 66),
        ("not among the best", 1),
    ]


@pytest.mark.parametrize(
    ("denials", "approvals", "orders", "sentence"),
    [
        pytest.param(
            {"AAA": "held", "BBB": "setup", "CCC": "setup"},
            {},
            [],
            "the last 3 candidates of 100 stopped at 'thesis' (held: AAA; setup: BBB, CCC).",
            id="no setup",
        ),
        pytest.param(
            {"AAA": "consensus", "BBB": "setup", "CCC": "setup"},
            {},
            [],
            "the last candidate of 100 stopped at 'voted' (consensus: AAA).",
            id="outvoted",
        ),
        pytest.param(
            {"AAA": "risk_manager", "BBB": "sector", "CCC": "setup"},
            {},
            [],
            "the last 2 candidates of 100 stopped at 'within limits' (risk_manager: AAA; sector: BBB).",
            id="limits old and new",
        ),
        pytest.param(
            {"AAA": None, "BBB": None, "CCC": None},
            {"AAA": ApprovalState.REJECTED, "BBB": ApprovalState.EXPIRED},
            [],
            "'approved' (expired: BBB; not asked yet: CCC; rejected: AAA).",
            id="no verdict",
        ),
        pytest.param(
            {"AAA": None, "BBB": None, "CCC": None},
            {"AAA": APPROVED, "BBB": APPROVED, "CCC": APPROVED},
            [Ordered("AAA", OrderState.SKIPPED, "gap"), Ordered("BBB", OrderState.RESTING)],
            "'filled' (gap: AAA; no order yet: CCC; order rests: BBB).",
            id="no fill",
        ),
        pytest.param(
            {},
            {},
            [],
            "the last 3 candidates of 100 stopped at 'thesis' (not deliberated: AAA, BBB, CCC).",
            id="not yet",
        ),
    ],
)
def test_why_there_was_no_trade(
    denials: dict[str, str | None],
    approvals: dict[str, ApprovalState],
    orders: list[Ordered],
    sentence: str,
) -> None:
    evening = climb(denials, approvals, orders)
    assert evening.sentence.startswith("No trade: ")
    assert evening.sentence.endswith(sentence)


def test_while_somebody_waits_for_a_verdict_nothing_is_said_to_have_failed() -> None:
    evening = climb({"AAA": None, "BBB": None, "CCC": "sector"}, {"AAA": ApprovalState.PENDING}, [])
    assert evening.sentence == "1 of 100 symbols wait for a verdict: AAA."


def test_a_screen_without_candidates_and_a_desk_without_a_universe() -> None:
    nobody = ScreenCounts(universe=5, with_data=0, passed=0, selected=(), failures=(("fresh", 5),))
    assert funnel(TONIGHT, nobody, []).sentence == (
        "No trade: the last 5 candidates of 5 stopped at 'fresh' (fresh: 5)."
    )
    empty = ScreenCounts(universe=0, with_data=0, passed=0, selected=(), failures=())
    assert funnel(TONIGHT, empty, []).sentence == "No trade: the universe is empty."


def test_nobody_turns_up_twice_or_from_nowhere() -> None:
    twice = [Deliberated("AAA", None), Deliberated("AAA", "heat")]
    with pytest.raises(ValueError, match="every symbol once"):
        funnel(TONIGHT, SCREEN, twice)
    with pytest.raises(ValueError, match="reached 'thesis', was ZZZ"):
        climb({"ZZZ": None})
    with pytest.raises(ValueError, match="reached 'approved', was AAA"):
        climb({"AAA": "heat"}, {"AAA": APPROVED})
    with pytest.raises(ValueError, match="reached 'filled', was AAA"):
        climb({"AAA": None}, {}, [Ordered("AAA", FILLED)])


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="to leave fresh or stop there"):
        funnel(TONIGHT, replace(SCREEN, universe=101), [])
    with pytest.raises(ValueError, match="expected 2 symbols or none"):
        RungDenial(reason="heat", count=2, symbols=("AAA",))
    evening = climb({})
    with pytest.raises(ValueError, match="every rung once and in order"):
        replace(evening, rungs=evening.rungs[::-1])
    stranger = Rung(name=RungName.UNIVERSE, entered=7, left=7, denials=())
    with pytest.raises(ValueError, match="to enter fresh, 100 did"):
        replace(evening, rungs=(stranger, *evening.rungs[1:]))


whys = st.sampled_from(["held", "setup", "consensus", "heat", "cash", "risk_manager", None])


@st.composite
def evenings(draw: st.DrawFn) -> Funnel:
    """Any evening the desk could have had, at any moment of it."""
    selected = tuple(f"S{number}" for number in range(draw(st.integers(0, 8))))
    unselected, failing, thin, stale = (draw(st.integers(0, 9)) for _ in range(4))
    with_data = len(selected) + unselected + failing + thin
    screen = ScreenCounts(
        universe=with_data + stale,
        with_data=with_data,
        passed=len(selected) + unselected,
        selected=selected,
        failures=(("fresh", stale), ("history", 0), ("liquidity", thin), ("oversold", failing)),
    )
    asked = [Deliberated(symbol, draw(whys)) for symbol in selected if draw(st.booleans())]
    proposed = [item.symbol for item in asked if item.denied_by is None]
    answers = [Answered(s, draw(st.sampled_from(ApprovalState))) for s in proposed if draw(st.booleans())]
    approved = [item.symbol for item in answers if item.state is APPROVED]
    orders = [Ordered(s, draw(st.sampled_from(OrderState))) for s in approved if draw(st.booleans())]
    return funnel(TONIGHT, screen, asked, answers, orders)


@given(evenings())
def test_nobody_is_lost_on_the_way(evening: Funnel) -> None:
    rungs = evening.rungs
    assert all(rung.left + rung.denied == rung.entered for rung in rungs)
    assert all(above.left == below.entered for above, below in pairwise(rungs))
    assert sum(rung.denied for rung in rungs) + rungs[-1].left == rungs[0].entered
    named = [symbol for rung in rungs for denial in rung.denials for symbol in denial.symbols]
    assert len(set(named)) == len(named)


@given(evenings())
def test_the_sentence_names_the_rung_where_the_last_one_fell(evening: Funnel) -> None:
    if evening.rungs[-1].left:
        assert evening.last is None
        assert "became" in evening.sentence
    elif evening.rungs[0].entered:
        assert evening.last is not None
        waiting = any(denial.reason == WAITING for denial in evening.last.denials)
        assert ("wait for a verdict" if waiting else f"'{evening.last.name}'") in evening.sentence
        assert all(rung.left for rung in evening.rungs[: evening.rungs.index(evening.last)])
