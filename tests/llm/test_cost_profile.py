"""What one full deliberation sends, and what it costs: the profile of docs/cost.md, held here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.llm.models import ModelSettings
from agents.llm.pricing import Prices
from agents.market.company import Dossier
from agents.market.fmp.fundamentals import FinancialRatiosTtm, KeyMetricsTtm
from agents.market.news.items import NewsItem
from agents.orchestrator import AgentOrchestrator, Briefing
from agents.prompts import first_version
from agents.roles.news_analyst import MOST_ITEMS, NewsAnalystAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.sheets import FUNDAMENTALS
from agents.roles.strategy_builder import StrategyBuilderAgent
from agents.trading.costs import Costs
from agents.trading.limits import Limits
from agents.trading.screener import Screened
from agents.trading.setups import Setups
from storage.records import AgentName, DeskKind, Direction, SetupType, Volatility
from storage.spending import TokenCount
from tests.llm.inprocess import near_models
from tests.runtime.test_models_evening import Agreeable
from tests.trading.builders import ENTRY, PULLBACK, book, candidate

BYTES_A_TOKEN = 3  # of JSON and English; fewer tokens than that would be a surprise, more are dear
LEAST_CACHED = 512  # tokens, of the models the desk asks

MOST_DRIFT = 0.1
MOST_USD = Decimal("0.02")
PAGE = Path(__file__).resolve().parents[2] / "docs/cost.md"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table in docs/cost.md."""

    prefix: int  # bytes that repeat from symbol to symbol
    rest: int
    output: int  # tokens, thinking included


def profile() -> dict[AgentName, Row]:
    found = re.findall(
        r"^\| (\w+) \| [\w .]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.M
    )
    return {
        AgentName(role): Row(prefix=int(prefix), rest=int(rest), output=int(text) + int(thinking))
        for role, prefix, rest, text, thinking in found
    }


def told() -> Dossier:
    """All that a source can tell: every figure, and as much news as is ever sent."""
    figures = dict.fromkeys(FUNDAMENTALS, 0.1234)
    at = datetime(2024, 3, 7, 14, tzinfo=UTC)
    text = "Acme said on Thursday that orders for its pumps rose in the quarter, as builders came back. " * 6
    return Dossier(
        ratios=FinancialRatiosTtm.model_validate({"symbol": "AAA"}).model_copy(update=figures),
        metrics=KeyMetricsTtm.model_validate({"symbol": "AAA"}).model_copy(update=figures),
        news=tuple(
            NewsItem(
                source="a wire",
                title=f"Acme {n}: {text[:80]}",
                text=text,
                published=at,
                fetched_at=at,
                symbols=(),
            )
            for n in range(MOST_ITEMS)
        ),
    )


async def requests() -> dict[AgentName, dict[str, Any]]:
    """The body each role sends in one deliberation that goes all the way."""
    standin = Agreeable()
    models = near_models(standin)
    desk = AgentOrchestrator(
        research=ResearchAgent(models),
        news=NewsAnalystAgent(models),
        strategy=StrategyBuilderAgent(models),
        risk=RiskManagerAgent(models),
    )
    briefing = Briefing(
        kind=DeskKind.PAPER,
        direction=Direction.BULL,
        volatility=Volatility.NORMAL_VOL,
        book=book(),
        entry_session=ENTRY,
        facts={"AAA": candidate()},
        setups=Setups(),
        allowed=frozenset(SetupType),
        parameters_version=1,
        limits=Limits(),
        costs=Costs(),
        dossiers={"AAA": told()},
    )
    shown = Screened(symbol="AAA", technicals=PULLBACK, filters=(), score=60.0, selected=True)
    found = await desk.deliberate(shown, briefing)
    assert found.terms is not None
    return {agent: next(body for body in standin.asked if _asks(body, agent)) for agent in profile()}


def _asks(body: dict[str, Any], agent: AgentName) -> bool:
    return str(body["system"][0]["text"]).startswith(first_version(agent).system)


def size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def sizes(body: dict[str, Any]) -> tuple[int, int]:
    """Bytes of what repeats (tools and system), and of the rest."""
    prefix = size([body["tools"], body["system"]])
    return prefix, size(body) - prefix


def usd(row: Row, model: str, *, cached: bool, warm: bool) -> Decimal:
    prefix, rest = -(-row.prefix // BYTES_A_TOKEN), -(-row.rest // BYTES_A_TOKEN)
    tokens = TokenCount(input=prefix + rest, output=row.output)
    if cached:
        read, written = (prefix, 0) if warm else (0, prefix)
        tokens = TokenCount(input=rest, output=row.output, cache_read=read, cache_write_5m=written)
    return Prices({}).cost(model, tokens)


async def test_requests_are_as_long_as_the_page_says() -> None:
    sent = await requests()
    assert set(sent) == {AgentName.RESEARCH, AgentName.NEWS, AgentName.STRATEGY, AgentName.RISK}
    for agent, row in profile().items():
        prefix, rest = sizes(sent[agent])
        assert prefix == pytest.approx(row.prefix, rel=MOST_DRIFT), agent
        assert rest == pytest.approx(row.rest, rel=MOST_DRIFT), agent


async def test_a_full_deliberation_costs_at_most_two_cents() -> None:
    sent = await requests()
    totals = {}
    for warm in (False, True):
        totals[warm] = sum(
            usd(row, sent[agent]["model"], cached="cache_control" in sent[agent]["system"][0], warm=warm)
            for agent, row in profile().items()
        )
    assert totals[True] < totals[False] <= MOST_USD
    page = PAGE.read_text()
    assert f"**${totals[False]:.4f}**" in page and f"**${totals[True]:.4f}**" in page


async def test_what_repeats_is_cached_where_the_model_caches_so_little() -> None:
    sent, settings = await requests(), ModelSettings()
    for agent, body in sent.items():
        cached = "cache_control" in body["system"][0]
        assert cached == Prices({}).worth_caching(settings.of(agent).model)
        assert not cached or profile()[agent].prefix / 4 >= LEAST_CACHED
    again = await requests()
    assert all(sent[agent]["system"] == again[agent]["system"] for agent in sent)
