"""What splits, dividends and new names do to a position, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.market.actions import ActionKind, CorporateAction
from agents.market.calendar import add_sessions, next_session, previous_session
from agents.market.history import HistoryPack
from agents.trading.book import OpenPosition
from agents.trading.broker import exit_on_bar
from agents.trading.corporate import (
    Applied,
    Refused,
    apply_action,
    live_through,
    pending_after,
    presumed_delisted,
    price_after,
    release,
    suspected_split,
)
from agents.trading.costs import Costs
from agents.trading.outcomes import outcome
from storage.records import TICK, to_cents, to_price
from tests.trading.builders import ENTRY, NO_COSTS, bar, position

EX = next_session(ENTRY)


def action(
    kind: ActionKind, value: str | None = None, day: date = EX, symbol: str = "AAA", new: str | None = None
) -> CorporateAction:
    return CorporateAction(
        symbol=symbol,
        ex_date=day,
        kind=kind,
        source="test",
        value=None if value is None else Decimal(value),
        new_symbol=new,
    )


def split(value: str, day: date = EX, symbol: str = "AAA") -> CorporateAction:
    return action(ActionKind.SPLIT, value, day, symbol)


def dividend(value: str, day: date = EX, symbol: str = "AAA") -> CorporateAction:
    return action(ActionKind.DIVIDEND, value, day, symbol)


def rename(day: date = EX) -> CorporateAction:
    return action(ActionKind.SYMBOL_CHANGE, day=day, new="NEW")


def applied(held: OpenPosition, what: CorporateAction, **more: Any) -> Applied:
    result = apply_action(held, what, **{"today": what.ex_date, "applied": (), **more})
    assert isinstance(result, Applied)
    return result


def kept(result: Applied) -> OpenPosition:
    assert result.position is not None
    return result.position


def refusal(held: OpenPosition, what: CorporateAction, **more: Any) -> str:
    result = apply_action(held, what, **{"today": what.ex_date, "applied": (), **more})
    assert isinstance(result, Refused)
    return result.reason


def test_seven_for_one() -> None:
    result = applied(position(), split("7.00000700001"))
    held = kept(result)
    assert held.shares == 700
    assert (held.entry_price, held.stop, held.target) == (
        Decimal("14.2857"),
        Decimal("13.7143"),
        Decimal("15.1429"),
    )
    assert (held.low_since, held.high_since, held.last_close) == (held.entry_price,) * 3
    assert (held.id, held.entry_fee, held.entry_session) == (position().id, Decimal("1.00"), ENTRY)
    assert (result.cash, result.fraction, result.price) == (Decimal("0.00"), Fraction(0), None)
    assert (result.cost_before, result.cost_after) == (Decimal("10000.00"), Decimal("9999.99"))
    assert result.realised == Decimal("-0.01")  # the entry price was rounded down by 0.00001 a share
    assert result.note == "split 7 for 1: 100 shares became 700"


def test_three_for_two_with_odd_shares_pays_the_half_share() -> None:
    result = applied(position(shares=101), split("1.49999925"))
    held = kept(result)
    assert (held.shares, held.entry_price, held.stop) == (151, Decimal("66.6667"), Decimal("64.0000"))
    assert (result.fraction, result.price) == (Fraction(1, 2), Decimal("66.6667"))
    assert result.cash == Decimal("33.33")
    assert result.note == "split 3 for 2: 101 shares became 151, 0.5 of a share paid at 66.6667"


def test_a_reverse_split_pays_the_rest_at_the_reference_price() -> None:
    result = applied(position(shares=57), split("0.1"), reference=Decimal("1010.00"))
    held = kept(result)
    assert held.shares == 5
    assert [held.entry_price, held.stop, held.target] == [1000, 960, 1060]
    assert (result.fraction, result.cash) == (Fraction(7, 10), Decimal("707.00"))
    assert result.realised == Decimal("7.00")  # 0.7 of a share bought at 1000 and paid at 1010


def test_one_for_three_is_no_share_short() -> None:
    result = applied(position(shares=300), split("0.333333333333"))
    assert (kept(result).shares, result.cash) == (100, Decimal("0.00"))


def test_a_position_that_becomes_no_share_is_paid_out() -> None:
    result = applied(position(shares=7), split("0.1"))
    assert result.position is None
    assert result.cash == Decimal("700.00")
    assert (result.cost_after, result.realised) == (Decimal("0.00"), Decimal("0.00"))
    assert "7 shares became 0" in result.note


def test_the_stop_stays_below_and_the_target_above_the_entry_at_the_smallest_prices() -> None:
    cheap = replace(
        position(),
        entry_price=Decimal("0.0100"),
        stop=Decimal("0.0099"),
        initial_stop=Decimal("0.0099"),
        target=Decimal("0.0101"),
    )
    held = kept(applied(cheap, split("10")))
    assert (held.stop, held.entry_price, held.target) == (
        Decimal("0.0009"),
        Decimal("0.0010"),
        Decimal("0.0011"),
    )
    assert "to the smallest step 0.0001" in refusal(cheap, split("100"))


def test_a_dividend_is_cash_and_lowers_no_stop() -> None:
    result = applied(position(shares=33), dividend("0.125"))
    assert result.cash == result.realised == Decimal("4.13")
    assert result.position == position(shares=33)
    assert result.note == "dividend of 0.125 on 33 shares"
    large = applied(position(), dividend("5"))
    assert kept(large).stop == position().stop
    assert large.note.endswith("more than 2% of the last close: the stop stays where it is")


def test_a_spin_off_pays_and_lowers_every_price() -> None:
    result = applied(position(), dividend("5.01"))
    held = kept(result)
    assert (result.cash, result.is_income, result.realised) == (Decimal("501.00"), False, Decimal("0.00"))
    assert [held.entry_price, held.stop, held.target] == [
        Decimal("94.99"),
        Decimal("90.99"),
        Decimal("100.99"),
    ]
    assert [held.low_since, held.high_since, held.last_close] == [Decimal("94.99")] * 3
    assert held.initial_stop == held.stop
    assert applied(position(), dividend("5")).is_income
    assert applied(position(), dividend("97")).is_income  # no stop would be left above zero


def test_a_late_spin_off_leaves_the_bars_it_is_in_alone() -> None:
    lived = position().survive(bar(90, 91, 88, 89, session=EX))
    held = kept(applied(lived, dividend("10"), today=next_session(EX)))
    assert [held.entry_price, held.stop, held.last_close] == [90, 86, 89]
    assert [held.low_since, held.high_since] == [89, 90]


@given(
    st.integers(1, 5_000),
    st.integers(200_000, 20_000_000),
    st.integers(-4, 9),
    st.integers(51_000, 500_000),
    st.integers(-300, 300),
)
def test_nobody_is_stopped_out_by_the_bookkeeping_of_a_spin_off(
    shares: int, ticks: int, above: int, share: int, move: int
) -> None:
    """A bar ends the position after a spin-off exactly when the bar with the cash added ends it without."""
    entry = ticks * TICK
    before = bought(shares, entry, to_price(entry * (100 + above) / 100))
    amount = before.last_close * share / 1_000_000
    result = applied(before, dividend(str(amount)))
    after = kept(result)
    assert result.drop == to_price(amount)
    worth = value(after, after.last_close) + result.cash - value(before, before.last_close)
    assert abs(worth) <= shares * TICK / 2 + Decimal("0.005")
    assert result.realised == result.cash - (result.cost_before - result.cost_after)
    assert (after.heat, after.target - after.stop) == (before.heat, before.target - before.stop)
    assert after.initial_stop == after.stop
    opened = after.last_close * (10_000 + move) / 10_000
    ends = []
    for held, price in ((after, opened), (before, to_price(opened) + result.drop)):
        one = float(price)
        leaving = exit_on_bar(
            held, bar(one, one, one, one), entered_today=False, sessions_held=1, costs=NO_COSTS
        )
        ends.append(leaving.reason if leaving else None)
    assert ends[0] == ends[1]
    if move >= 0:
        assert ends[0] != "stop_loss"


def test_a_renamed_position_keeps_its_id() -> None:
    result = applied(position(), rename())
    assert result.position == replace(position(), symbol="NEW")
    assert (result.cash, result.note) == (Decimal("0.00"), "AAA is now NEW")


@pytest.mark.parametrize(
    ("what", "more", "reason"),
    [
        (split("0"), {}, "has the value 0, which is not above zero"),
        (split("-2"), {}, "has the value -2, which is not above zero"),
        (dividend("-1"), {}, "has the value -1, which is not above zero"),
        (split("101"), {}, "has the absurd ratio 101"),
        (split("0.009"), {}, "has the absurd ratio 0.009"),
        (dividend("100"), {}, "of 100 is not below the last close 100"),
        (split("2"), {"applied": [split("3").key]}, "has been applied already"),
        (rename(), {"applied": [rename().key]}, "has been applied already"),
        (split("2"), {"today": ENTRY}, "is still to come"),
        (split("2", symbol="BBB"), {}, "is not about AAA"),
        (split("2", ENTRY), {}, "it was bought at a price that knows it"),
        (dividend("1", ENTRY), {"today": EX}, "it was bought at a price that knows it"),
        (
            dividend("1"),
            {"today": add_sessions(EX, 2), "applied": [split("2", next_session(EX)).key]},
            "comes after a later split was applied",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(what: CorporateAction, more: dict[str, Any], reason: str) -> None:
    assert reason in refusal(position(), what, **more)


def test_the_largest_ratios_are_still_believed() -> None:
    assert kept(applied(position(), split("100"))).shares == 10_000
    assert kept(applied(position(), split("0.01"))).shares == 1


def test_a_late_split_is_applied_once_and_says_so() -> None:
    today = add_sessions(EX, 3)
    unseen = applied(position(), split("2"), today=today)
    assert unseen.late
    assert unseen.note.startswith("late, split 2 for 1")
    assert kept(unseen).last_close == 50
    assert refusal(kept(unseen), split("2"), today=today, applied=[split("2").key]).endswith("already")
    assert applied(position(), dividend("1"), today=today).note.startswith("late, dividend of 1")


def test_bars_after_a_missed_split_are_not_divided_again() -> None:
    lived = position().survive(bar(50, 51, 48, 50.5, session=EX))
    held = kept(applied(lived, split("2"), today=next_session(EX)))
    assert [held.entry_price, held.stop] == [50, 48]
    assert (held.last_close, held.low_since, held.high_since) == (
        Decimal("50.5"),
        Decimal(50),
        Decimal("50.5"),
    )


def test_actions_of_a_day_take_effect_in_their_order() -> None:
    what = [rename(), dividend("1"), split("2")]
    held, results = live_through(position(), what, today=EX, applied=())
    assert held is not None
    assert (held.symbol, held.shares) == ("NEW", 200)
    assert [result.action.kind for result in results] == ["split", "dividend", "symbol_change"]
    assert isinstance(results[1], Applied)
    assert results[1].cash == Decimal("200.00")


def test_an_action_said_twice_is_lived_through_once() -> None:
    held, results = live_through(position(), [split("2"), split("2")], today=EX, applied=())
    assert held is not None
    assert held.shares == 200
    assert [type(result) for result in results] == [Applied, Refused]


def test_nothing_happens_to_a_position_that_was_paid_out() -> None:
    held, results = live_through(position(shares=1), [split("0.1"), dividend("1")], today=EX, applied=())
    assert held is None
    assert isinstance(results[1], Refused)
    assert "nothing of AAA is held any more" in results[1].reason


@pytest.mark.parametrize(
    ("actions", "keep", "reason"),
    [
        ([], True, "no action of AAA"),
        ([split("2", symbol="BBB")], True, "no action of AAA"),
        ([split("2")], False, "AAA split 2 for 1 on 2024-03-11: the prices are void"),
        ([rename()], False, "AAA became NEW on 2024-03-11"),
        ([dividend("2")], True, "AAA pays 2"),
        ([dividend("2.01")], False, "AAA pays 2.01, more than 2% of the close 100"),
        ([dividend("1.5"), dividend("1.5", next_session(EX))], False, "AAA pays 3.0, more than 2%"),
        ([dividend("1"), split("2")], False, "AAA split 2 for 1"),
    ],
)
def test_a_pending_entry_is_void_where_its_prices_are(
    actions: Sequence[CorporateAction], keep: bool, reason: str
) -> None:
    decision = pending_after("AAA", actions, Decimal(100))
    assert decision.keep is keep
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    ("opened", "known", "suspected"),
    [
        ("75", [], False),
        ("74.99", [], True),
        ("125", [], False),
        ("125.01", [], True),
        ("1000", [], True),
        ("50", [split("2")], False),
        ("50", [dividend("0.5")], True),
        ("50", [dividend("48")], False),
        ("30", [split("2")], True),
        ("1000", [split("0.1")], False),
        ("50", [dividend("100")], True),
    ],
)
def test_a_move_beyond_a_quarter_that_no_action_explains_is_suspected(
    opened: str, known: Sequence[CorporateAction], suspected: bool
) -> None:
    assert (suspected_split(Decimal(100), Decimal(opened), known) is not None) is suspected


def test_a_suspicion_is_held_until_the_check_has_answered() -> None:
    suspicion = suspected_split(Decimal(100), Decimal(50), [])
    assert suspicion is not None
    assert suspicion.reason == "suspected split: opened at 50, -50.0% from the close 100"
    assert not release(suspicion, None).is_released
    found = release(suspicion, [split("2")])
    assert found.is_released
    assert found.reason == "explained by split 2: the stop stands after it is applied"
    for answer in ([], [dividend("0.1")]):
        real = release(suspicion, answer)
        assert real.is_released
        assert real.reason == "no action explains -50.0%: the move is the market's"


def test_a_symbol_without_bars_is_not_split() -> None:
    assert suspected_split(Decimal(100), None, []) is None
    assert not presumed_delisted(ENTRY, add_sessions(ENTRY, 4))
    assert presumed_delisted(ENTRY, add_sessions(ENTRY, 5))
    assert presumed_delisted(ENTRY, add_sessions(ENTRY, 2), after=2)


RATIOS = st.sampled_from(["2", "3", "7", "1.5", "1.25", "0.1", "0.05", "0.333333333333", "10", "1.05"])
PRICES = st.integers(200_000, 20_000_000).map(lambda ticks: ticks * TICK)  # 20 to 2,000 dollars
SHARES = st.integers(1, 5_000)


def bought(shares: int, entry: Decimal, close: Decimal) -> OpenPosition:
    return replace(
        position(shares=shares),
        entry_price=entry,
        stop=to_price(entry * Decimal("0.95")),
        initial_stop=to_price(entry * Decimal("0.95")),
        target=to_price(entry * Decimal("1.1")),
        low_since=min(entry, close),
        high_since=max(entry, close),
        last_close=close,
    )


def value(held: OpenPosition | None, price: Decimal) -> Decimal:
    return held.shares * price if held else Decimal(0)


@given(SHARES, PRICES, PRICES, RATIOS)
def test_a_split_makes_and_loses_nothing(shares: int, entry: Decimal, close: Decimal, told: str) -> None:
    before = bought(shares, entry, close)
    result = applied(before, split(told))
    after, ratio = result.position, split(told).ratio
    moved = value(after, price_after(close, ratio)) + result.cash - value(before, close)
    new_shares = after.shares if after else 0
    assert abs(moved) <= (new_shares + 1) * TICK / 2 + Decimal("0.005")
    assert shares * ratio == new_shares + result.fraction
    exact = entry * ratio.denominator / ratio.numerator
    left = new_shares * exact  # what was paid for the shares that stay, before any rounding
    assert abs(result.cost_after - left) <= new_shares * TICK / 2 + Decimal("0.005")
    if after:
        assert 0 < after.stop < after.entry_price < after.target
        assert after.low_since <= after.last_close <= after.high_since
        risk = new_shares * before.initial_risk * ratio.denominator / ratio.numerator
        assert abs(after.heat - risk) <= new_shares * TICK + Decimal("1e-9")


@given(SHARES, PRICES, RATIOS, st.integers(-400, 400))
def test_the_multiple_of_a_trade_is_the_same_with_and_without_a_split(
    shares: int, entry: Decimal, told: str, per_mille: int
) -> None:
    before = replace(bought(shares, entry, entry), entry_fee=Decimal(0))
    result = applied(before, split(told))
    assume(result.position is not None)
    after, ratio = kept(result), split(told).ratio
    sold = to_price(entry * (1000 + per_mille) / 1000)
    plain, lived = (
        outcome(held, leaving(held, price))
        for held, price in ((before, sold), (after, price_after(sold, ratio)))
    )
    slack = float(4 * TICK / after.initial_risk) * (1 + abs(plain.r_multiple)) + 0.02 / float(
        min(after.heat, before.heat)
    )
    assert lived.r_multiple == pytest.approx(plain.r_multiple, abs=slack)
    assert lived.mae_r == pytest.approx(plain.mae_r, abs=slack)
    assert lived.mfe_r == pytest.approx(plain.mfe_r, abs=slack)


@given(SHARES, PRICES, PRICES, RATIOS, RATIOS)
def test_two_splits_are_worth_their_product_in_either_order(
    shares: int, entry: Decimal, close: Decimal, first: str, second: str
) -> None:
    product = split(first).ratio * split(second).ratio
    after = price_after(close, product)
    worth = []
    for one, two in ((first, second), (second, first)):
        later = next_session(EX)
        held, results = live_through(
            bought(shares, entry, close), [split(one), split(two, later)], today=later, applied=()
        )
        paid = sum((result.cash for result in results if isinstance(result, Applied)), Decimal(0))
        worth.append(value(held, after) + paid)
        if held and all(isinstance(result, Applied) for result in results):
            # The first rounding is divided by the second ratio, then rounded again.
            slack = TICK / 2 * (1 + 1 / (Decimal(two) if Decimal(two) < 1 else Decimal(1))) + TICK / 100
            assert abs(held.entry_price - price_after(entry, product)) <= slack
            assert held.shares <= shares * product
    most = shares * max(1, float(product))
    assert abs(worth[0] - worth[1]) <= 25 * (int(most) + 2) * TICK + Decimal("0.02")


MOVES = st.lists(
    st.one_of(RATIOS.map(split), st.sampled_from(["0.25", "0.01", "1.337"]).map(dividend)), max_size=6
)


@given(SHARES, PRICES, MOVES)
def test_all_cash_of_a_trade_is_its_profits_to_the_cent(
    shares: int, entry: Decimal, moves: list[CorporateAction]
) -> None:
    """What is paid, comes in on the way and at the end is what outcome and actions say was earned."""
    start = held = bought(shares, entry, entry)
    cash = -to_cents(shares * entry) - start.entry_fee
    earned = Decimal(0)
    last: OpenPosition | None = held
    for place, move in enumerate(moves):
        result = apply_action(
            held, replace(move, ex_date=add_sessions(EX, place)), today=add_sessions(EX, place), applied=()
        )
        if isinstance(result, Refused):
            continue
        cash += result.cash
        earned += result.realised
        last = result.position
        if last is None:
            break
        held = last
    if last is None:
        assert cash == earned - start.entry_fee
        return
    fill = leaving(last, last.last_close)
    assert cash + fill.amount - fill.fee == earned + outcome(last, fill).pnl


def leaving(held: OpenPosition, price: Decimal) -> Any:
    """Sold at the close, at exactly `price`."""
    free = replace(held, stop=TICK, initial_stop=TICK, target=Decimal(10) ** 9)
    close = float(price)
    fill = exit_on_bar(
        free, bar(close, close, close, close), entered_today=False, sessions_held=99, costs=NO_COSTS
    )
    assert fill is not None
    return fill


@pytest.mark.pack
def test_apple_is_not_stopped_out_by_its_split(market_pack: HistoryPack) -> None:
    day = date(2014, 6, 9)
    eve = previous_session(day)
    before = market_pack.view(eve).bars("AAPL").on(eve)
    today = market_pack.view(day).bars("AAPL").on(day)
    assert before is not None
    assert today is not None
    assert (to_price(before.close), to_price(today.open)) == (Decimal("645.5708"), Decimal("92.7000"))
    close = to_price(before.close)
    held = replace(
        bought(15, Decimal("630.00"), close), symbol="AAPL", entry_session=date(2014, 6, 2), last_session=eve
    )
    unaware = exit_on_bar(held, today, entered_today=False, sessions_held=5, costs=Costs())
    assert unaware is not None
    assert unaware.reason == "stop_loss"
    suspicion = suspected_split(close, to_price(today.open), [])
    assert suspicion is not None

    known = [what for what in market_pack.actions.on(day) if what.symbol == "AAPL"]
    assert suspected_split(close, to_price(today.open), known) is None
    after, _ = live_through(held, known, today=day, applied=())
    assert after is not None
    assert (after.shares, after.entry_price, after.stop) == (105, Decimal("90.0000"), Decimal("85.5000"))
    assert exit_on_bar(after, today, entered_today=False, sessions_held=5, costs=Costs()) is None


@pytest.mark.pack
def test_every_split_of_the_pack_leaves_a_holding_its_worth(market_pack: HistoryPack) -> None:
    splits = [what for what in market_pack.actions if what.kind is ActionKind.SPLIT]
    assert len(splits) == 39
    for what in splits:
        eve = previous_session(what.ex_date)
        before = market_pack.view(eve).bars(what.symbol).on(eve)
        today = market_pack.view(what.ex_date).bars(what.symbol).on(what.ex_date)
        assert before is not None
        assert today is not None
        close = to_price(before.close)
        held = replace(
            bought(1000, close, close),
            symbol=what.symbol,
            entry_session=previous_session(eve),
            last_session=eve,
        )
        assert suspected_split(close, to_price(today.open), [what]) is None
        result = applied(held, what)
        worth = value(result.position, to_price(today.open)) + result.cash
        assert 0.75 < worth / value(held, close) < 1.25
