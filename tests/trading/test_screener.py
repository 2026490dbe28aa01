from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from agents.market.bars import AssetType, Bars, Instrument, MarketView
from agents.trading.screener import ScreenRules, composite_score, screen
from tests.trading.builders import PULLBACK

SESSIONS = np.arange(np.datetime64("2023-01-02"), np.datetime64("2023-10-29"))  # 300 days, weekends and all
LAST: date = SESSIONS[-1].item()


def bars(symbol: str, *, fall: float = 0.10, days: int = 300, volume: float = 1e6) -> Bars:
    """A saw-toothed climb from 80 to 110 that ends by falling `fall` in six sessions."""
    close = np.linspace(80, 110, 300) + np.where(np.arange(300) % 2, 0.4, -0.4)
    close[-6:] = close[-7] * np.linspace(1 - fall / 6, 1 - fall, 6)
    close = close[-days:]
    return Bars(symbol, SESSIONS[-days:], close, close + 0.5, close - 0.5, close, np.full(days, volume))


def view(history: Mapping[str, Bars], session: date = LAST) -> MarketView:
    names = {symbol: Instrument(symbol, symbol, None, None, AssetType.STOCK) for symbol in history}
    return MarketView(session, names, history)


def test_the_oversold_come_first_and_are_selected() -> None:
    result = screen(view({"CALM": bars("CALM", fall=0.0), "FELL": bars("FELL")}), ScreenRules())
    assert [row.symbol for row in result.rows] == ["FELL", "CALM"]
    assert [row.symbol for row in result.selected] == ["FELL"]
    assert (result.universe, result.with_data, result.passed) == (2, 2, 1)
    assert dict(result.failures) == {"fresh": 0, "history": 0, "liquidity": 0, "oversold": 1, "volatility": 0}


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


def test_the_score_by_hand() -> None:
    # depth 40 x 20/30, trend 30 x (100/95 - 0.9)/0.2, volume 15 x 0.5, liquidity 15 x log(10)/log(100)
    assert composite_score(PULLBACK, ScreenRules()) == pytest.approx(26.67 + 22.89 + 7.5 + 7.5, abs=0.06)
    best = replace(PULLBACK, rsi14=15.0, sma200=80.0, volume_ratio=3.0, dollar_volume20=1e10)
    assert composite_score(best, ScreenRules()) == 100.0
    bare = replace(PULLBACK, rsi14=None, sma200=None, volume_ratio=None, dollar_volume20=None)
    assert composite_score(bare, ScreenRules()) == 0.0


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="min_price"):
        ScreenRules.model_validate({"min_price": 5})
