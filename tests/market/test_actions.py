"""Corporate actions: their order, their exact ratios, and whether prices bear them out."""

import gzip
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.actions import ActionKind, Actions, CorporateAction, reconcile
from agents.market.bars import DateArray
from agents.market.calendar import previous_session, sessions
from agents.market.history import HistoryPack
from agents.market.pack_csv import parse_actions

MONDAY = date(2024, 3, 4)
FRIDAY, MONDAY_AFTER = date(2014, 6, 6), date(2014, 6, 9)  # around Apple's 7:1
WEEK = sessions(MONDAY, date(2024, 3, 8))


def split(value: str, day: date = WEEK[2], symbol: str = "AAA") -> CorporateAction:
    return CorporateAction(
        symbol=symbol, ex_date=day, kind=ActionKind.SPLIT, value=Decimal(value), source="test"
    )


def dividend(value: str, day: date = WEEK[2], symbol: str = "AAA") -> CorporateAction:
    return CorporateAction(
        symbol=symbol, ex_date=day, kind=ActionKind.DIVIDEND, value=Decimal(value), source="test"
    )


def rename(day: date = WEEK[2], symbol: str = "AAA") -> CorporateAction:
    return CorporateAction(
        symbol=symbol, ex_date=day, kind=ActionKind.SYMBOL_CHANGE, new_symbol="NEW", source="test"
    )


def days(*chosen: date) -> DateArray:
    return np.array(chosen, "datetime64[D]")


def test_actions_are_found_by_day_by_span_and_by_symbol() -> None:
    some = [rename(), split("2", WEEK[3]), dividend("1"), split("3"), dividend("1", WEEK[0], "BBB")]
    actions = Actions(some)
    assert [action.kind for action in actions.on(WEEK[2])] == ["split", "dividend", "symbol_change"]
    assert actions.on(WEEK[1]) == ()
    assert actions.between(WEEK[0], WEEK[1]) == (some[4],)
    assert actions.between(WEEK[2], WEEK[3]) == (*actions.on(WEEK[2]), some[1])
    assert actions.of("BBB") == (some[4],)
    assert actions.of("CCC") == ()
    assert len(actions) == len(list(actions)) == 5
    assert len(Actions()) == 0


def test_an_action_without_what_belongs_to_it_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a new symbol for the symbol_change of AAA"):
        CorporateAction(symbol="AAA", ex_date=MONDAY, kind=ActionKind.SYMBOL_CHANGE, source="test")
    with pytest.raises(ValueError, match="expected a finite value for the split of AAA"):
        CorporateAction(symbol="AAA", ex_date=MONDAY, kind=ActionKind.SPLIT, source="test")
    with pytest.raises(ValueError, match="expected a finite value for the dividend of AAA"):
        dividend("NaN")
    with pytest.raises(ValueError, match="has no value"):
        _ = rename().amount


@pytest.mark.parametrize(
    ("told", "ratio"),
    [
        ("7.00000700001", Fraction(7)),
        ("3.000003", Fraction(3)),
        ("1.49999925", Fraction(3, 2)),
        ("1.0499999475", Fraction(21, 20)),
        ("0.333333333333", Fraction(1, 3)),
        ("0.05", Fraction(1, 20)),
        ("1.319", Fraction(1319, 1000)),
        ("-2", Fraction(-2)),
        ("0", Fraction(0)),
    ],
)
def test_the_noise_of_a_vendor_is_taken_off_a_ratio(told: str, ratio: Fraction) -> None:
    assert split(told).ratio == ratio


@given(st.integers(1, 100), st.integers(1, 100))
def test_every_ratio_of_small_numbers_survives_being_written_with_twelve_digits(new: int, old: int) -> None:
    assert split(f"{new / old:.12g}").ratio == Fraction(new, old)


def test_a_split_that_the_factor_steps_by_is_kept() -> None:
    found = reconcile("AAA", days(*WEEK), np.array([4, 4, 2.001, 2, 2.0]), [split("2"), dividend("1")])
    assert len(found.actions) == 2
    assert found.notes == ()
    assert [found.basis.at(day) for day in WEEK] == [4, 4, 2.001, 2, 2]


