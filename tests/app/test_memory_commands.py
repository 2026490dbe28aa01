"""The commands that read a desk's memory, over a replay of real prices and over hostile rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from agents.market.calendar import add_sessions
from agents.market.history import HistoryPack
from app.cli import NOBODY_LEADS
from app.runtime.performance import read_performance
from storage.memory import AgentMemory, Interaction
from storage.records import AgentName, CashKind
from storage.server import EmbeddedDatabases
from tests.app.books import prepare
from tests.app.test_runtime_commands import HOSTILE, Here, here
from tests.forks import Said
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, execute, scalar, terms, writing

__all__ = ["here"]
FIRST, LAST = date(2007, 1, 3), date(2007, 3, 30)

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("why",),
    ("trades",),
    ("performance",),
    ("patterns",),
    ("screens",),
    ("adjustments",),
    ("interactions",),
    ("agents", "show", "research"),
)


def told(said: Said) -> dict[str, Any]:
    """The one JSON object a command printed."""
    assert (said.code in (0, NOBODY_LEADS), said.err) == (True, "")
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


@pytest.mark.long
async def test_a_replay_can_be_asked_about_everything_it_did(
    here: Here, databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo, run = await prepare(databases, sample, FIRST, LAST, desk="asked")
    assert await run.run(asyncio.Event())

    def ask(*words: str) -> dict[str, Any]:
        return told(here.run(*words, "--desk", "asked", "--json"))

    def asked() -> None:
        trades = ask("trades", "--last", "500")["trades"]
        assert len(trades) == scalar(conninfo, "select count(*) from trade_outcomes") > 3
        for trade in trades:
            slip = trade["entry_slippage"]
            assert slip["auction_bps"] == pytest.approx(
                slip["assumed_bps"], abs=0.5
            )  # paper, so the assumption
            assert trade["net"] == pytest.approx(trade["pnl"] + trade["dividends"])
        _performance(conninfo, ask)
        _patterns(ask, len(trades))
        _screens(conninfo, sample, ask)
        _evenings(conninfo, ask)
        _agent(ask)
        for words in COMMANDS:
            plain = here.run(*words, "--desk", "asked")
            assert plain.code == 0 and plain.out.strip(), plain.err

    await asyncio.to_thread(asked)


def _performance(conninfo: str, ask: Callable[..., dict[str, Any]]) -> None:
    found = ask("performance")
    final = scalar(conninfo, "select equity from equity order by session desc limit 1")
    assert found["final_equity"] == float(final) == found["net_equity"]
    assert found["total_return"] == pytest.approx(float(final) / 100_000 - 1)
    assert found["max_drawdown"] == pytest.approx(
        scalar(conninfo, "select max(drawdown) from equity"), abs=1e-4
    )
    assert {row["name"] for row in found["benchmarks"]} >= {"equal_weight_universe", "idle cash"}
    assert "no bill rate is known: idle cash earns nothing here" in found["unknown"]


def _patterns(ask: Callable[..., dict[str, Any]], trades: int) -> None:
    every = ask("patterns")
    assert (every["filter"], every["read_by"], every["n"]) == ({}, "options", trades)
    assert sum(row["n"] for row in every["by_regime"]) == trades
    assert len(every["analogues"]) == min(trades, 10)
    distances = [trade["distance"] for trade in every["analogues"]]
    assert distances == sorted(distances) and every["like"]["symbol"]
    setup = every["analogues"][0]["setup_type"]
    narrow = ask("patterns", "--setup", setup, "--regime", "bull", "--rsi", "40-60")
    assert narrow["filter"] == {"setup": setup, "regime": "BULL", "rsi": [40.0, 60.0]}
    words = ask("patterns", f"{setup.replace('_', ' ')} in bull markets with RSI between 40 and 60")
    assert {**words, "words": "", "read_by": "options"} == narrow
    early = ask("patterns", "--as-of", every["analogues"][0]["exit_session"])
    assert 0 < early["n"] <= trades
    assert all(trade["exit_session"] <= early["as_of"] for trade in early["analogues"])
    near = ask("patterns", "--like", every["analogues"][0]["symbol"].lower())
    assert near["like"]["symbol"] == every["analogues"][0]["symbol"]


def _screens(conninfo: str, sample: HistoryPack, ask: Callable[..., dict[str, Any]]) -> None:
    """What the desk wrote down is what the prices say, and nothing is written before its time."""
    found = ask("screens")
    assert found["screened"] == scalar(conninfo, "select count(*) from screener_results")
    assert sum(cell["rows"] for cell in found["cells"] if cell["horizon"] == "outcome_5s") == (
        found["screened"] - found["not_known"]["outcome_5s"]
    )
    rows = """select symbol, session, outcome_5s, outcome_7d from screener_results
               where outcome_5s is not null order by session desc, symbol limit 40"""
    with psycopg.connect(conninfo) as connection:
        known = connection.execute(rows.encode()).fetchall()
    assert known
    for symbol, session, outcome, week in known:
        assert isinstance(session, date)
        leaving = add_sessions(session, 5)
        assert leaving <= LAST
        view = sample.view(leaving)
        index = view.index_symbol or ""
        own, market = (
            (bars.on(leaving).close / bars.on(add_sessions(session, 1)).open - 1)  # type: ignore[union-attr]
            for bars in (view.bars(str(symbol)), view.bars(index))
        )
        assert outcome == pytest.approx(own - market)
        assert week is None or isinstance(week, float)


def _evenings(conninfo: str, ask: Callable[..., dict[str, Any]]) -> None:
    """The funnel is complete for every session, and every argument kept what its votes came to."""
    with psycopg.connect(conninfo) as connection:
        sessions = [row[0] for row in connection.execute("select session from equity order by 1").fetchall()]
        lacking = connection.execute(
            "select count(*) from deliberations where num_nulls(consensus, pooled, base_rate) > 0"
        ).fetchone()
    assert lacking == (0,)
    for session in sessions[-12:]:
        why = ask("why", "--session", session.isoformat())
        assert why["session"] == session.isoformat()
        assert [rung["name"] for rung in why["funnel"]][0::7] == ["universe", "filled"]
        for above, below in zip(why["funnel"], why["funnel"][1:], strict=False):
            assert above["left"] == below["entered"]
    status = ask("status")
    assert status["why"] == ask("why")["why"]
    assert status["net_of_models"] == status["equity"]["equity"]


def _agent(ask: Callable[..., dict[str, Any]]) -> None:
    card = ask("agents", "show", "research")
    assert card["days"][0]["tasks"] >= 0 and card["spend"]["calls"] == 0
    weights = {figure["name"] for figure in card["figures"]}
    assert weights == {"pool weight", "pool slope"}


async def test_models_are_charged_and_money_paid_in_earns_nothing(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.deposit("100000.00"))
        more = build.deposit("50000.00")
        more.kind, more.session = CashKind.DEPOSIT, SESSIONS[1]
        session.add(more)
        for day, equity in zip(SESSIONS, ("101000.00", "151000.00", "135900.00"), strict=False):
            session.add(build.equity(day, equity, cash=Decimal(equity), positions_value=Decimal(0)))
    async with build.transaction(database) as session:
        call = Interaction(
            agent=AgentName.NEWS,
            input_context={},
            output_result=None,
            model="some-model",
            input_tokens=1,
            output_tokens=1,
            cost_usd=Decimal("1.25"),
            latency_ms=1,
            success=True,
        )
        await AgentMemory(session).store_interaction(call, now=CLOSE)
    with psycopg.connect(database) as connection:
        found = read_performance(connection)
    assert (found.paid_in, found.final_equity) == (Decimal("50000.00"), Decimal("135900.00"))
    assert found.total_return == pytest.approx(1.01 * 1.0 * 0.9 - 1)
    assert found.max_drawdown == pytest.approx(0.1)
    assert (found.model_usd, found.net_equity) == (Decimal("1.25"), Decimal("135898.75"))


def test_bill_rates_and_dividends_count_where_they_are_known(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        session.add_all(build.equity(day, "100000.00") for day in SESSIONS[:6])
        session.add_all(build.bars("SPY", ["100", "100", "50", "50", "50", "50"]))
        session.add_all(build.bars("^IRX", ["5.0"] * 6))
    action = """
        insert into corporate_actions (id, symbol, ex_date, kind, value, source, late, note, created_at)
        values (gen_random_uuid(), 'SPY', %s, %s, %s, 'test', false, '', now())
    """
    execute(database, action, SESSIONS[2], "split", 2)
    execute(database, action, SESSIONS[4], "dividend", 1)
    with psycopg.connect(database) as connection:
        found = {row.name: row.total_return for row in read_performance(connection).benchmarks}
        unknown = read_performance(connection).unknown
    assert found["SPY price only"] == pytest.approx(0.0)  # the split is no loss
    assert found["SPY total return"] == pytest.approx(0.02)
    assert found["idle cash"] == pytest.approx(0.05 * 7 / 365, abs=1e-5)
    assert unknown == ()


def test_hostile_rows_are_printed_as_text(here: Here) -> None:
    conninfo = here.desk()
    with writing(conninfo) as session:
        build.found_paper(session)
        build.propose(session, terms(), reasoning=HOSTILE)
    call = """
        insert into llm_interactions (id, agent_name, input_context, symbol, model, tokens_used, input_tokens,
            output_tokens, cache_write_tokens, cache_read_tokens, thinking_tokens, cost_usd, reserved_usd,
            state, success, error_message, price_source, created_at)
        values (gen_random_uuid(), 'news', '{}', %s, %s, 0, 0, 0, 0, 0, 0,
                0.5, 0, 'settled', false, %s, 'list', now())
    """
    execute(conninfo, call, HOSTILE, HOSTILE, HOSTILE)
    change = """
        insert into strategy_adjustments (id, short_id, session, kind, family, parameter_name, old_value,
            new_value, reasoning, expected_impact, confidence_score, proposed_by, status, outcome, evidence,
            digest, created_at)
        values (gen_random_uuid(), 'CHG-1', '2018-01-29', 'parameter', '', %s, %s, %s, %s, '', 50, 'learning',
                'proposed', 'PENDING', '{}', '', now())
    """
    execute(conninfo, change, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    figure = """
        insert into agent_measurements (id, agent_name, session, name, value, created_at)
        values (gen_random_uuid(), 'news', '2018-01-29', %s, 1.5, now())
    """
    execute(conninfo, figure, HOSTILE)
    screen = (
        "insert into runs (id, agent, session, slot, state, summary, result, desk_time, finished_at) values "
    )
    screen += "(gen_random_uuid(), 'desk', %s, 'screen', 'done', '', %s::jsonb, now(), now())"
    figures = {"universe": 2, "with_data": 2, "passed": 1, "failures": {HOSTILE: 1}}
    eve = scalar(conninfo, "select min(session) from deliberations")
    execute(conninfo, screen, eve, json.dumps(figures))
    execute(conninfo, "update deliberations set reasoning = %s, denied_by = %s", HOSTILE, HOSTILE)
    with writing(conninfo) as session:
        session.add(build.screened(eve, "AAPL", "50", selected_for_watchlist=True))
    execute(conninfo, "delete from approvals")
    for words in (("why",), ("interactions",), ("adjustments",), ("agents", "show", "news"), ("status",)):
        said = here.run(*words)
        assert said.code in (0, 3), said.err
        assert "mend" in said.out or words == ("status",)
        assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(said.out)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("why",), "screened nothing yet"),
        (("why", "--session", "2018-01-29"), "screened nothing on 2018-01-29"),
        (("patterns", "--like", "NONE"), "'NONE' had never been argued over by then"),
        (("patterns", "--rsi", "2-1"), "'2-1' is no range; give --rsi as LOW-HIGH, such as 30-40"),
        (("patterns", "--from", "2019-01-02", "--to", "2018-01-02"), "the options do not fit: expected the"),
        (("patterns", "purple eyes"), "nothing of 'purple eyes' is understood; ask such as \"oversold"),
        (("patterns", "x" * 301), "the question is too long: expected at most 300 characters, was 301"),
        (("patterns", "bounces", "--setup", "breakout"), "the words say setup oversold_bounce, the option"),
        (("patterns", "since 2019", "--to", "2018-01-02"), "words and options do not fit: expected the"),
        (("patterns", "--as-of", "2999-01-01"), "the desk has not come to 2999-01-01 yet; name a day up to"),
        (("agents", "show", "nobody"), "there is no agent 'nobody'"),
        (("interactions", "--agent", "nobody"), "there is no agent 'nobody'"),
        (("trades", "--desk", "nowhere"), "there is no desk nowhere"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(here: Here, words: tuple[str, ...], reason: str) -> None:
    with writing(here.desk()) as session:
        build.found_paper(session)
    assert reason in here.refused(*words)


@pytest.mark.parametrize("words", [("trades",), ("performance",), ("patterns",), ("screens",)])
def test_a_desk_that_did_nothing_says_so(here: Here, words: tuple[str, ...]) -> None:
    with writing(here.desk()) as session:
        build.found_paper(session)
    said = here.run(*words)
    assert (said.code, said.err) == (0, "") and said.out.strip()
