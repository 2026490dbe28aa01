"""The one place where rooms are handed their parts."""

from __future__ import annotations

from agents.orchestrator import AgentOrchestrator
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent
from app.runtime.step import DeskParts
from app.settings import Settings
from storage.records import DeskKind


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
        costs=settings.costs,
        screen=settings.screen,
        oversold_bounce=settings.oversold_bounce,
    )
