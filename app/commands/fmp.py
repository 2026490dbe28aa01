"""`quorum fmp quote|metrics|screener`: one look at the vendor, and what it cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import typer
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.market.fmp.cache import Aged
from agents.market.fmp.caller import Errand
from agents.market.fmp.errors import MEANINGS, FmpError
from agents.market.fmp.free_plan import FREE_UNIVERSE
from agents.market.fmp.keeping import Refused
from agents.market.fmp.local_screener import screen_profiles
from agents.market.fmp.models import Profile
from agents.market.fmp.queries import Screener
from agents.market.fmp.vendor import MarketVendor
from agents.market.quota import FmpPlan
from app.commands.desks import OpenDesk, open_desk
from app.runtime.live import LiveDesk, find_live_desk
from app.runtime.market.telling import NobodyAsked
from app.settings import Settings, load_settings
from app.wiring import asks_the_vendor, rehearsal, vendor_client
from storage.calls import CallFault, Priority
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.plain import clean, span
from storage.vendor_cache import VendorCache

Value = TypeVar("Value")
LABEL = 34
NOTE_SHOWN = 40  # characters of the vendor's own words


@dataclass(frozen=True)
class _Look:
    """The vendor as a command asks it."""

    vendor: MarketVendor
    kept: MarketVendor
    settings: Settings
    errand: Errand
    now: datetime


@dataclass(frozen=True)
class _Answer:
    """Figures by name, or rows of them; where they are from, and how old the oldest is."""

    figures: Mapping[str, object] | list[Mapping[str, object]]
    source: str
    as_of: datetime | None
    stale: bool = False
    note: str = ""


def print_quote(symbol: str, desk: str | None, *, as_object: bool) -> None:
    """The last trade of a symbol."""

    async def ask(look: _Look) -> _Answer:
        return _aged(await look.vendor.get_quote(symbol.upper(), look.errand), symbol)

    _print(desk, f"quote {symbol.upper()}", ask, as_object=as_object)


def print_metrics(symbol: str, desk: str | None, *, as_object: bool) -> None:
    """Key metrics and ratios of a symbol, as they were filed."""

    async def ask(look: _Look) -> _Answer:
        metrics = _aged(await look.vendor.get_key_metrics(symbol.upper(), errand=look.errand), symbol)
        ratios = _aged(await look.vendor.get_financial_ratios(symbol.upper(), errand=look.errand), symbol)
        assert isinstance(metrics.figures, Mapping) and isinstance(ratios.figures, Mapping)
        older = min((metrics, ratios), key=lambda answer: (not answer.stale, answer.as_of))
        return _Answer(
            {**metrics.figures, **ratios.figures}, older.source, older.as_of, older.stale, older.note
        )

    _print(desk, f"metrics {symbol.upper()}", ask, as_object=as_object)


def print_screener(criteria: Screener, desk: str | None, *, as_object: bool) -> None:
    """Companies that meet the criteria: the vendor's screener on a paid plan, else the profiles kept here."""

    async def ask(look: _Look) -> _Answer:
        if look.settings.fmp.plan is FmpPlan.PAID:
            told = await look.vendor.get_screener(criteria, look.errand)
            return _Answer(
                [_figures(row) for row in told.value], told.source, told.as_of, told.stale, told.note
            )
        return await _screen_kept(look, criteria)

    _print(desk, "screener", ask, as_object=as_object)


async def _screen_kept(look: _Look, criteria: Screener) -> _Answer:
    kept = [await _kept_profile(look, symbol) for symbol in FREE_UNIVERSE]
    profiles = [told for told in kept if told is not None]
    rows = [
        _figures(row) for row in screen_profiles([told.value for told in profiles if told.value], criteria)
    ]
    note = (
        f"{len(profiles)} of {len(FREE_UNIVERSE)} profiles are kept; the free plan has no screener of its own"
    )
    oldest = min((told.as_of for told in profiles), default=None)
    return _Answer(rows, "profiles kept here", oldest, any(told.stale for told in profiles), note)


async def _kept_profile(look: _Look, symbol: str) -> Aged[Profile | None] | None:
    try:
        return await look.kept.get_profile(symbol)
    except Refused:
        return None


