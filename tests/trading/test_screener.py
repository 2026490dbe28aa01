from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.market.bars import AssetType, Bars, Instrument, MarketView
from agents.market.indicators import Technicals
from agents.trading.screener import (
    ALL_SETUPS,
    FilterResult,
    ScreenRules,
    bounce_score,
    breakout_score,
    composite_score,
    momentum_score,
    near_setups,
    screen,
)
from agents.trading.setups import SetupPlan, Setups, plan_setup
from storage.records import SetupType
from tests.trading.builders import BREAKING, LEADER, PULLBACK

RULES = ScreenRules()
SESSIONS = np.arange(np.datetime64("2023-01-02"), np.datetime64("2023-10-29"))  # 300 days, weekends and all
LAST: date = SESSIONS[-1].item()


def bars(symbol: str, *, fall: float = 0.10, days: int = 300, volume: float = 1e6) -> Bars:
    """A saw-toothed climb from 80 to 110 that ends by falling `fall` in six sessions."""
    close = np.linspace(80, 110, 300) + np.where(np.arange(300) % 2, 0.4, -0.4)
    close[-6:] = close[-7] * np.linspace(1 - fall / 6, 1 - fall, 6)
    close = close[-days:]
    return Bars(symbol, SESSIONS[-days:], close, close + 0.5, close - 0.5, close, np.full(days, volume))


def broke_out(symbol: str, *, rise: float = 0.01) -> Bars:
    """Sixty quiet sessions around 100, then a close `rise` above them on three times the volume."""
    close = np.concatenate([np.linspace(80, 100, 240), 100 + np.where(np.arange(60) % 2, 0.4, -0.4)])
    close[-1] = 101 + 100 * rise
    volume = np.full(300, 1e6)
    volume[-1] = 3e6
    return Bars(symbol, SESSIONS, close, close + 0.5, close - 0.5, close, volume)


def view(history: Mapping[str, Bars], session: date = LAST) -> MarketView:
    names = {symbol: Instrument(symbol, symbol, None, None, AssetType.STOCK) for symbol in history}
    return MarketView(session, names, history)


def test_the_oversold_come_first_and_are_selected() -> None:
    result = screen(view({"CALM": bars("CALM", fall=0.0), "FELL": bars("FELL")}), ScreenRules())
    assert [row.symbol for row in result.rows] == ["FELL", "CALM"]
    assert [row.symbol for row in result.selected] == ["FELL"]
    assert (result.universe, result.with_data, result.passed) == (2, 2, 1)
    assert dict(result.failures) == {"fresh": 0, "history": 0, "liquidity": 0, "setup": 1, "volatility": 0}


def test_a_stale_symbol_is_never_screened() -> None:
    stale = bars("OLD").upto(SESSIONS[-2].item())
    result = screen(view({"OLD": stale, "FELL": bars("FELL")}), ScreenRules())
    assert [row.symbol for row in result.rows] == ["FELL"]
    assert dict(result.failures)["fresh"] == 1


def test_a_missing_last_price_is_stale_too() -> None:
    fell = bars("FELL")
    close = fell.close.copy()
    close[-1] = np.nan
    result = screen(view({"FELL": replace(fell, close=close)}), ScreenRules())
    assert (result.rows, dict(result.failures)["fresh"]) == ((), 1)


def test_short_history_and_thin_trading_get_no_row() -> None:
    history = {"NEW": bars("NEW", days=199), "THIN": bars("THIN", volume=1e3)}
    result = screen(view(history), ScreenRules())
    assert (result.rows, result.with_data) == ((), 1)
    assert (dict(result.failures)["history"], dict(result.failures)["liquidity"]) == (1, 1)


def test_a_stock_too_wild_for_its_stop_is_shown_but_not_selected() -> None:
    result = screen(view({"FELL": bars("FELL")}), ScreenRules(max_atr=0.02, min_atr=0.019))
    (row,) = result.rows
    assert not row.selected
    assert [check.name for check in row.filters if not check.passed] == ["volatility"]


def test_ties_go_by_symbol_and_only_the_best_are_selected() -> None:
    history = {symbol: bars(symbol) for symbol in ("CCC", "AAA", "BBB")}
    result = screen(view(history), ScreenRules(max_selected=2))
    assert [row.symbol for row in result.selected] == ["AAA", "BBB"]
    assert result.passed == 3


def test_no_more_than_25_rows_are_kept() -> None:
    history = {f"S{number:02}": bars(f"S{number:02}") for number in range(30)}
    result = screen(view(history), ScreenRules())
    assert (len(result.rows), len(result.selected), result.passed) == (25, 10, 30)


def test_the_score_of_the_bounce_by_hand() -> None:
    # depth 40 x 20/30, trend 30 x (100/95 - 0.9)/0.2, volume 15 x 0.5, liquidity 15 x log(10)/log(100)
    assert bounce_score(PULLBACK, RULES) == pytest.approx(26.67 + 22.89 + 7.5 + 7.5, abs=0.06)
    best = replace(PULLBACK, rsi14=15.0, sma200=80.0, volume_ratio=3.0, dollar_volume20=1e10)
    assert bounce_score(best, RULES) == 100.0
    assert composite_score(PULLBACK, RULES) == bounce_score(PULLBACK, RULES)


def test_the_score_of_momentum_by_hand() -> None:
    # gain 30 x 0.30/0.60, high 25 x (1 - 0.03846/0.10), rest 30 x (65 - 50)/25, liquidity 15 x 0.5
    assert momentum_score(LEADER, RULES) == pytest.approx(15 + 15.38 + 18 + 7.5, abs=0.06)
    best = replace(LEADER, rsi14=40.0, high_52w=100.0, return_126d=0.7, dollar_volume20=1e10)
    assert momentum_score(best, RULES) == 100.0
    assert momentum_score(replace(best, rsi14=30.0), RULES) == 70.0
    assert composite_score(LEADER, RULES) == momentum_score(LEADER, RULES)


