"""`quorum doctor`: everything a paper desk needs, looked at one by one, each fault with its remedy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import urlsplit

import psycopg
import typer

from agents.market import web
from agents.market.fmp.caller import Errand
from agents.market.fmp.keeping import Refused
from agents.market.quota import FmpPlan
from app.commands.doctor_database import look_at_leader, look_at_server, look_for_desk, unusable
from app.commands.doctor_machine import look_at_keeping, look_at_machine
from app.commands.findings import Finding, Line
from app.commands.status import agents_off
from app.commands.watch import doubts_of
from app.runtime.live import find_live_desk
from app.runtime.slots import AGENTS_OFF
from app.settings import Settings, load_settings
from app.wiring import asks_the_vendor, rehearsal, vendor_client
from storage import schema
from storage.calls import Priority
from storage.desk import Desk
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.plain import clean, shortened
from storage.quota_rules import BLOCK_WORDS, key_fingerprint
from storage.server import MAIN_DESK, open_server, unreachable
from storage.snapshot import DeskSnapshot

LABEL = 14
FEW_CALLS = 20
PROBED = "SPY"
NAMES_SHOWN = 60
TIMEOUT_S = 20.0
LONGEST = 8_000_000

_VECTOR = "select extversion from pg_extension where extname = 'vector'"
_LAST_CALL = """
    select endpoint, symbol, fault, note, settled_at from vendor_calls
     where settled_at is not null and key_fingerprint = %s order by settled_at desc limit 1
