from dataclasses import replace
from decimal import Decimal

import pytest

from agents.base import Abstention, AgentUnavailable, BaseAgent
from agents.consensus import ConsensusRule, ConsensusRules
from agents.market.indicators import Technicals
from agents.orchestrator import AgentOrchestrator, Briefing, Deliberation
from agents.pool import PoolState
from agents.roles.news_analyst import NewsAnalystAgent, NewsContext, NewsReading
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskContext, RiskManagerAgent, RiskVerdict
from agents.roles.strategy_builder import StrategyBuilderAgent
from agents.trading.costs import Costs
from agents.trading.limits import BookView, Limits, risk_policy
from agents.trading.screener import Screened
from agents.trading.setups import Setups
from storage.records import AgentName, DeskKind, Direction, SetupType, Stance, ThesisKind, Volatility
from tests.trading.builders import CRASH, ENTRY, LEADER, PULLBACK, book
from tests.trading.builders import candidate as facts

SYMBOLS = ("AAA", "LOW", "TIE1", "TIE2", "A", "B", "C")


class Headlines(BaseAgent[NewsContext, NewsReading]):
    """A news analyst that has read something."""

    name = AgentName.NEWS
    source = "some-model"

    def __init__(self, thesis: ThesisKind) -> None:
        super().__init__(timer=lambda: 0.0)
        self._thesis = thesis

    async def execute(self, context: NewsContext) -> NewsReading | Abstention:
        return NewsReading(
            symbol=context.symbol, thesis=self._thesis, confidence=80.0, reasoning="It was written."
        )


class FixedRisk(BaseAgent[RiskContext, RiskVerdict]):
    """A risk manager with one answer, or none."""

    name = AgentName.RISK

    def __init__(self, verdict: RiskVerdict | None) -> None:
        super().__init__(timer=lambda: 0.0)
        self._verdict = verdict

    async def execute(self, context: RiskContext) -> RiskVerdict | Abstention:
        if self._verdict is None:
            raise AgentUnavailable("the model did not answer")
        return self._verdict


def desk(
    news: BaseAgent[NewsContext, NewsReading] | None = None,
    risk: BaseAgent[RiskContext, RiskVerdict] | None = None,
) -> AgentOrchestrator:
    return AgentOrchestrator(
        research=ResearchAgent(timer=lambda: 0.0),
        news=news or NewsAnalystAgent(timer=lambda: 0.0),
        strategy=StrategyBuilderAgent(timer=lambda: 0.0),
        risk=risk or RiskManagerAgent(timer=lambda: 0.0),
    )


def candidate(symbol: str = "AAA", readings: Technicals = PULLBACK, score: float = 60.0) -> Screened:
    return Screened(symbol=symbol, technicals=readings, filters=(), score=score, selected=True)


def briefing(
    view: BookView | None = None,
    *,
    direction: Direction = Direction.BULL,
    volatility: Volatility = Volatility.NORMAL_VOL,
    limits: Limits | None = None,
    allowed: frozenset[SetupType] = frozenset(SetupType),
) -> Briefing:
    return Briefing(
        kind=DeskKind.PAPER,
        direction=direction,
        volatility=volatility,
        book=view or book(),
        entry_session=ENTRY,
        facts={name: facts(name, sector=f"Sector of {name}") for name in SYMBOLS},
        setups=Setups(),
        allowed=allowed,
        parameters_version=3,
        limits=limits or Limits(),
        costs=Costs(),
    )


def stances(deliberation: Deliberation) -> dict[AgentName, Stance]:
    return {vote.agent: vote.stance for vote in deliberation.votes}


async def test_two_of_three_in_favour_become_terms_for_the_human() -> None:
    result = await desk().deliberate(candidate(), briefing())
    assert (result.denied_by, result.consensus.stance, result.risky) == (None, Stance.FOR, False)
    assert stances(result) == {
        AgentName.RESEARCH: Stance.FOR,
        AgentName.NEWS: Stance.ABSTAIN,
        AgentName.STRATEGY: Stance.FOR,
        AgentName.RISK: Stance.FOR,
    }
    assert [vote.veto_only for vote in result.votes] == [False, False, False, True]
    terms = result.terms
    assert terms is not None
    assert (terms.max_shares, terms.max_risk, terms.max_entry) == (100, Decimal("500.00"), Decimal(101))
    assert (terms.entry_session, terms.parameters_version, terms.max_hold) == (ENTRY, 3, 10)
    assert terms.limits == Limits().in_force()
    assert len(terms.digest) == 64
    assert "AAA is oversold at RSI(14) 30.0" in result.reasoning


