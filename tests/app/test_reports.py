"""The digest as it is kept and told, the week as one file that no text can break out of, trades by tag."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest

from agents.market.history import HistoryPack
from app.runtime.weekly import read_week
from app.runtime.weekly_html import render
from storage.digest import read_digest
from storage.history import read_past
from storage.records import Slot
from storage.server import EmbeddedDatabases
from tests.app.books import prepare
from tests.app.test_runtime_commands import Here, here
from tests.storage.desk_builder import execute, scalar

__all__ = ["here"]

FIRST, LAST = date(2007, 1, 3), date(2007, 3, 9)
HOSTILE = "<script>alert(1)</script>'\"><img src=http://x.example/a onerror=b>&\x1b[2J\u202e"


class Page(HTMLParser):
    """What a browser would make of a file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.long
async def test_a_replay_leaves_digests_a_week_and_a_history_that_decides_the_same(
    here: Here, databases: EmbeddedDatabases, sample: HistoryPack, tmp_path: Path
) -> None:
    conninfo, run = await prepare(databases, sample, FIRST, LAST, desk="told")
    assert await run.run(asyncio.Event())
    await asyncio.to_thread(_told, here, conninfo, tmp_path)


def _told(here: Here, conninfo: str, folder: Path) -> None:
    days = scalar(conninfo, "select count(*) from equity")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        last = read_digest(connection)
        assert last is not None and [section.heading for section in last.sections][:3] == [
            *("market", "trades", "account")
        ]
        kept = connection.execute(
            "select count(*) from runs where slot = %s and jsonb_array_length(result -> 'digest') > 3",
            [Slot.DIGEST],
        ).fetchone()
        assert kept == (days,)
    sold = scalar(conninfo, "select closed_session from positions where closed_session is not null limit 1")
    digest = here.run("digest", "--desk", "told", "--session", str(sold))
    assert re.search(r"Out of [A-Z]+ by [a-z ]+: [+-]\d+\.\d\dR", digest.out), digest.out
    growth = json.loads(here.run("performance", "--desk", "told", "--json").out)["total_return"]
    assert f"{growth:+.2%} since the first close" in here.run("digest", "--desk", "told").out
    _tagged(here, conninfo, sold)
    _reported(here, conninfo, sold, folder)
    _decided_again(here, conninfo)


def _tagged(here: Here, conninfo: str, sold: date) -> None:
    symbol, entered = (
        scalar(conninfo, f"select {column} from positions where closed_session = %s limit 1", sold)
        for column in ("symbol", "entry_session")
    )
    trade = f"{symbol}@{entered}"
    assert here.run("tag", trade, "+late", "--desk", "told").code == 0
    assert here.run("note", trade, HOSTILE, "--desk", "told").code == 0
    found = json.loads(here.run("trades", "--desk", "told", "--tag", "late", "--json").out)["trades"]
    assert [(row["symbol"], row["entry_session"]) for row in found] == [(symbol, str(entered))]
    assert "late" in found[0]["tags"]
    assert "no closed trade tagged fomo" in here.run("trades", "--desk", "told", "--tag", "fomo").out


def _reported(here: Here, conninfo: str, sold: date, folder: Path) -> None:
    """Hostile words in every text column that a report reads stay words."""
    execute(conninfo, "update desk set name = %s", HOSTILE)
    execute(conninfo, "update trade_notes set text = %s where kind = 'tag'", HOSTILE)
    file = folder / "deep" / "week.html"
    said = here.run("report", "--desk", "told", "--week", str(sold), "--to", str(file))
    assert (said.code, said.out.strip()) == (0, str(file)), said.err
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    names = {name for name, _ in page.tags}
    assert names.isdisjoint({"script", "img", "link", "iframe", "a", "base", "object"}) and "svg" in names
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("href", "src", "action") for name in attributes)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\x1b" not in text and "\u202e" not in text and "http://" not in text.replace("=http://x.exa", "")
    assert not list(file.parent.glob("*.new"))
    assert here.run("report", "--desk", "told", "--to", "/proc/no/where.html").code == 2


def _decided_again(here: Here, conninfo: str) -> None:
    before = scalar(conninfo, "select count(*) from llm_interactions")
    told = json.loads(here.run("history", "--desk", "told", "--symbol", "MSFT", "--replay", "--json").out)
    assert {row["replay"]["sameness"] for row in told["decisions"]} == {"same"}
    assert scalar(conninfo, "select count(*) from llm_interactions") == before
    with psycopg.connect(conninfo, autocommit=True) as connection:
        past = read_past(connection)
        won = read_past(connection, needle="won")
        assert past.session == past.evenings[-1].session
        assert {decision.fate for decision in won.decisions} == {"won"}
        assert 0 < len(won.evenings) < len(past.evenings)
        assert read_past(connection, needle="nothing like it").session is None
    # Parameters that no longer fit the code: what was decided stands, and it says that it cannot be replayed.
    execute(conninfo, "alter table parameter_versions disable trigger parameter_versions_grow")
    execute(conninfo, "update parameter_versions set parameters = '{}'")
    broken = json.loads(here.run("history", "--desk", "told", "--replay", "--json").out)["decisions"]
    assert all("no longer in a form this code reads" in row["replay"]["sentence"] for row in broken)
    assert here.run("history", "--desk", "told", "--symbol", "NOBODY").code == 2


def test_a_week_without_a_close_is_told_as_such(here: Here, database: str) -> None:
    from tests.storage import desk_builder as build
    from tests.storage.desk_builder import writing

    with writing(database) as session:
        build.found_paper(session)
    with psycopg.connect(database, autocommit=True) as connection:
        week = read_week(connection, date(2018, 2, 1))
    assert (week.monday, week.sunday, week.growth) == (date(2018, 1, 29), date(2018, 2, 4), None)
    text = render(replace(week, warnings=(HOSTILE,)))
    Page(text)
    assert "Nothing settled in this week." in text and "<script" not in text


def test_money_paid_in_is_marked_and_no_gain_of_the_week(database: str) -> None:
    from tests.storage import desk_builder as build
    from tests.storage.desk_builder import SESSIONS, writing

    with writing(database) as session:
        build.found_paper(session)
        session.add(build.equity(SESSIONS[0], "100000.00", day_return=0.0))
        session.add(build.equity(SESSIONS[1], "151000.00", day_return=0.01))
    execute(
        database,
        "insert into cash_events (id, kind, amount, session, note, key, created_at)"
        " values (gen_random_uuid(), 'deposit', 50000, %s, 'more', 'k', now())",
        SESSIONS[1],
    )
    with psycopg.connect(database, autocommit=True) as connection:
        week = read_week(connection, SESSIONS[1])
    assert week.growth == pytest.approx(0.01)
    assert [point.flow for point in week.curve] == [Decimal(0), Decimal("50000.00")]
    assert "paid in" in render(week) and "stroke-dasharray" in render(week)