def test_the_score_of_the_breakout_by_hand() -> None:
    # surge 45 x 1, level 25 x 1, base 15 x (12 - 5)/8, liquidity 15 x 0.5
    assert breakout_score(BREAKING, RULES) == pytest.approx(45 + 25 + 13.125 + 7.5, abs=0.06)
    under = replace(BREAKING, close=99.5)  # a quarter of an ATR under the level: half the points of it
    assert breakout_score(under, RULES) == pytest.approx(45 + 12.5 + 13.125 + 7.5, abs=0.06)
    assert breakout_score(replace(BREAKING, close=103.0), RULES) == breakout_score(under, RULES) - 12.5
    assert composite_score(BREAKING, RULES) == breakout_score(BREAKING, RULES)


@pytest.mark.parametrize("nothing", [None, nan])
def test_a_missing_reading_adds_nothing(nothing: float | None) -> None:
    bare = replace(
        BREAKING,
        rsi14=nothing,
        sma200=nothing,
        volume_ratio=nothing,
        dollar_volume20=nothing,
        high_52w=nothing,
        return_126d=nothing,
        prior_high_55=nothing,
    )
    assert composite_score(bare, RULES) == 0.0
    assert near_setups(bare, RULES) == ()


@pytest.mark.parametrize(
    ("readings", "near"),
    [
        (PULLBACK, SetupType.OVERSOLD_BOUNCE),
        (replace(PULLBACK, rsi14=40.1), None),
        (LEADER, SetupType.MOMENTUM),
        (replace(LEADER, close=94.5, rsi14=41.0), SetupType.MOMENTUM),  # a quarter of an ATR under SMA50
        (replace(LEADER, close=93.9, rsi14=41.0), None),
        (replace(LEADER, sma200=95.0), None),
        (replace(LEADER, return_126d=0.12), None),
        (replace(LEADER, high_52w=115.0), None),
        (replace(LEADER, rsi14=63.0), None),
        (BREAKING, SetupType.BREAKOUT),
        (replace(BREAKING, close=99.6), SetupType.BREAKOUT),
        (replace(BREAKING, close=99.4), None),
        (replace(BREAKING, close=102.1), None),
        (replace(BREAKING, volume_ratio=1.1), None),
        (replace(BREAKING, atr14=None), None),
    ],
)
def test_what_is_near_which_setup(readings: Technicals, near: SetupType | None) -> None:
    assert near_setups(readings, RULES) == ((near,) if near else ())
    if near:
        assert near_setups(readings, RULES, set(SetupType) - {near}) == ()


def test_every_setup_the_agents_would_plan_is_near() -> None:
    """With the defaults on both sides, the screen keeps nothing from them."""
    for readings in (PULLBACK, LEADER, BREAKING):
        made = plan_setup("AAA", readings, Setups(), ALL_SETUPS)
        assert isinstance(made, SetupPlan)
        assert made.setup_type in near_setups(readings, RULES)


def test_a_breakout_is_found_by_its_bars_and_the_row_says_so() -> None:
    result = screen(view({"BROKE": broke_out("BROKE"), "CALM": bars("CALM", fall=0.0)}), RULES)
    (row,) = result.selected
    assert (row.symbol, row.nearest) == ("BROKE", SetupType.BREAKOUT)
    assert row.score == breakout_score(row.technicals, RULES)
    assert FilterResult("setup", 1.0, 1, passed=True) in row.filters
    assert isinstance(plan_setup("BROKE", row.technicals, Setups(), {row.nearest}), SetupPlan)


def test_only_the_setups_that_are_allowed_count() -> None:
    history = {"BROKE": broke_out("BROKE"), "FELL": bars("FELL")}
    result = screen(view(history), RULES, allowed={SetupType.OVERSOLD_BOUNCE})
    assert [row.symbol for row in result.selected] == ["FELL"]
    assert {row.nearest for row in result.rows} == {SetupType.OVERSOLD_BOUNCE}
    nothing = screen(view(history), RULES, allowed=())
    assert (nothing.selected, nothing.passed, {row.score for row in nothing.rows}) == ((), 0, {0.0})


MANY = {
    **{f"F{number}": bars(f"F{number}", fall=0.02 * number) for number in range(6)},
    **{f"B{number}": broke_out(f"B{number}", rise=0.01 * number) for number in range(6)},
}


@given(st.permutations(sorted(MANY)), st.integers(1, 12))
@settings(max_examples=30)
def test_neither_the_order_of_the_universe_nor_the_future_changes_anything(
    order: list[str], most: int
) -> None:
    rules, session = ScreenRules(max_selected=most), SESSIONS[-3].item()
    told = screen(view({symbol: MANY[symbol].upto(session) for symbol in order}, session), rules)
    assert told == screen(view(MANY, session), rules)
    for result in (told, screen(view({symbol: MANY[symbol] for symbol in order}), rules)):
        assert list(result.rows) == sorted(
            result.rows, key=lambda row: (not row.passed, -row.score, row.symbol)
        )
        assert len(result.selected) <= most
        assert all(0 <= row.score <= 100 for row in result.rows)


@pytest.mark.parametrize(
    "wrong", [{"breakout_lookback": 30}, {"momentum_fall": 0.5}, {"breakout_volume": -1}, {"rsi_max": 51}]
)
def test_a_rule_out_of_bounds_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ScreenRules.model_validate(wrong)


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="min_price"):
        ScreenRules.model_validate({"min_price": 5})
