"""The one place where rooms are handed their parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from agents.market.fmp.client import FMPClient
from agents.market.fmp.config import LOOPBACK, FMPConfig
from agents.market.history import HistoryPack, find_pack, load_pack
from agents.orchestrator import AgentOrchestrator
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent
from app.runtime.founding import sessions_of
from app.runtime.jobs import Workbench
from app.runtime.live import LiveDesk, Rehearsal
from app.runtime.market.live import VendorMarket
from app.runtime.slots import Need
from app.runtime.sources import PackMarket, Sources
from app.runtime.step import DeskParts
from app.settings import Settings
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.quota import QuotaLedger
from storage.records import DeskKind
from storage.server import MAIN_DESK


def desk_parts(settings: Settings, kind: DeskKind) -> DeskParts:
    """A desk whose agents all answer by rules."""
    return DeskParts(
        kind=kind,
        regime_detector=RegimeDetectorAgent(),
        orchestrator=AgentOrchestrator(
            research=ResearchAgent(),
            news=NewsAnalystAgent(),
            strategy=StrategyBuilderAgent(),
            risk=RiskManagerAgent(),
        ),
        limits=settings.limits,
        costs=settings.costs.for_desk(kind),
        screen=settings.screen,
        setups=settings.setups,
        regime_policy=settings.regime_policy,
        protections=settings.protections,
        consensus=settings.consensus,
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


@asynccontextmanager
async def vendor_market(
    settings: Settings, desk: LiveDesk, rehearsed: Rehearsal | None
) -> AsyncIterator[VendorMarket | None]:
    """The vendor as the market of this desk; None where it has none, for the reason `sources` gives.

    Of all desks only the main one asks: two ledgers would overrun one key. A rehearsal may ask a stand-in.
    """
    stands_in = rehearsed is not None and rehearsed.pack is None
    if settings.fmp_api_key is None or not (desk.name == MAIN_DESK or stands_in):
        yield None
        return
    key, rules = settings.fmp_api_key.get_secret_value(), settings.fmp.rules
    engine = open_engine(desk.conninfo, application="quorum vendor")
    ledger = QuotaLedger(engine, key, rules, accelerated=stands_in)
    # Against a stand-in the wall's seconds are the desk's minutes: nothing is gained by pacing them.
    pace = {"per_second": 1000.0} if stands_in else {}
    config = FMPConfig(base_url=settings.fmp_base_url, **pace)
    try:
        async with FMPClient(config, settings.fmp_api_key, ledger) as client:
            market = VendorMarket(
                engine=engine,
                asker=client,
                ledger=ledger,
                rules=rules,
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


def sources(settings: Settings, pack: HistoryPack | None, market: VendorMarket | None = None) -> Sources:
    """What a desk that runs by the clock has: a rehearsal its pack, the paper desk what its keys open."""
    if pack is not None:
        lacking = {need: f"lacks {need}: a rehearsal has only what its pack holds" for need in Need}
        del lacking[Need.BARS], lacking[Need.CORPORATE_ACTIONS]
        return Sources(market=PackMarket(pack), lacking=lacking)
    learning = {Need.LEARNING: "lacks a learning loop: not in this version"}
    if market is not None:
        return Sources(market=market, lacking=learning)
    why = "only the desk paper asks the vendor: two ledgers would overrun one key"
    if settings.fmp_api_key is None:
        why = "FMP_API_KEY is not set"
    return Sources(market=None, lacking={**{need: f"lacks {need}: {why}" for need in Need}, **learning})


def workbench(
    settings: Settings, desk: LiveDesk, rehearsal: Rehearsal | None, market: VendorMarket | None
) -> Workbench:
    """What the runs of a desk are carried out with."""
    return Workbench(
        parts=desk_parts(settings, desk.kind),
        sources=sources(settings, rehearsal.pack if rehearsal else None, market),
        clock=desk.clock,
    )
