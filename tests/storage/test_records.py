"""The records all rooms share: fingerprints, headroom, identifiers and money."""

from __future__ import annotations

import time
from dataclasses import fields
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records import LimitCheck, SetupType, TradeTerms, to_cents, to_price, uuid7
from tests.storage.desk_builder import LIMITS, terms

MONEY = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=8)

OTHER_VALUES: dict[str, object] = {
    "symbol": "AAPM",
    "setup_type": "another_setup",
    "entry_session": date(2018, 1, 31),
    "min_entry": Decimal("160.0001"),
    "max_entry": Decimal("163.9999"),
    "stop": Decimal("158.4999"),
    "target": Decimal("171.2501"),
    "max_shares": 101,
    "max_risk": Decimal("550.01"),
    "max_hold": 11,
    "parameters_version": 2,
    "limits": LIMITS | {"heat": 0.0600001},
}


def check(name: str, limit: float, before: float, after: float) -> LimitCheck:
    return LimitCheck(name=name, limit=limit, before=before, after=after)


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "passed", "headroom"),
    [
        (check("heat", 0.06, 0.0, 0.015), True, 0.75),
        (check("heat", 0.06, 0.03, 0.06), True, 0.0),
        (check("heat", 0.06, 0.05, 0.09), False, -0.5),
        (check("daily_loss", 0.0, 0.0, 0.0), True, 0.0),
        (check("cash", 0.0, 100_000.0, 25_000.0), True, 0.25),
        (check("cash", 20_000.0, 100_000.0, 60_000.0), True, 0.5),
        (check("cash", 20_000.0, 100_000.0, 20_000.0), True, 0.0),
        (check("cash", 20_000.0, 100_000.0, 12_000.0), False, -0.1),
        (check("cash", 20_000.0, 20_000.0, 20_000.0), True, 0.0),
        (check("cash", 20_000.0, 15_000.0, 10_000.0), False, 0.0),
    ],
)
def test_a_check_passes_up_to_its_limit_and_tells_the_room_left(
    measured: LimitCheck, passed: bool, headroom: float
) -> None:
    assert measured.passed is passed
    assert measured.headroom == pytest.approx(headroom)


# -- fingerprints --------------------------------------------------------------------------------------------


def test_the_digest_is_the_same_in_every_process_and_version() -> None:
    assert terms().digest == "1626d6c9f74398d6263f5e999b03c6f4dc8592d3ca8cd0a62edee7a25ce4bcff"
    assert terms().digest == terms().digest


def test_the_order_in_which_limits_are_listed_does_not_matter() -> None:
    assert terms(limits=dict(reversed(LIMITS.items()))).digest == terms().digest


def test_another_value_is_known_for_every_term() -> None:
    assert set(OTHER_VALUES) == {field.name for field in fields(TradeTerms)}


@pytest.mark.parametrize("name", [field.name for field in fields(TradeTerms)])
def test_no_term_changes_without_the_digest(name: str) -> None:
    changed = terms(**{name: OTHER_VALUES[name]})
    assert changed != terms()
    assert changed.digest != terms().digest


@pytest.mark.parametrize("name", list(LIMITS))
def test_no_limit_is_widened_or_dropped_without_the_digest(name: str) -> None:
    widened = terms(limits=LIMITS | {name: LIMITS[name] + 1e-9})
    dropped = terms(limits={other: value for other, value in LIMITS.items() if other != name})
    assert len({widened.digest, dropped.digest, terms().digest}) == 3


def test_terms_that_swap_their_values_are_told_apart() -> None:
    assert terms(max_hold=100, max_shares=10).digest != terms(max_hold=10, max_shares=100).digest


@given(symbol=st.text(max_size=12), shares=st.integers(1, 10**6), price=st.integers(1, 10**9))
def test_a_digest_is_64_hex_digits_whatever_the_terms(symbol: str, shares: int, price: int) -> None:
    bound = terms(symbol=symbol, max_shares=shares, target=to_price(Decimal(price) / 100))
    assert len(bound.digest) == 64
    assert int(bound.digest, 16) >= 0


def test_a_setup_is_fingerprinted_by_its_value() -> None:
    assert terms(setup_type=SetupType("oversold_bounce")).digest == terms(setup_type="oversold_bounce").digest


# -- identifiers ---------------------------------------------------------------------------------------------


def test_a_uuid7_is_what_it_claims_and_carries_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == RFC_4122
    assert before <= made.int >> 80 <= after


def test_uuid7s_are_ordered_by_time_and_never_repeat() -> None:
    made = [uuid7() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


# -- money ---------------------------------------------------------------------------------------------------


@given(MONEY)
def test_cents_are_exact_to_half_a_cent_and_half_a_cent_goes_away_from_zero(value: Decimal) -> None:
    rounded = to_cents(value)
    assert rounded.as_tuple().exponent == -2
    assert abs(rounded - value) <= Decimal("0.005")
    if abs(rounded - value) == Decimal("0.005"):
        assert abs(rounded) > abs(value)
    assert to_cents(rounded) == rounded


@given(MONEY, MONEY)
def test_rounding_to_cents_keeps_the_order_and_the_sign(one: Decimal, other: Decimal) -> None:
    if one <= other:
        assert to_cents(one) <= to_cents(other)
    assert to_cents(-one) == -to_cents(one)


@given(MONEY)
def test_a_price_has_four_decimals_and_is_within_half_a_tick(value: Decimal) -> None:
    price = to_price(value)
    assert price.as_tuple().exponent == -4
    assert abs(price - value) <= Decimal("0.00005")


@given(st.floats(min_value=0.0001, max_value=1e9))
def test_a_float_becomes_the_price_it_is_printed_as(value: float) -> None:
    assert to_price(value) == Decimal(repr(value)).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)


@pytest.mark.parametrize(("value", "cents"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("1.0049999", "1.00")])
def test_half_a_cent_as_on_a_statement(value: str, cents: str) -> None:
    assert str(to_cents(Decimal(value))) == cents


@pytest.mark.parametrize(("value", "price"), [(2.675, "2.6750"), (0.00005, "0.0001"), (1e-05, "0.0000")])
def test_a_float_price_is_not_rounded_by_its_binary_value(value: float, price: str) -> None:
    assert str(to_price(value)) == price
