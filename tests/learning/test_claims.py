"""Claims are executable filters over closed trades: shrunk, expiring, and blind to what came later."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.learning.claims import (
    LEAST_TRADES,
    analyse,
    claim,
    shrunk_mean,
    statistics_of,
)
from agents.learning.filters import TradeFact, TradeFilter
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility

AS_OF = date(2024, 6, 3)

TRADES = st.lists(
    st.builds(
        TradeFact,
        id=st.uuids(),
        symbol=st.sampled_from(["AAA", "BBB"]),
        sector=st.sampled_from([None, "Energy", "Health Care"]),
        setup=st.sampled_from(SetupType),
        regime=st.sampled_from(Direction),
        volatility=st.sampled_from(Volatility),
        rsi=st.none() | st.floats(0, 100),
        vix=st.none() | st.floats(5, 80),
        exit_reason=st.sampled_from(ExitReason),
        entered=st.dates(date(2024, 1, 2), date(2024, 5, 1)),
        closed=st.dates(date(2024, 5, 2), date(2024, 7, 1)),
        r=st.floats(-2, 4),
        stances=st.just(((AgentName.RESEARCH, Stance.FOR),)),
    ),
    max_size=40,
)
FILTERS = st.builds(
    TradeFilter,
    setup=st.none() | st.sampled_from(SetupType),
    regime=st.none() | st.sampled_from(Direction),
    rsi=st.none() | st.just((20.0, 40.0)),
    sector=st.none() | st.just("Energy"),
)


def trade(number: int, **changes: object) -> TradeFact:
    fact = TradeFact(
        id=UUID(int=number),
        symbol="AAA",
        sector="Energy",
        setup=SetupType.OVERSOLD_BOUNCE,
        regime=Direction.BULL,
        volatility=Volatility.NORMAL_VOL,
        rsi=30.0,
        vix=None,
        exit_reason=ExitReason.TAKE_PROFIT,
        entered=date(2024, 3, 4),
        closed=date(2024, 3, 11),
        r=1.0,
    )
    return replace(fact, **changes)  # type: ignore[arg-type]


def test_each_level_is_shrunk_to_the_one_above_and_counts_once() -> None:
    here = {"setup": SetupType.OVERSOLD_BOUNCE, "regime": Direction.BEAR}
    trades = [
        trade(n, r=1.0 if n < 9 else -1.0, sector="Energy" if n < 6 else None, **here) for n in range(12)
    ]
    trades += [trade(100 + n, r=1.0 if n < 20 else -1.0) for n in range(30)]
    trades += [trade(200 + n, r=1.0 if n < 40 else -1.0, setup=SetupType.MOMENTUM) for n in range(100)]

    def found(**wanted: object) -> tuple[float, float, int]:
        told = statistics_of(TradeFilter.model_validate(wanted), trades, as_of=AS_OF)
        return told.win_rate, told.expected_rate, told.n

    desk = (69 + 20 * 0.5) / (142 + 20)
    bounces = (29 + 20 * desk) / (42 + 20)
    in_bear = (9 + 20 * bounces) / (12 + 20)
    in_energy = (6 + 20 * in_bear) / (6 + 20)
    assert found() == pytest.approx((desk, 0.5, 142))
    assert found(setup="oversold_bounce") == pytest.approx((bounces, desk, 42))
    assert found(**here) == pytest.approx((in_bear, bounces, 12))
    assert found(**here, sector="Energy") == pytest.approx((in_energy, in_bear, 6))


def test_the_interval_of_a_shrunk_mean_is_as_wide_as_the_trades_around_say() -> None:
    two_stops = [trade(n, r=-1.0, regime=Direction.BEAR) for n in range(2)]
    around = [trade(10 + n, r=2.0 if n % 2 else -1.0) for n in range(18)]
    found = statistics_of(
        TradeFilter(setup=SetupType.OVERSOLD_BOUNCE, regime=Direction.BEAR), two_stops + around, as_of=AS_OF
    )
    spread = float(np.std([one.r for one in two_stops + around], ddof=1))
    half = 1.959964 * spread / 22**0.5
    assert found.r_interval == pytest.approx((found.mean_r - half, found.mean_r + half))
    assert statistics_of(TradeFilter(), [trade(1)], as_of=AS_OF).r_interval is None


@settings(max_examples=100, deadline=None)
@given(TRADES, FILTERS)
def test_nothing_later_changes_a_claim(trades: list[TradeFact], wanted: TradeFilter) -> None:
    early = [one for one in trades if one.closed < AS_OF]
    assert claim(wanted, trades, as_of=AS_OF) == claim(wanted, early, as_of=AS_OF)
    assert analyse(trades, as_of=AS_OF) == analyse(early, as_of=AS_OF)


@settings(max_examples=100, deadline=None)
@given(TRADES, FILTERS)
def test_a_claim_is_what_its_trades_say(trades: list[TradeFact], wanted: TradeFilter) -> None:
    made = claim(wanted, trades, as_of=AS_OF)
    mine = [one for one in trades if one.closed < AS_OF and wanted.matches(one)]
    found = made.statistics
    assert made.trade_ids == tuple(one.id for one in mine)
    assert (found.n, found.wins) == (len(mine), sum(one.r > 0 for one in mine))
    plain = found.wins / found.n if found.n else found.expected_rate
    assert min(plain, found.expected_rate) - 1e-9 <= found.win_rate <= max(plain, found.expected_rate) + 1e-9
    mean = float(np.mean([one.r for one in mine])) if mine else found.expected_r
    assert min(mean, found.expected_r) - 1e-9 <= found.mean_r <= max(mean, found.expected_r) + 1e-9


def test_a_claim_is_forgotten_after_sixty_days() -> None:
    made = claim(TradeFilter(), [], as_of=AS_OF)
    assert made.holds_on(AS_OF)
    assert made.holds_on(AS_OF + timedelta(days=59))
    assert not made.holds_on(AS_OF + timedelta(days=60))


def test_what_stands_out_is_said_first_and_thin_air_not_at_all() -> None:
    good = [trade(number, r=1.0 - number % 2 * 0.5) for number in range(40)]
    bad = [trade(100 + number, r=-1.0, regime=Direction.BEAR) for number in range(25)]
    thin = [trade(200 + number, r=5.0, sector="Materials") for number in range(LEAST_TRADES - 1)]
    claims = analyse([*good, *bad, *thin], as_of=AS_OF)
    assert claims[0].filter == TradeFilter(setup=SetupType.OVERSOLD_BOUNCE, regime=Direction.BEAR)
    assert claims[0].sentence.startswith("oversold bounce, in BEAR: 0 of 25 won (95% 0% to 13%), shrunk")
    assert claims[0].sentence.endswith("from fewer than 30 trades.")
    assert all("Materials" not in one.sentence for one in claims)


def test_a_missing_reading_is_in_no_range() -> None:
    assert not TradeFilter(vix=(0, 1000)).matches(trade(1, vix=None))
    assert TradeFilter(rsi=(30, 40)).matches(trade(1, rsi=30.0))
    assert not TradeFilter(rsi=(20, 30)).matches(trade(1, rsi=30.0))


def test_a_filter_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError, match="rise"):
        TradeFilter(rsi=(40, 30))
    with pytest.raises(ValidationError, match="before the last"):
        TradeFilter(entered_from=AS_OF, entered_to=date(2024, 1, 1))
    with pytest.raises(ValidationError):
        TradeFilter.model_validate({"sql": "1=1"})


def test_without_a_trade_the_parent_stands() -> None:
    found = statistics_of(TradeFilter(regime=Direction.BEAR), [trade(1)] * 10, as_of=AS_OF)
    assert found.win_rate == found.expected_rate
    assert shrunk_mean([], 0.2) == pytest.approx(0.2)
