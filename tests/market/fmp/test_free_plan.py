"""The symbols of the free plan."""

from __future__ import annotations

import json

from agents.market.fmp.free_plan import (
    FREE_FUNDS,
    FREE_INDICES,
    FREE_SYMBOLS,
    FREE_UNIVERSE,
    NO_LONGER_LISTED,
)
from tests.market.fmp.kit import fixture


def test_the_list_is_the_one_that_was_transcribed() -> None:
    told = json.loads(fixture("free_symbols.json"))
    assert sorted(told["equities_and_etfs"]) == list(FREE_SYMBOLS) and len(set(FREE_SYMBOLS)) == 87
    assert tuple(told["indexes"]) == FREE_INDICES
    assert set(told["likely_dead_or_renamed"]) == NO_LONGER_LISTED


def test_the_universe_is_stocks_that_still_trade() -> None:
    assert len(FREE_UNIVERSE) == 78 and not set(FREE_UNIVERSE) & (FREE_FUNDS | NO_LONGER_LISTED)
