"""The one place where rooms are handed their parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine

from agents.gateway import Gateway
from agents.llm.claude import Claude
from agents.market.fmp.client import FMPClient
from agents.market.fmp.config import LOOPBACK, FMPConfig
from agents.market.history import HistoryPack, find_pack, load_pack
from agents.orchestrator import AgentOrchestrator
from agents.roles.asking import Models
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent
from app.runtime.brokers import paper_broker
from app.runtime.founding import sessions_of
from app.runtime.jobs import Workbench
from app.runtime.live import LiveDesk, Rehearsal
from app.runtime.market.live import VendorMarket
from app.runtime.prompts import StoredPrompts
from app.runtime.slots import Need
from app.runtime.sources import PackMarket, Sources
from app.runtime.step import DeskParts
from app.settings import Settings
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.quota import QuotaLedger
from storage.records import DeskKind
from storage.server import MAIN_DESK
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


def scheduled_models(settings: Settings, desk: LiveDesk) -> AbstractAsyncContextManager[Models | None]:
    """The door to Claude of agents that the clock calls; none while they are switched off."""
    if not settings.agent_orchestrator_enabled:
        return nullcontext()
    return open_models(settings, desk.kind, desk.conninfo)


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
        broker=paper_broker,
        models=models,
        home=settings.home,
    )


def rehearsal(settings: Settings) -> Rehearsal | None:
    """The rehearsal the settings ask for. Raises OperatorError for a pack or a session that is not there,
    and for one against the vendor itself."""
    asked = settings.rehearsal
    if asked.history is not None:
        pack = load_pack(find_pack(asked.history, settings.library))
        return Rehearsal(pack=pack, first=sessions_of(pack, asked.first, None)[0], speed=asked.speed)
    if asked.first is None:
        return None
    if urlsplit(settings.fmp_base_url).hostname not in LOOPBACK:
        raise OperatorError(
            "QUORUM_REHEARSAL__FIRST is set without a history",
            "unset it, name a QUORUM_REHEARSAL__HISTORY, or let FMP_BASE_URL lead to a stand-in on loopback",
        )
    return Rehearsal(pack=None, first=asked.first, speed=asked.speed)


def asks_the_vendor(settings: Settings, desk: str, rehearsed: Rehearsal | None) -> str:
    """Why a desk may not ask the vendor, or nothing.

    Of all desks only the main one asks: two ledgers would overrun one key. A rehearsal may ask a stand-in.
    """
    if settings.fmp_api_key is None:
        return "FMP_API_KEY is not set"
    stands_in = rehearsed is not None and rehearsed.pack is None
    return (
        ""
        if desk == MAIN_DESK or stands_in
        else f"only the desk {MAIN_DESK} asks the vendor: one key, one ledger"
    )


@asynccontextmanager
async def vendor_client(
    settings: Settings, engine: AsyncEngine, rehearsed: Rehearsal | None
) -> AsyncIterator[tuple[FMPClient, QuotaLedger]]:
    """The vendor's client, and the ledger that every call of it passes."""
    assert settings.fmp_api_key is not None  # asks_the_vendor has said so
    stands_in = rehearsed is not None
    key = settings.fmp_api_key
    ledger = QuotaLedger(engine, key.get_secret_value(), settings.fmp.rules, accelerated=stands_in)
    config = FMPConfig(base_url=settings.fmp_base_url)
    if stands_in:  # the wall's seconds are the desk's minutes: nothing is gained by pacing them
        config = config.model_copy(update={"per_second": 1000.0})
    async with FMPClient(config, key, ledger) as client:
        yield client, ledger


@asynccontextmanager
async def vendor_market(
    settings: Settings, desk: LiveDesk, rehearsed: Rehearsal | None
) -> AsyncIterator[VendorMarket | None]:
    """The vendor as the market of this desk; None where it may not ask."""
    if asks_the_vendor(settings, desk.name, rehearsed):
        yield None
        return
    engine = open_engine(desk.conninfo, application="quorum vendor")
    try:
        async with vendor_client(settings, engine, rehearsed) as (client, ledger):
            market = VendorMarket(
                engine=engine,
                asker=client,
                ledger=ledger,
                rules=settings.fmp.rules,
                clock=desk.clock,
                volatility=settings.volatility,
                news=settings.news,
            )
            try:
                yield market
            finally:
                await market.aclose()
    finally:
        await engine.dispose()


def sources(
    settings: Settings,
    pack: HistoryPack | None,
    market: VendorMarket | None = None,
    *,
    desk: str = MAIN_DESK,
    agents: bool = True,
) -> Sources:
    """What a desk that runs by the clock has: a rehearsal its pack, the paper desk what its keys open."""
    if pack is not None:
        lacking = {need: f"lacks {need}: a rehearsal has only what its pack holds" for need in Need}
        for held in (Need.BARS, Need.CORPORATE_ACTIONS, Need.LEARNING):
            del lacking[held]
        return Sources(market=PackMarket(pack), lacking=lacking, agents=agents)
    if market is not None:
        return Sources(market=market, lacking={}, agents=agents)
    why = asks_the_vendor(settings, desk, None)
    lacking = {need: f"lacks {need}: {why}" for need in Need}
    return Sources(market=None, lacking=lacking, agents=agents)


def scheduled_sources(
    settings: Settings, desk: LiveDesk, rehearsal: Rehearsal | None, market: VendorMarket | None
) -> Sources:
    """What the leader of a desk and its workers go by."""
    pack = rehearsal.pack if rehearsal else None
    return sources(settings, pack, market, desk=desk.name, agents=settings.agent_orchestrator_enabled)


def workbench(
    settings: Settings,
    desk: LiveDesk,
    rehearsal: Rehearsal | None,
    models: Models | None,
    market: VendorMarket | None,
) -> Workbench:
    """What the runs of a desk are carried out with."""
    return Workbench(
        parts=desk_parts(settings, desk.kind, models),
        sources=scheduled_sources(settings, desk, rehearsal, market),
        clock=desk.clock,
    )
