"""Nothing decided up to a date depends on a bar after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.market.bars import Bars
from agents.market.history import HistoryPack
from storage.server import EmbeddedDatabases
from tests.app.books import run_through

FIRST, LAST = date(2007, 1, 3), date(2007, 3, 9)

# Everything a session decides or does by its evening. Ids, wall clock and latencies are left out.
DECISIONS = {
    "regime": """
        select session, direction, volatility, bear_probability, index_close, sma200, volatility_value
          from regime_readings where session <= %(cut)s order by 1
    """,
    "screen": """
        select session, symbol, filters_matched, technical_snapshot, composite_score,
               selected_for_watchlist, thesis, confidence, reasoning
          from screener_results where session <= %(cut)s order by 1, 2
    """,
    "deliberations": """
        select session, symbol, rank, proposed, denied_by, reasoning, checks
          from deliberations where session <= %(cut)s order by 1, 2
    """,
    "votes": """
        select d.session, d.symbol, v.agent_name, v.stance, v.conviction, v.reason
          from votes v join deliberations d on d.id = v.deliberation_id
         where d.session <= %(cut)s order by 1, 2, 3
    """,
    "approvals": """
        select created_session, symbol, digest, risky, reasoning, facts
          from approvals where created_session <= %(cut)s order by 1, 2
    """,
    "orders": """
        select session, symbol, side, shares, state, note from orders
         where session <= %(cut)s order by 1, 2, 3
    """,
    "fills": """
        select session, symbol, side, shares, price, fee from fills
         where session <= %(cut)s order by 1, 2, 3
    """,
    "equity": "select * from equity where session <= %(cut)s order by session",
}


@pytest.fixture(scope="module")
def truth(databases: EmbeddedDatabases, sample: HistoryPack) -> str:
    """The replay over the bars as they were."""
    return asyncio.run(run_through(databases, sample, FIRST, LAST))


@pytest.mark.long
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.dates(FIRST, date(2007, 3, 2)), seed=st.integers(0, 2**32 - 1))
def test_shuffling_all_bars_after_a_date_changes_nothing_decided_up_to_it(
    databases: EmbeddedDatabases, sample: HistoryPack, truth: str, cut: date, seed: int
) -> None:
    other = asyncio.run(run_through(databases, shuffled_after(sample, cut, seed), FIRST, LAST))

    expected, decided = decisions(truth, cut), decisions(other, cut)
    for what, rows in expected.items():
        assert decided[what] == rows, f"{what} up to {cut} depends on what came after"
    assert decisions(other, LAST)["equity"] != decisions(truth, LAST)["equity"]  # the shuffle did bite


def shuffled_after(pack: HistoryPack, cut: date, seed: int) -> HistoryPack:
    """The pack with every symbol's bars after `cut` in another order."""
    random = np.random.default_rng(seed)
    known: Mapping[str, Bars] = {symbol: pack.bars(symbol) for symbol in pack.instruments}
    return replace(
        pack,
        digest=f"{pack.digest[:40]}-{cut}-{seed}",
        _bars=MappingProxyType({symbol: _shuffled(bars, cut, random) for symbol, bars in known.items()}),
    )


def _shuffled(bars: Bars, cut: date, random: np.random.Generator) -> Bars:
    start = len(bars.upto(cut))
    order = np.concatenate((np.arange(start), start + random.permutation(len(bars) - start)))
    return Bars(
        bars.symbol,
        bars.sessions,
        bars.open[order],
        bars.high[order],
        bars.low[order],
        bars.close[order],
        bars.volume[order],
    )


def decisions(conninfo: str, cut: date) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return {
            what: connection.execute(query.encode(), {"cut": cut}).fetchall()
            for what, query in DECISIONS.items()
        }
