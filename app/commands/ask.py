"""`quorum ask ROLE SYMBOL` and `quorum research SYMBOL`: one agent by hand, on what a desk has stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, partial
from typing import Any

import psycopg
import typer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from agents.base import Abstention, Report
from agents.gateway import NO_KEY
from agents.market.calendar import next_session
from agents.market.indicators import Technicals, technicals
from agents.roles.asking import Models
from agents.roles.news_analyst import NewsAnalystAgent, NewsContext
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.roles.research import ResearchAgent, ResearchContext
from agents.roles.risk_manager import RiskContext, RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent, StrategyContext, StrategyVerdict
from agents.trading.limits import Denied, size_entry
from agents.trading.policy import Policy
from agents.trading.screener import screen
from agents.trading.setups import NoSetup, SetupPlan, plan_setup
from app.commands.desks import open_desk
from app.runtime.book import book_tonight, facts_tonight
from app.runtime.limits import limits_under, policy_of
from app.runtime.step import Step
from app.runtime.stored import stored_view
from app.settings import Settings, load_settings
from app.wiring import desk_parts, open_models
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.journal import Journal
from storage.ledger import Ledger
from storage.models import RegimeReading
from storage.plain import as_json, clean
from storage.records import AgentName, DeskKind, Slot


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a role is asked about."""

    step: Step
    symbol: str
    readings: Technicals
    regime: RegimeReading
    policy: Policy


def print_answer(role: AgentName, symbol: str | None, desk: str | None, *, as_object: bool) -> None:
    """Ask one agent and print what it says, whose word it is and what it cost. Raises OperatorError."""
    settings = load_settings()
    with open_desk(desk) as opened:
        header = opened.snapshot().header
        if header.session is None:
            raise OperatorError(f"desk {opened.name} has no settled session yet", "ask after its first close")
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        name = (symbol or "").upper()
        try:
            said = asyncio.run(_answer(settings, header.kind, conninfo, role, name, header.session))
        except DBAPIError as away:
            if isinstance(away.orig, psycopg.OperationalError):
                raise away.orig from away
            raise
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, **said}))
        return
    for line in _lines(said):
        typer.echo(clean(line))


async def _answer(
    settings: Settings, kind: DeskKind, conninfo: str, role: AgentName, symbol: str, session: date
) -> dict[str, Any]:
    """The report as JSON values."""
    engine = open_engine(conninfo)
    try:
        async with (
            open_models(settings, kind, conninfo, keyed=False) as models,
            AsyncSession(engine) as database,
            database.begin(),
        ):
            step = await _step(settings, kind, database, session, symbol)
            if role is AgentName.REGIME:
                report: Report[Any] = await RegimeDetectorAgent(models).run(step.view)
            else:
                report = await _ROLES[role](await _about(step, symbol), models)
    finally:
        await engine.dispose()
    origin = report.origin
    return {
        "agent": role.value,
        "symbol": symbol or None,
        "session": session.isoformat(),
        **_verdict(report.outcome),
        "note": origin.note,
        "flags": list(origin.flags),
        "figures": as_json(origin.figures),
        "source": origin.source,
        "cost_usd": float(origin.cost_usd),
        "latency_ms": round(report.latency_ms, 1),
        "interaction": str(origin.interaction_id) if origin.interaction_id else None,
    }


async def _step(
    settings: Settings, kind: DeskKind, database: AsyncSession, session: date, symbol: str
) -> Step:
    """The desk at the close of its last session, to be read only."""
    parts = desk_parts(settings, kind)
    journal = Journal(database)
    version = await journal.newest_parameters()
    held = [position.symbol for position in await Ledger(database).open_positions()]
    view = await stored_view(database, session, [*([symbol] if symbol else []), *held])
    now = datetime.now(UTC)
    return Step(
        database=database,
        parts=parts,
        parameters_version=version.version,
        session=session,
        slot=Slot.DIGEST,
        next_session=next_session(session),
        view=view,
        screened=cache(partial(screen, view, parts.screen)),
        now=now,
        wall_now=now,
    )


async def _about(step: Step, symbol: str) -> _Asked:
    readings = technicals(step.view.bars(symbol)) if symbol in step.view.instruments else None
    if readings is None:
        raise OperatorError(
            f"the desk has no usable bars of {symbol or 'a symbol'} by {step.session}",
            "`quorum screens` names symbols it knows",
        )
    regime = await step.memory.regime(step.session)
    if regime is None:
        raise OperatorError("no regime has been read yet", "ask after the desk's first evening")
    return _Asked(step=step, symbol=symbol, readings=readings, regime=regime, policy=policy_of(step, regime))


