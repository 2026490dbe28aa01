from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base import Abstention, stance_of
from agents.market.indicators import Technicals
from agents.roles.news_analyst import NewsAnalystAgent, NewsContext
from agents.roles.research import ResearchAgent, ResearchContext, ResearchThesis
from agents.roles.risk_manager import RiskContext, RiskManagerAgent, RiskVerdict
from agents.roles.strategy_builder import StrategyBuilderAgent, StrategyContext, StrategyVerdict
from agents.trading.costs import Costs
from agents.trading.limits import Limits, Sized, size_entry
from agents.trading.setups import NoSetup, SetupPlan, Setups
from storage.records import Direction, SetupType, Stance, ThesisKind, Volatility
from tests.trading.builders import BREAKING, CRASH, LEADER, PULLBACK, book, candidate, plan


async def research(readings: Technicals, direction: Direction = Direction.BULL) -> ResearchThesis:
    thesis = await ResearchAgent().execute(
        ResearchContext(symbol="AAA", technicals=readings, direction=direction)
    )
    assert isinstance(thesis, ResearchThesis)
    return thesis


async def test_research_likes_a_pullback_in_a_sound_stock() -> None:
    thesis = await research(PULLBACK)
    assert thesis.thesis is ThesisKind.BULLISH
    # trend 30 x .526, averages 20 x 1, momentum 25 x .8, high 25 x (1 - .0741/.15)
    assert thesis.confidence == pytest.approx(15.79 + 20 + 20 + 12.65, abs=0.06)
    assert thesis.reasoning.startswith(
        "AAA closed 5.3% above its 200-session average, +12.0% in 126 sessions"
    )
    assert "bullish" in thesis.reasoning


async def test_research_calls_a_crash_in_progress_bearish() -> None:
    thesis = await research(CRASH, Direction.BEAR)
    assert (thesis.thesis, thesis.confidence) == (ThesisKind.BEARISH, 100.0)
    assert dict(thesis.key_metrics)["points"] == -130.0


async def test_research_can_stay_neutral() -> None:
    flat = replace(PULLBACK, close=95.0, sma50=95.0, return_126d=0.0)
    thesis = await research(flat)
    assert thesis.thesis is ThesisKind.NEUTRAL
    assert 50 <= thesis.confidence <= 100


async def test_a_bear_market_counts_against_every_stock() -> None:
    bull, bear = await research(PULLBACK), await research(PULLBACK, Direction.BEAR)
    assert bear.confidence == pytest.approx(bull.confidence - 10, abs=0.11)


@pytest.mark.parametrize(
    "readings",
    [replace(PULLBACK, sma200=None), replace(PULLBACK, return_126d=None), replace(PULLBACK, high_52w=None)],
)
async def test_research_abstains_without_the_history(readings: Technicals) -> None:
    context = ResearchContext(symbol="AAA", technicals=readings, direction=Direction.BULL)
    assert isinstance(await ResearchAgent().execute(context), Abstention)


async def test_news_abstains_and_says_why() -> None:
    answer = await NewsAnalystAgent().execute(NewsContext(symbol="AAA"))
    assert isinstance(answer, Abstention)
    assert "no news source" in answer.reason


def test_a_neutral_view_takes_no_side() -> None:
    assert [stance_of(kind) for kind in (ThesisKind.BULLISH, ThesisKind.BEARISH, ThesisKind.NEUTRAL)] == [
        Stance.FOR,
        Stance.AGAINST,
        Stance.ABSTAIN,
    ]


async def strategy(
    readings: Technicals, allowed: Collection[SetupType] = tuple(SetupType)
) -> StrategyVerdict:
    context = StrategyContext(symbol="AAA", technicals=readings, setups=Setups(), allowed=allowed)
    verdict = await StrategyBuilderAgent().execute(context)
    assert isinstance(verdict, StrategyVerdict)
    return verdict