async def test_a_bearish_thesis_leaves_no_majority() -> None:
    crash = replace(CRASH, atr14=3.0)
    result = await desk().deliberate(candidate(readings=crash), briefing())
    assert (result.denied_by, result.terms, result.sized) == ("consensus", None, None)
    assert "1 of 3 are for it, 2 must be" in result.reasoning
    assert result.thesis is not None


async def test_the_pool_is_worked_out_and_kept_whichever_rule_decides() -> None:
    rates = dict.fromkeys(SetupType, 0.4)
    counted = await desk().deliberate(candidate(), replace(briefing(), base_rates=rates))
    pooled = await desk().deliberate(
        candidate(), replace(briefing(), base_rates=rates, consensus=ConsensusRules(rule=ConsensusRule.POOL))
    )
    assert (counted.consensus.rule, counted.consensus.probability) == (ConsensusRule.MAJORITY, None)
    assert counted.consensus.pooled == pooled.consensus.pooled == pooled.consensus.probability
    assert (counted.consensus.base_rate, pooled.consensus.base_rate) == (0.4, 0.4)
    assert counted.consensus.abstained == pooled.consensus.abstained == (AgentName.NEWS,)


async def test_the_pool_denies_what_the_majority_would_buy_where_the_odds_are_poor() -> None:
    pool, poor = ConsensusRules(rule=ConsensusRule.POOL), dict.fromkeys(SetupType, 0.1)
    by_majority = await desk().deliberate(candidate(), replace(briefing(), base_rates=poor))
    by_pool = await desk().deliberate(candidate(), replace(briefing(), base_rates=poor, consensus=pool))
    assert (by_majority.denied_by, by_pool.denied_by) == (None, "consensus")
    assert by_pool.consensus.probability is not None and by_pool.consensus.probability < 0.5
    assert by_pool.terms is None


async def test_a_pool_without_skill_leaves_the_decision_to_the_base_rate() -> None:
    voters = (AgentName.NEWS, AgentName.RESEARCH, AgentName.STRATEGY)
    learnt = PoolState(
        weights=dict.fromkeys(voters, 1 / 3),
        slopes=dict.fromkeys(voters, 0.5),
        resolved=40,
        judged=40,
        skill=-0.1,
    )
    pool = replace(briefing(), consensus=ConsensusRules(rule=ConsensusRule.POOL), pool=learnt)
    found = await desk().deliberate(candidate(), replace(pool, base_rates=dict.fromkeys(SetupType, 0.45)))
    assert (found.denied_by, found.consensus.probability) == ("consensus", 0.45)
    assert "has no skill" in found.reasoning


async def test_good_news_can_make_the_majority_and_is_named_with_its_source() -> None:
    crash = replace(CRASH, atr14=3.0)
    result = await desk(Headlines(ThesisKind.BULLISH)).deliberate(candidate(readings=crash), briefing())
    assert result.denied_by is None
    news = result.votes[1]
    assert (news.stance, news.conviction, news.source) == (Stance.FOR, 0.8, "some-model")


async def test_agreement_without_a_setup_is_nothing_to_trade() -> None:
    result = await desk(Headlines(ThesisKind.BULLISH)).deliberate(
        candidate(readings=replace(PULLBACK, rsi14=39.0)), briefing()
    )
    assert (result.denied_by, result.consensus.stance) == ("setup", Stance.FOR)


async def test_what_is_held_or_proposed_is_voted_on_but_not_bought_again() -> None:
    for view in (book(held=frozenset({"AAA"})), book().reserve("AAA", Decimal(1), Decimal(1), sector=None)):
        result = await desk().deliberate(candidate(), briefing(view))
        assert (result.denied_by, result.terms) == ("held", None)
        assert result.thesis is not None


async def test_a_limit_denies_under_its_name() -> None:
    result = await desk().deliberate(candidate(), briefing(book(day_return=-0.03)))
    assert result.denied_by == "daily_loss"
    assert not all(check.passed for check in result.checks)