async def _research(asked: _Asked, models: Models | None) -> Report[Any]:
    return await ResearchAgent(models).run(
        ResearchContext(symbol=asked.symbol, technicals=asked.readings, direction=asked.regime.direction)
    )


async def _news(asked: _Asked, models: Models | None) -> Report[Any]:
    return await NewsAnalystAgent(models).run(NewsContext(symbol=asked.symbol, session=asked.step.session))


async def _strategy(asked: _Asked, models: Models | None) -> Report[Any]:
    return await StrategyBuilderAgent(models).run(
        StrategyContext(
            symbol=asked.symbol,
            technicals=asked.readings,
            setups=asked.step.parts.setups,
            allowed=asked.policy.setups,
        )
    )


async def _risk(asked: _Asked, models: Models | None) -> Report[Any]:
    """On the trade that the rules would propose tonight."""
    step, symbol = asked.step, asked.symbol
    plan = plan_setup(symbol, asked.readings, step.parts.setups, asked.policy.setups)
    if isinstance(plan, NoSetup):
        raise OperatorError(f"there is no trade in {symbol}: {plan.reason}", "ask about another symbol")
    entry = next_session(step.session)
    sized = size_entry(
        plan,
        facts_tonight(step, symbol, entry),
        await book_tonight(step, entry, (symbol,)),
        limits_under(step, asked.policy),
        step.parts.costs,
    )
    if isinstance(sized, Denied):
        raise OperatorError(f"the limits leave no trade in {symbol}: {sized.reason}", "see `quorum limits`")
    return await RiskManagerAgent(models).run(
        RiskContext(
            plan=plan,
            sized=sized,
            direction=asked.regime.direction,
            volatility=asked.regime.volatility,
            costs=step.parts.costs,
        )
    )


_ROLES: dict[AgentName, Callable[[_Asked, Models | None], Awaitable[Report[Any]]]] = {
    AgentName.RESEARCH: _research,
    AgentName.NEWS: _news,
    AgentName.STRATEGY: _strategy,
    AgentName.RISK: _risk,
}


def _verdict(outcome: Any) -> dict[str, Any]:
    """The verdict's own fields; of an abstention the reason alone."""
    if isinstance(outcome, Abstention):
        return {"thesis": None, "confidence": None, "key_metrics": {}, "reasoning": outcome.reason}
    if isinstance(outcome, StrategyVerdict):
        return {
            "stance": outcome.stance.value,
            "conviction": outcome.conviction,
            "plan": _prices(outcome.plan),
            "reasoning": outcome.reasoning,
        }
    values = as_json(outcome)
    assert isinstance(values, dict)
    if "key_metrics" in values:
        values["key_metrics"] = dict(outcome.key_metrics)
    values.pop("symbol", None)
    values.pop("session", None)
    return values


def _prices(plan: SetupPlan | NoSetup) -> dict[str, Any]:
    if isinstance(plan, NoSetup):
        return {}
    return {
        "setup": plan.setup_type.value,
        **{name: float(getattr(plan, name)) for name in ("min_entry", "max_entry", "stop", "target")},
        "max_hold": plan.max_hold,
    }


def _lines(said: dict[str, Any]) -> Iterator[str]:
    about = said["symbol"] or "the market"
    yield f"{said['agent']} on {about}, close of {said['session']}: by {said['source']}"
    if said["source"] == "rules: no key":
        yield f"  {NO_KEY}"
    passed = {
        "agent",
        "symbol",
        "session",
        "source",
        "figures",
        "flags",
        "cost_usd",
        "latency_ms",
        "interaction",
    }
    for name, value in said.items():
        if name in passed or value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items() if not isinstance(item, dict))
        elif isinstance(value, list):
            value = "; ".join(str(item) for item in value)
        elif isinstance(value, float):
            value = f"{value:,.6g}"
        yield f"  {name.replace('_', ' ')}: {value}"
    unverified = [figure for figure in said["figures"] if not figure["grounded"]]
    for flag in said["flags"]:
        yield f"  ! {flag}"
    for figure in unverified:
        yield f"  [unverified] {figure['name'] or 'a number'} {figure['value']:.6g}"
    yield f"  ${said['cost_usd']:.4f}, {said['latency_ms']:,.0f} ms"
