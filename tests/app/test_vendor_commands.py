"""`quorum watch`, `quorum fmp quote|metrics|screener`, `quorum doctor`: what they tell, refuse and cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.app.test_runtime_commands import Here, here, paper
from tests.standins.fmp import FmpStandIn
from tests.storage.desk_builder import execute, scalar

__all__ = ["here", "paper"]

KEY = "a-key-nobody-may-read-0123456789"


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[FmpStandIn]:
    """The vendor at an hour of a session, and a key for it."""
    with FmpStandIn(key=KEY) as running:
        monkeypatch.setenv("FMP_API_KEY", KEY)
        monkeypatch.setenv("FMP_BASE_URL", running.base_url)
        monkeypatch.setenv("CBOE_VIX_URL", f"{running.root}/public/VIX_History.csv")
        monkeypatch.setenv("FRED_VIX_URL", f"{running.root}/public/gone.csv")
        yield running


def refuse(conninfo: str, endpoint: str, symbol: str) -> None:
    """As the ledger remembers what the vendor refused to the key in use."""
    execute(
        conninfo,
        "insert into vendor_keys (key_fingerprint, daily_calls, exits_reserve, bandwidth_bytes, in_force_at)"
        " values ('k', 250, 15, 500000000, now()) on conflict do nothing",
    )
    execute(
        conninfo,
        "insert into entitlements (key_fingerprint, endpoint, symbol, state, fault, note, learned_at,"
        " ask_again_at, times) values ('k', %s, %s, 'refused', 'symbol_not_in_plan', '', now(), %s, 1)",
        endpoint,
        symbol,
        datetime.now(UTC) + timedelta(days=7),
    )


def test_symbols_are_watched_and_no_longer_watched(here: Here, paper: str) -> None:
    assert here.run("watch", "add", "aapl", "KO").out.splitlines() == ["AAPL is watched", "KO is watched"]
    assert here.refused("watch", "add", "AAPL").startswith("AAPL is watched already")
    assert here.run("watch", "remove", "AAPL").out == "AAPL is watched no longer\n"
    assert here.refused("watch", "remove", "AAPL").startswith("AAPL is not watched")
    listed = json.loads(here.run("watch", "--json").out)["watchlist"]
    assert [(row["symbol"], row["newest_bar"]) for row in listed] == [("KO", None)]
    assert here.run("watch", "list").out.splitlines()[-1] == "1 watched"
    kinds = scalar(paper, "select array_agg(text order by at) from operations where kind = 'watch'")
    assert kinds == ["AAPL is watched", "KO is watched", "AAPL is watched no longer"]


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        ("IBM", "it is not among the symbols of the free plan"),
        ("TWTR", "it is no longer listed"),
        ("SPY", "it is a fund, which the desk never buys"),
        ("x;drop", "that is no symbol"),
        ("GM", "FMP refused its quote, asked again from"),
    ],
)
def test_a_symbol_that_would_waste_calls_is_refused_with_the_reason(
    here: Here, paper: str, symbol: str, why: str
) -> None:
    refuse(paper, "quote", "GM")
    assert why in here.refused("watch", "add", symbol)
    assert scalar(paper, "select count(*) from watchlist") == 0


def test_a_symbol_is_watched_all_the_same_where_it_is_one(here: Here, paper: str) -> None:
    said = here.run("watch", "add", "IBM", "--anyway").out
    assert said == "IBM is watched (though it is not among the symbols of the free plan)\n"
    assert "that is no symbol" in here.refused("watch", "add", "x;drop", "--anyway")


def test_one_look_at_a_quote_says_what_it_cost(here: Here, paper: str, vendor: FmpStandIn) -> None:
    told = json.loads(here.run("fmp", "quote", "aapl", "--json").out)
    assert told["figures"]["symbol"] == "AAPL" and told["source"] == "fmp"
    assert (told["calls"], told["left"], len(vendor.served)) == (1, 234, 1)
    again = here.run("fmp", "quote", "AAPL").out.splitlines()
    assert again[-1] == "cost 0 calls, 234 left for anything but exits"
    assert scalar(paper, "select job from vendor_calls") == "fmp quote AAPL"


def test_metrics_cost_two_calls_and_then_none(here: Here, paper: str, vendor: FmpStandIn) -> None:
    told = json.loads(here.run("fmp", "metrics", "KO", "--json").out)
    assert told["calls"] == 2 and {"market_cap", "price_to_earnings_ratio"} <= set(told["figures"])
    assert json.loads(here.run("fmp", "metrics", "KO", "--json").out)["calls"] == 0


def test_what_the_plan_refuses_costs_one_call_and_is_said(here: Here, paper: str, vendor: FmpStandIn) -> None:
    assert "not in the key's plan" in here.refused("fmp", "quote", "IBM")
    assert "the desk skips it until" in here.refused("fmp", "quote", "IBM")
    assert len(vendor.served) == 1


def test_the_screener_of_a_free_key_looks_at_what_is_kept(here: Here, paper: str, vendor: FmpStandIn) -> None:
    told = json.loads(here.run("fmp", "screener", "--sector", "Technology", "--json").out)
    assert (told["figures"], told["calls"], len(vendor.served)) == ([], 0, 0)
    assert told["note"].startswith("0 of ")


def test_only_the_main_desk_asks(here: Here, paper: str, vendor: FmpStandIn) -> None:
    here.desk("other")
    assert "there is no desk elsewhere" in here.refused("fmp", "quote", "AAPL", "--desk", "elsewhere")
    assert "only the desk paper asks the vendor" in here.refused("fmp", "quote", "AAPL", "--desk", "other")
    assert not vendor.served


def test_the_doctor_tells_the_remedy_of_what_is_amiss(here: Here, paper: str) -> None:
    said = here.run("doctor")
    assert said.code == 1
    failing = [line for line in said.out.splitlines() if line.startswith("FAILED")]
    assert [line.split()[1] for line in failing] == ["FMP", "watchlist"]
    assert all(";" in line for line in failing)
    assert "warning  Claude key" in said.out and "ok       clock" in said.out


def test_the_doctor_asks_nobody_unless_told_to(here: Here, paper: str, vendor: FmpStandIn) -> None:
    here.run("watch", "add", "AAPL")
    said = here.run("doctor", "--json")
    told = json.loads(said.out)
    assert said.code == 0 and told["ok"] and not vendor.served
    assert KEY not in said.out
    online = here.run("doctor", "--online")
    assert online.code == 0 and len(vendor.served) == 1
    assert "cost 1 call" in online.out and "FRED" in online.out and "it answered 404" in online.out
    assert KEY not in online.out


def test_the_doctor_shows_a_key_that_is_refused(
    here: Here, paper: str, vendor: FmpStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.run("watch", "add", "AAPL")
    vendor.key = "another"
    said = here.run("doctor", "--online")
    assert said.code == 1 and "it does not know the key" in said.out
    later = here.run("doctor")
    assert later.code == 1 and "FMP refused the key" in later.out and KEY not in later.out