async def test_the_policy_alone_makes_a_trade_smaller_in_a_worse_market() -> None:
    limits = risk_policy(Limits(), 0.0025, 0.015)
    result = await desk().deliberate(
        candidate(), briefing(direction=Direction.BEAR, volatility=Volatility.HIGH_VOL, limits=limits)
    )
    assert result.terms is not None
    assert (result.terms.max_shares, result.risk_scale) == (50, 1.0)
    assert result.terms.limits == limits.in_force()  # the fill keeps to the policy too


async def test_a_risk_manager_can_shrink_the_trade() -> None:
    risk = FixedRisk(RiskVerdict(scale=0.25, veto=False, reasons=("a thin book",)))
    result = await desk(risk=risk).deliberate(candidate(), briefing())
    assert result.terms is not None
    assert (result.terms.max_shares, result.risk_scale) == (25, 0.25)
    assert "Risk manager: a thin book." in result.reasoning


async def test_a_setup_the_regime_does_not_allow_is_not_traded() -> None:
    leader = replace(candidate(readings=LEADER), nearest=SetupType.MOMENTUM)
    allowed = await desk().deliberate(leader, briefing())
    assert allowed.terms is not None
    assert (allowed.setup_type, allowed.terms.setup_type) == (SetupType.MOMENTUM, SetupType.MOMENTUM)
    barred = await desk().deliberate(leader, briefing(allowed=frozenset({SetupType.OVERSOLD_BOUNCE})))
    assert (barred.denied_by, barred.terms, barred.setup_type) == ("setup", None, SetupType.MOMENTUM)


async def test_a_proposal_takes_room_in_its_sector() -> None:
    together = replace(briefing(), facts={name: facts(name) for name in SYMBOLS})
    rows = [candidate("A", score=3), candidate("B", score=2), candidate("C", score=1)]
    results = await desk().deliberate_all(rows, together)
    assert [result.sized.shares if result.sized else 0 for result in results] == [100, 100, 47]  # 25,000
    assert results[2].sized is not None
    assert results[2].sized.bound_by == "sector"


@pytest.mark.parametrize("scale", [0.001, 0.3, 0.999, 1.0])
async def test_whatever_the_risk_manager_says_the_trade_never_grows(scale: float) -> None:
    plain = await desk().deliberate(candidate(), briefing())
    risk = FixedRisk(RiskVerdict(scale=scale, veto=False, reasons=()))
    result = await desk(risk=risk).deliberate(candidate(), briefing())
    assert plain.sized is not None
    if result.sized is None:
        assert result.denied_by == "risk_per_trade"
    else:
        assert result.sized.shares <= plain.sized.shares
        assert result.sized.max_risk <= plain.sized.max_risk


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (RiskVerdict(scale=1.0, veto=True, reasons=("too crowded",)), "too crowded"),
        (None, "the model did not answer"),
    ],
)
async def test_a_veto_or_an_absent_risk_manager_stops_the_trade(
    verdict: RiskVerdict | None, reason: str
) -> None:
    result = await desk(risk=FixedRisk(verdict)).deliberate(candidate(), briefing())
    assert (result.denied_by, result.terms) == ("risk_manager", None)
    assert stances(result)[AgentName.RISK] is Stance.AGAINST
    assert reason in result.reasoning


async def test_the_best_score_is_served_first_and_reserves_what_it_may_need() -> None:
    rows = [candidate("LOW", score=40), candidate("TIE2", score=60), candidate("TIE1", score=60)]
    results = await desk().deliberate_all(rows, briefing(book(cash="15000")))
    assert [result.symbol for result in results] == ["TIE1", "TIE2", "LOW"]
    first, second, third = results
    assert first.sized is not None
    assert second.sized is not None
    assert (first.sized.shares, second.sized.shares) == (100, 48)  # 15,000 less 10,101 and the commission
    assert third.denied_by == "cash"
    assert "of the cash limit" in second.risky_reasons[0]


async def test_the_same_candidate_twice_is_proposed_once() -> None:
    results = await desk().deliberate_all([candidate(), candidate()], briefing())
    assert [result.denied_by for result in results] == [None, "held"]


async def test_deliberations_do_not_depend_on_the_order_of_the_candidates() -> None:
    rows = [candidate(symbol, score=score) for symbol, score in (("A", 50.0), ("B", 70.0), ("C", 50.0))]
    forwards = await desk().deliberate_all(rows, briefing(book(cash="25000")))
    backwards = await desk().deliberate_all(reversed(rows), briefing(book(cash="25000")))
    assert forwards == backwards