@pytest.mark.parametrize("after", [4.0, 2.02, 1.98, 8.0])
def test_a_split_that_the_factor_contradicts_is_left_out(after: float) -> None:
    factors = np.array([4, 4, after, after, after])
    found = reconcile("AAA", days(*WEEK), factors, [split("2"), dividend("1")])
    assert [action.kind for action in found.actions] == ["dividend"]
    [note] = found.notes
    assert note.session == WEEK[2]
    assert "a split of 2 is told" in note.what
    assert [found.basis.at(day) for day in WEEK] == factors.tolist()


def test_a_step_without_any_action_is_noted_and_one_with_a_distribution_is_not() -> None:
    factors = np.array([1.1, 1.1, 1.0, 1.0, 1.0])
    [note] = reconcile("AAA", days(*WEEK), factors, []).notes
    assert note.what == "prices change their basis by 1.1 without any action"
    assert reconcile("AAA", days(*WEEK), factors, [dividend("3")]).notes == ()


def test_a_split_while_nothing_trades_changes_the_basis_on_its_day() -> None:
    found = reconcile("AAA", days(WEEK[0], WEEK[4]), np.array([6.0, 1.0]), [split("2"), split("3", WEEK[3])])
    assert [found.basis.at(day) for day in WEEK] == [6, 6, 3, 1, 1]
    assert len(found.actions) == 2


def test_splits_outside_the_bars_stand() -> None:
    before, after = split("2", MONDAY), split("4", WEEK[4])
    found = reconcile("AAA", days(*WEEK[1:4]), np.array([4.0, 4.0, 4.0]), [before, after])
    assert found.actions == (before, after)
    assert [found.basis.at(day) for day in WEEK] == [1, 4, 4, 4, 1]
    assert reconcile("AAA", days(), np.array([]), [before]).actions == (before,)


@pytest.mark.long
@pytest.mark.pack
def test_every_split_of_the_pack_is_seen_in_its_views(market_pack: HistoryPack) -> None:
    data = (market_pack.folder / "corporate_actions.csv.gz").read_bytes()
    assert gzip.decompress(data).count(b"\n") == 4605
    told = parse_actions(data, "actions.csv.gz", market_pack.instruments)
    splits = [action for action in told if action.kind is ActionKind.SPLIT]
    assert len(splits) == 40
    applied = {action.key for action in market_pack.actions}
    for action in splits:
        eve = previous_session(action.ex_date)
        before = market_pack.view(eve).bars(action.symbol)
        after = market_pack.view(action.ex_date).bars(action.symbol)
        assert (len(after), after.sessions[-2].item()) == (len(before) + 1, eve)
        # The one the prices contradict is a dividend of 1.05 dollars that was read as a split.
        ratio = float(action.ratio) if action.key in applied else 1.0
        np.testing.assert_allclose(after.close[:-1] * ratio, before.close, rtol=0.005)
        np.testing.assert_allclose(after.volume[:-1] / ratio, before.volume, rtol=0.005)
        jump = after.open[-1] / before.close[-1] * float(action.ratio)
        assert 0.75 < jump < 1.25
    left_out = {(action.symbol, action.ex_date) for action in splits if action.key not in applied}
    assert left_out == {("EL", date(2011, 11, 23))}


@pytest.mark.long
@pytest.mark.pack
def test_what_does_not_fit_in_the_pack_is_noted(market_pack: HistoryPack) -> None:
    assert [(note.symbol, str(note.session)) for note in market_pack.data_notes] == [
        ("APD", "2016-10-03"),
        ("BK", "2007-07-02"),
        ("DIS", "2007-06-13"),
        ("EL", "2011-11-23"),
        ("HON", "2016-10-03"),
    ]
    assert len(market_pack.actions) == 4603
    apple = market_pack.actions.on(MONDAY_AFTER)
    splits = {(action.symbol, float(action.ratio)) for action in apple if action.kind is ActionKind.SPLIT}
    assert splits == {("AAPL", 7), ("UNP", 2)}
    eve, day = (market_pack.view(session).bars("AAPL").close[-1] for session in (FRIDAY, MONDAY_AFTER))
    assert eve == pytest.approx(645.57, abs=0.005)
    assert day == pytest.approx(93.70, abs=0.005)