"""


def print_findings(desk: str | None, *, online: bool, as_object: bool) -> bool:
    """One line each; whether nothing failed. The vendor is asked only `online`, and then once."""
    settings = load_settings()
    lines = list(_look(settings, desk or MAIN_DESK, online=online))
    good = all(line.finding is not Finding.FAILED for line in lines)
    if as_object:
        typer.echo(
            json.dumps({"desk": desk or MAIN_DESK, "ok": good, "findings": [asdict(line) for line in lines]})
        )
        return good
    for line in lines:
        remedy = f"; {line.remedy}" if line.remedy else ""
        typer.echo(clean(f"{line.finding:<9}{line.what:<{LABEL}}{line.text}{remedy}"))
    return good


def _look(settings: Settings, name: str, *, online: bool) -> Iterator[Line]:
    yield from look_at_machine(settings)
    yield from _keys(settings)
    try:
        server = open_server(settings.home, settings.database_url)
        conninfo = server.conninfo(server.desk_database(name)) if server.has_desk(name) else None
        yield from look_at_server(server, embedded=settings.database_url is None)
        if conninfo is None:
            yield from look_for_desk(server, name)
            return
    except OperatorError as away:
        yield unusable(away, settings.database_url)
        return
    except psycopg.Error as away:
        yield unusable(unreachable(away), settings.database_url)
        return
    yield from _desk(settings, name, conninfo)
    if online:
        yield from asyncio.run(_online(settings, name, conninfo))


def _keys(settings: Settings) -> Iterator[Line]:
    """Whether there are keys; never a key itself."""
    if settings.fmp_api_key is None:
        yield Line(
            "FMP key", Finding.FAILED, "FMP_API_KEY is not set", "set it in .env: without it no slot has data"
        )
    else:
        fingerprint = key_fingerprint(settings.fmp_api_key.get_secret_value())
        yield Line("FMP key", Finding.OK, f"set, fingerprint {fingerprint}, the {settings.fmp.plan} plan")
    if settings.anthropic_api_key is None:
        yield Line(
            "Claude key",
            Finding.WARNING,
            "ANTHROPIC_API_KEY is not set",
            "agents answer by rules until it is",
        )
    else:
        yield Line("Claude key", Finding.OK, "set")


def _desk(settings: Settings, name: str, conninfo: str) -> Iterator[Line]:
    current, newest = schema.current_revision(conninfo), schema.known_revisions()[-1]
    if current != newest:
        text = f"{name} stands at schema {current}, this version works with {newest}"
        yield Line("desk", Finding.FAILED, text, "start its runtime: quorum run")
        return
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        vector = connection.execute(_VECTOR).fetchone()
    if vector is None:
        yield Line(
            "pgvector", Finding.FAILED, "it is not loaded", "as an administrator: create extension vector"
        )
    else:
        yield Line("pgvector", Finding.OK, f"{vector[0]}")
    with Desk(conninfo) as desk:
        snapshot = desk.snapshot()
        if snapshot is None:
            yield Line("desk", Finding.FAILED, f"{name} is not founded yet", "start its runtime: quorum run")
            return
        yield from look_at_leader(name, snapshot, conninfo)
        if agents_off(snapshot):
            text, remedy = f"none is called: {AGENTS_OFF}", "set it to true and restart the runtime"
            yield Line("agents", Finding.WARNING, text, remedy)
        yield from _vendor(settings, snapshot, conninfo)
        yield from _watchlist(settings, desk)
        yield from look_at_keeping(settings, name, snapshot, conninfo)
    yield from _feeds(settings)


def _vendor(settings: Settings, snapshot: DeskSnapshot, conninfo: str) -> Iterator[Line]:
    quota = snapshot.quota
    if settings.fmp_api_key is None or quota is None:
        yield Line(
            "quota",
            Finding.WARNING,
            "the vendor has not been asked yet",
            "its runtime asks when a slot is due",
        )
        return
    fingerprint = key_fingerprint(settings.fmp_api_key.get_secret_value())
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        last = connection.execute(_LAST_CALL, [fingerprint]).fetchone()
    if last is None:
        yield Line(
            "last answer",
            Finding.WARNING,
            "this key has not been used yet",
            "`quorum doctor --online` tries it",
        )
    else:
        endpoint, symbol, fault, note, at = last
        what = f"{endpoint} {symbol or ''}".strip()
        said = f"{fault}: {note}" if fault else "well"
        text = f"{what} at {at:%Y-%m-%d %H:%M}Z answered {said}"
        finding = Finding.WARNING if fault else Finding.OK
        yield Line(
            "last answer", finding, text, "`quorum fmp entitlements` says what is refused" if fault else ""
        )
    for block in quota.blocks:
        tries = (
            f"it is tried again at {block.until:%Y-%m-%d %H:%M}Z" if block.until else "`quorum fmp unblock`"
        )
        yield Line(
            "FMP block", Finding.FAILED, f"{BLOCK_WORDS[block.fault]}: {block.note}", f"correct it; {tries}"
        )
    few = quota.left < FEW_CALLS
    text = f"{quota.left} of {quota.limit} calls left, {quota.reserve_left} besides for exits"
    remedy = "what waits is asked as calls leave the window: `quorum quota`" if few else ""
    yield Line("quota", Finding.WARNING if few else Finding.OK, text, remedy)


def _watchlist(settings: Settings, desk: Desk) -> Iterator[Line]:
    rows, entitlements = desk.watchlist(), desk.entitlements()
    if not rows:
        yield Line("watchlist", Finding.FAILED, "nothing is watched", "quorum watch add SYMBOL...")
        return
    plan: FmpPlan = settings.fmp.plan
    doubted = {row.symbol: "; ".join(doubts_of(row.symbol, plan, entitlements)) for row in rows}
    gaps = [f"{symbol} ({why})" for symbol, why in doubted.items() if why]
    bare = sum(row.newest_bar is None for row in rows)
    text = f"{len(rows)} watched" + (f", {bare} without bars yet" if bare else "")
    if gaps:
        text += f"; calls are wasted on {shortened(', '.join(gaps), NAMES_SHOWN * 2)}"
    remedy = "quorum watch remove SYMBOL" if gaps else ""
    yield Line("watchlist", Finding.WARNING if gaps else Finding.OK, text, remedy)


def _feeds(settings: Settings) -> Iterator[Line]:
    hosts = [urlsplit(url).hostname or "?" for url in settings.news.feeds]
    said = f"FMP's articles{''.join(f', {host}' for host in hosts)}"
    yield Line("news", Finding.OK, said)


async def _online(settings: Settings, name: str, conninfo: str) -> list[Line]:
    """One call to the vendor, and a look at each public file and feed."""
    lines = [await _ask_vendor(settings, name, conninfo)]
    http = web.plain_client()
    files = (
        ("Cboe", settings.cboe_vix_url, Finding.WARNING),
        ("FRED", settings.fred_vix_url, Finding.WARNING),
    )
    feeds = [(urlsplit(url).hostname or "feed", url, Finding.WARNING) for url in settings.news.feeds]
    try:
        for what, url, finding in (*files, *feeds):
            try:
                received = await web.get(http, url, timeout_s=TIMEOUT_S, max_bytes=LONGEST)
                problem = "" if received.status == 200 else f"it answered {received.status}"
            except web.NoAnswer as nothing:
                problem = str(nothing)
            remedy = "the desk does with the next source; correct the address if it lasts" if problem else ""
            lines.append(Line(what, finding if problem else Finding.OK, problem or "answers", remedy))
    finally:
        await http.aclose()
    return lines


async def _ask_vendor(settings: Settings, name: str, conninfo: str) -> Line:
    rehearsed = rehearsal(settings)
    if why := asks_the_vendor(settings, name, rehearsed):
        return Line("FMP", Finding.FAILED, f"it is not asked: {why}", "set FMP_API_KEY, look at that desk")
    desk = await find_live_desk(conninfo, rehearsed)
    engine = open_engine(conninfo, application="quorum doctor")
    try:
        async with vendor_client(settings, engine, rehearsed) as (client, _):
            quote = await client.get_quote(PROBED, Errand(priority=Priority.DISCOVERY, job="doctor"))
    except Refused as refused:
        remedy = refused.remedy if isinstance(refused, OperatorError) else "`quorum quota` says when"
        return Line("FMP", Finding.FAILED, shortened(str(refused), 200), remedy)
    finally:
        await engine.dispose()
    if quote is None:
        return Line("FMP", Finding.FAILED, f"it has nothing of {PROBED}", "correct FMP_BASE_URL")
    age = (desk.clock.now() - quote.timestamp).total_seconds()
    return Line("FMP", Finding.OK, f"{PROBED} at {quote.price}, traded {age / 3600:.1f} h ago; cost 1 call")