def _print(
    desk: str | None, what: str, ask: Callable[[_Look], Awaitable[_Answer]], *, as_object: bool
) -> None:
    settings = load_settings()
    rehearsed = rehearsal(settings)
    with open_desk(desk) as opened:
        if why := asks_the_vendor(settings, opened.name, rehearsed):
            raise OperatorError(
                f"desk {opened.name} asks no vendor ({why})", "set FMP_API_KEY, use that desk"
            )
        answer, calls, now = asyncio.run(_look(settings, opened, f"fmp {what}", ask))
        quota = opened.snapshot().quota
        left = quota.left if quota else None
    if as_object:
        typer.echo(
            json.dumps(
                {
                    "asked": what,
                    "figures": answer.figures,
                    "source": answer.source,
                    "as_of": answer.as_of.isoformat() if answer.as_of else None,
                    "stale": answer.stale,
                    "note": answer.note,
                    "calls": calls,
                    "left": left,
                }
            )
        )
        return
    for line in _lines(answer, now):
        typer.echo(clean(line))
    typer.echo(f"cost {calls} call{'' if calls == 1 else 's'}, {left} left for anything but exits")


async def _look(
    settings: Settings, opened: OpenDesk, job: str, ask: Callable[[_Look], Awaitable[_Answer]]
) -> tuple[_Answer, int, datetime]:
    """The answer, the calls it cost, and when it was, by the desk's clock."""
    rehearsed = rehearsal(settings)
    conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
    desk: LiveDesk = await find_live_desk(conninfo, rehearsed)
    engine = open_engine(conninfo, application="quorum fmp")
    try:
        async with vendor_client(settings, engine, rehearsed) as (client, ledger):
            cache, before = VendorCache(engine), await _calls(engine, ledger.fingerprint, job)
            look = _Look(
                vendor=MarketVendor(client, cache, desk.clock),
                kept=MarketVendor(NobodyAsked(), cache, desk.clock),
                settings=settings,
                errand=Errand(priority=Priority.DISCOVERY, job=job),
                now=desk.clock.now(),
            )
            try:
                answer = await ask(look)
            except Refused as refused:
                if isinstance(refused, FmpError):
                    raise _in_a_line(refused) from None
                raise OperatorError(
                    str(refused), "`quorum quota` and `quorum fmp entitlements` say more"
                ) from None
            return answer, await _calls(engine, ledger.fingerprint, job) - before, look.now
    finally:
        await engine.dispose()


def _in_a_line(refused: FmpError) -> OperatorError:
    """Without the vendor's own words where they are many: the ledger keeps them."""
    meaning, remedy = MEANINGS[refused.fault]
    if refused.fault is CallFault.BAD_REQUEST and refused.status is None:  # it was never sent
        return OperatorError(f"{refused.asked}: {refused.note}", "`quorum watch list` names symbols")
    words = f": {refused.note}" if len(refused.note) <= NOTE_SHOWN and refused.note else ""
    answered = "gave no answer" if refused.status is None else f"answered {refused.status}"
    return OperatorError(clean(f"FMP {answered} for {refused.asked} ({meaning}{words})"), remedy)


async def _calls(engine: AsyncEngine, key: str, job: str) -> int:
    counted = text("select count(*) from vendor_calls where key_fingerprint = :key and job = :job")
    async with engine.connect() as connection:
        return int((await connection.execute(counted, {"key": key, "job": job})).scalar_one())


def _aged(told: Aged[Value], symbol: str) -> _Answer:
    if told.value is None:
        raise OperatorError(
            f"FMP has nothing of {symbol.upper()}", "`quorum watch list` names symbols it has"
        )
    return _Answer(_figures(told.value), told.source, told.as_of, told.stale, told.note)


def _figures(row: object) -> Mapping[str, object]:
    assert isinstance(row, BaseModel)
    return row.model_dump(mode="json", exclude_none=True)


def _lines(answer: _Answer, now: datetime) -> Iterator[str]:
    if isinstance(answer.figures, list):
        for row in answer.figures:
            yield "  ".join(_in_words(value) for name, value in row.items() if name in SHOWN)
        yield f"{len(answer.figures)} found"
    else:
        for name, value in answer.figures.items():
            yield f"{name:<{LABEL}}{_in_words(value)}"
    age = f", {span((now - answer.as_of).total_seconds())} old" if answer.as_of else ""
    note = f"; {answer.note}" if answer.note else ""
    yield f"from {answer.source}{age}{' (STALE)' if answer.stale else ''}{note}"


def _in_words(value: object) -> str:
    """A figure as a person reads it; --json has all its digits."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.4f}".rstrip("0").rstrip(".")


SHOWN = ("symbol", "company_name", "sector", "market_cap", "price", "beta")