async def test_strategy_votes_for_its_plan_the_more_the_deeper_the_fall() -> None:
    verdict = await strategy(PULLBACK)
    assert isinstance(verdict.plan, SetupPlan)
    assert verdict.stance is Stance.FOR
    deeper = await strategy(replace(PULLBACK, rsi14=20.0))
    assert 0.5 <= verdict.conviction < deeper.conviction <= 1
    assert verdict.reasoning == (
        "AAA is oversold at RSI(14) 30.0: buy 99.00 to 101.00, stop 96.00, target 108.50, "
        "out after 10 sessions."
    )


async def test_strategy_votes_against_where_there_is_no_setup() -> None:
    verdict = await strategy(replace(PULLBACK, rsi14=55.0), {SetupType.OVERSOLD_BOUNCE})
    assert verdict.plan == NoSetup("oversold bounce: RSI(14) 55.0 is above 38")
    assert (verdict.stance, verdict.conviction) == (Stance.AGAINST, 1.0)
    assert verdict.reasoning == "No setup in AAA: oversold bounce: RSI(14) 55.0 is above 38."


@pytest.mark.parametrize(
    ("readings", "kind", "reasoning"),
    [
        (LEADER, SetupType.MOMENTUM, "AAA is in an uptrend 3.8% under its 52-week high"),
        (BREAKING, SetupType.BREAKOUT, "AAA is above its 55-session high of 100.00 on 2.2 times"),
    ],
)
async def test_strategy_votes_with_the_conviction_of_the_setup_that_shows(
    readings: Technicals, kind: SetupType, reasoning: str
) -> None:
    verdict = await strategy(readings)
    assert isinstance(verdict.plan, SetupPlan)
    assert verdict.plan.setup_type is kind
    assert (verdict.stance, verdict.conviction) == (Stance.FOR, verdict.plan.conviction)
    assert verdict.reasoning.startswith(reasoning)


async def test_strategy_plans_nothing_that_the_regime_does_not_allow() -> None:
    for allowed in ({SetupType.OVERSOLD_BOUNCE}, set[SetupType]()):
        verdict = await strategy(LEADER, allowed)
        assert isinstance(verdict.plan, NoSetup)
        assert verdict.stance is Stance.AGAINST


async def test_research_likes_what_momentum_and_breakout_buy() -> None:
    for readings in (LEADER, replace(BREAKING, high_52w=101.5, sma50=98.0)):
        assert (await research(readings)).thesis is ThesisKind.BULLISH


async def manage(
    direction: Direction, volatility: Volatility, *, equity: str = "100000", costs: Costs | None = None
) -> RiskVerdict:
    costs = costs or Costs()
    trade = size_entry(plan(), candidate(), book(equity=equity, cash=equity), Limits(), costs)
    assert isinstance(trade, Sized)
    verdict = await RiskManagerAgent().execute(
        RiskContext(plan=plan(), sized=trade, direction=direction, volatility=volatility, costs=costs)
    )
    assert isinstance(verdict, RiskVerdict)
    return verdict


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("volatility", Volatility)
async def test_the_risk_manager_leaves_the_market_to_the_policy(
    direction: Direction, volatility: Volatility
) -> None:
    assert await manage(direction, volatility) == RiskVerdict(scale=1.0, veto=False, reasons=())


async def test_the_risk_manager_vetoes_what_costs_would_eat() -> None:
    verdict = await manage(
        Direction.BULL, Volatility.NORMAL_VOL, equity="1000"
    )  # one share, 2.20 for a risk of 5
    assert verdict.veto
    assert "a round trip costs 44% of the risk" in verdict.reasons[-1]
    free = Costs(commission_usd=Decimal(0))
    assert not (await manage(Direction.BULL, Volatility.NORMAL_VOL, equity="1000", costs=free)).veto


@given(st.floats())
def test_no_risk_verdict_can_enlarge_a_trade(scale: float) -> None:
    if 0 < scale <= 1:
        assert RiskVerdict(scale=scale, veto=False, reasons=()).scale == scale
    else:
        with pytest.raises(ValueError, match="scale above 0 and at most 1"):
            RiskVerdict(scale=scale, veto=False, reasons=())
