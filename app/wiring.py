"""The one place where rooms are handed their parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.gateway import Gateway
from agents.llm.claude import Claude
from agents.market.history import HistoryPack, find_pack, load_pack
from agents.orchestrator import AgentOrchestrator
from agents.roles.asking import Models
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent
from app.runtime.founding import sessions_of
from app.runtime.jobs import Workbench
from app.runtime.live import LiveDesk, Rehearsal
from app.runtime.prompts import StoredPrompts
from app.runtime.slots import Need
from app.runtime.sources import Sources
from app.runtime.step import DeskParts
from app.settings import Settings
from storage.engine import open_engine
from storage.records import DeskKind
from storage.spend import PostgresSpendLedger


def claude_of(settings: Settings) -> Claude | None:
    """The server of the models; None without a key."""
    key = settings.anthropic_api_key
    if key is None:
        return None
    return Claude(key, base_url=settings.anthropic_base_url, provider=settings.llm.provider)


@asynccontextmanager
async def open_models(
    settings: Settings, kind: DeskKind, conninfo: str, *, keyed: bool = True
) -> AsyncIterator[Models | None]:
    """The desk's door to Claude. It connects when first asked.

    None on HISTORY, which asks nobody: a replay costs nothing, and a model knows how history went on. A
    rehearsal that is to try the models asks with QUORUM_REHEARSAL__MODELS.
    """
    if kind is DeskKind.HISTORY and not settings.rehearsal.models:
        yield None
        return
    engine = open_engine(conninfo, application="quorum llm")
    ledger = PostgresSpendLedger(engine, settings.llm.budget.limits)
    gateway = Gateway(claude_of(settings), ledger, settings.llm)
    try:
        yield Models(gateway=gateway, prompts=StoredPrompts(engine), keyed=keyed)
    finally:
        await gateway.close()
        await engine.dispose()


def desk_parts(settings: Settings, kind: DeskKind, models: Models | None = None) -> DeskParts:
    """A desk's agents and rules; without `models` every agent answers by rules."""
    return DeskParts(
        kind=kind,
        regime_detector=RegimeDetectorAgent(models),
        orchestrator=AgentOrchestrator(
            research=ResearchAgent(models),
            news=NewsAnalystAgent(models),
            strategy=StrategyBuilderAgent(models),
            risk=RiskManagerAgent(models),
        ),
        limits=settings.limits,
        costs=settings.costs.for_desk(kind),
        screen=settings.screen,
        setups=settings.setups,
        regime_policy=settings.regime_policy,
        protections=settings.protections,
        consensus=settings.consensus,
        spend_limits=settings.llm.budget.limits,
        models=models,
    )


def rehearsal(settings: Settings) -> Rehearsal | None:
    """The rehearsal the settings ask for. Raises OperatorError for a pack or a session that is not there."""
    asked = settings.rehearsal
    if asked.history is None:
        return None
    pack = load_pack(find_pack(asked.history, settings.library))
    return Rehearsal(pack=pack, first=sessions_of(pack, asked.first, None)[0], speed=asked.speed)


def sources(settings: Settings, pack: HistoryPack | None) -> Sources:
    """What a desk that runs by the clock has: a rehearsal its pack, the paper desk what its keys open."""
    if pack is not None:
        lacking = {need: f"lacks {need}: a rehearsal has only what its pack holds" for need in Need}
        del lacking[Need.BARS], lacking[Need.CORPORATE_ACTIONS]
        return Sources(market=pack, lacking=lacking)
    key = "FMP_API_KEY is not set" if settings.fmp_api_key is None else "no FMP client in this version"
    lacking = {need: f"lacks {need}: {key}" for need in Need}
    lacking[Need.LEARNING] = "lacks a learning loop: not in this version"
    return Sources(market=None, lacking=lacking)


def workbench(
    settings: Settings, desk: LiveDesk, rehearsal: Rehearsal | None, models: Models | None
) -> Workbench:
    """What the runs of a desk are carried out with."""
    return Workbench(
        parts=desk_parts(settings, desk.kind, models),
        sources=sources(settings, rehearsal.pack if rehearsal else None),
        clock=desk.clock,
    )
