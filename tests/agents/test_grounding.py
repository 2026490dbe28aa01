"""A number that was given may be stated in its own forms; one that was not is struck and counted."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.grounding import UNVERIFIED, Fact, Facts, Figure, Unit, contradictions
from storage.plain import clean

GIVEN = Facts(
    [
        Fact(name="close", value=162.5, unit=Unit.USD, source="technicals"),
        Fact(name="sma200", value=150.0, unit=Unit.USD, source="technicals"),
        Fact(name="dollar_volume20", value=5.2e7, unit=Unit.USD, source="technicals"),
        Fact(name="rsi14", value=31.4, unit=Unit.RATIO, source="technicals"),
        Fact(name="return_126d", value=-0.118, unit=Unit.FRACTION, source="technicals"),
        Fact(name="realised_vol_21d_percent", value=27.3, unit=Unit.PERCENT, source="technicals"),
        Fact(name="shares", value=120.0, unit=Unit.COUNT, source="trade"),
    ],
    days=[date(2026, 11, 25)],
)


@pytest.mark.parametrize(
    "said",
    [
        "It closed at $162.50, RSI(14) 31.4.",
        "It closed near 162 with RSI at 31.",
        "It fell 11.8% in 126 sessions, volatility 27% a year.",
        "It fell by 0.118, volatility 0.273.",
        "A return of -12 percent over the 126-day window.",
        "Dollar volume is $52M, or 52,000,000 a session.",
        "It lies above its 200-session average, SMA200 at 150.",
        "As of 2026-11-25 we hold 120 shares.",
    ],
)
def test_a_given_number_may_be_told_in_its_own_forms(said: str) -> None:
    checked = GIVEN.text(said, 500)
    assert checked.text == said
    assert checked.figures or "RSI" in said
    assert all(figure.grounded and figure.source for figure in checked.figures)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("It closed at $171.", f"It closed at {UNVERIFIED}."),
        ("RSI is 24.9.", f"RSI is {UNVERIFIED}."),
        ("It fell 23%.", f"It fell {UNVERIFIED}."),
        ("A P/E of 12.5 and USD900.", f"A P/E of {UNVERIFIED} and USD{UNVERIFIED}."),
        ("We hold 121 shares.", f"We hold {UNVERIFIED} shares."),
        ("The RSI is 31.4%.", f"The RSI is {UNVERIFIED}."),
        ("Support at 1e9 since 2026-11-24.", f"Support at {UNVERIFIED} since {UNVERIFIED}."),
    ],
)
def test_a_number_that_was_not_given_is_struck(said: str, left: str) -> None:
    checked = GIVEN.text(said, 500)
    assert checked.text == left
    assert not all(figure.grounded for figure in checked.figures) or "since" in said


def test_a_metric_must_be_what_was_given_under_its_name() -> None:
    assert GIVEN.metric("rsi14", 31.4) == Figure(name="rsi14", value=31.4, grounded=True, source="technicals")
    assert not GIVEN.metric("rsi14", 39.0).grounded
    assert not GIVEN.metric("pe_ratio", 31.4).grounded
    assert GIVEN.metric("\x1b[31m" + "x" * 99, 1.0).name == clean("x" * 37 + "...")


@given(st.floats(min_value=1, max_value=1e6), st.sampled_from([1, 2, 4]))
def test_a_price_is_grounded_however_it_is_rounded(price: float, digits: int) -> None:
    facts = Facts([Fact(name="close", value=price, unit=Unit.USD, source="bars")])
    assert facts.text(f"It closed at ${price:,.{digits}f}.", 99).figures[0].grounded


@given(st.floats(min_value=1, max_value=1e6), st.floats(min_value=1.02, max_value=9))
def test_a_price_that_is_off_by_more_than_its_tolerance_is_not(price: float, times: float) -> None:
    facts = Facts([Fact(name="close", value=price, unit=Unit.USD, source="bars")])
    assert not facts.text(f"It closed at ${price * times:.4f}.", 99).figures[0].grounded


@given(st.text(max_size=300))
def test_whatever_is_said_comes_out_harmless_and_short(said: str) -> None:
    checked = GIVEN.text(said, 100)
    assert clean(checked.text) == checked.text
    assert len(checked.text) <= 100 * len(UNVERIFIED)
    assert all(figure.grounded == bool(figure.source) for figure in checked.figures)


def test_no_number_is_too_large_to_be_struck() -> None:
    checked = GIVEN.text(f"{'9' * 400} and 1e99999", 500)
    assert checked.text == f"{UNVERIFIED} and {UNVERIFIED}"


def test_two_agents_that_tell_one_figure_differently_contradict_each_other() -> None:
    def figure(name: str, value: float) -> Figure:
        return Figure(name=name, value=value, grounded=False, source="")

    research = [figure("rsi14", 30.0), figure("return_126d", 0.12), figure("", 5.0)]
    strategy = [figure("rsi14", 45.0), figure("return_126d", 12.0), figure("", 7.0)]
    assert contradictions({"research": research, "strategy": strategy}) == (
        "rsi14: research 30, strategy 45",
    )
    assert contradictions({"research": research, "strategy": research}) == ()
