"""A stored decision decided again: same from same, different from different, and honest about gaps."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from agents.base import Origin, Vote
from agents.consensus import ConsensusRules
from agents.rehearing import Kept, KeptPrices, Rehearing, Sameness, rehear
from agents.roles.research import ResearchAgent, ResearchContext, ResearchThesis
from agents.roles.strategy_builder import StrategyBuilderAgent, StrategyContext, StrategyVerdict
from agents.trading.setups import OversoldBounceParameters, SetupPlan, Setups
from storage.records import AgentName, Direction, LimitCheck, SetupType, Stance
from tests.trading.builders import PULLBACK

CALL = UUID(int=9)
RESEARCH_SAYS = (
    '{"thesis": "bullish", "confidence": 80, "key_metrics": [], "reasoning": "it holds its average"}'
)
PASSED = LimitCheck(name="heat", limit=0.06, before=0.01, after=0.02)
FAILED = LimitCheck(name="sector", limit=0.25, before=0.24, after=0.30)


def by_rules(agent: AgentName, stance: Stance, conviction: float | None) -> Vote:
    return Vote(agent=agent, stance=stance, conviction=conviction, reason="", latency_ms=1.0)


def kept(**changes: object) -> Kept:
    """An oversold bounce that research and strategy were for, proposed as the rules would have it."""
    readings = replace(PULLBACK, rsi14=30.0)
    setups, allowed = Setups(), frozenset(SetupType)
    research = ResearchAgent().by_rules(
        ResearchContext(symbol="AAA", technicals=readings, direction=Direction.BULL)
    )
    strategy = StrategyBuilderAgent().by_rules(
        StrategyContext(symbol="AAA", technicals=readings, setups=setups, allowed=allowed)
    )
    assert isinstance(research, ResearchThesis)
    assert isinstance(strategy, StrategyVerdict) and isinstance(strategy.plan, SetupPlan)
    plan = strategy.plan
    values: dict[str, object] = {
        "symbol": "AAA",
        "technicals": readings,
        "direction": Direction.BULL,
        "setups": setups,
        "allowed": allowed,
        "consensus": ConsensusRules(),
        "base_rate": 0.5,
        "pool": None,
        "votes": (
            replace(
                by_rules(AgentName.RESEARCH, Stance.FOR, 0.8),
                origin=Origin(source="claude-x", interaction_id=CALL),
            ),
            by_rules(AgentName.NEWS, Stance.ABSTAIN, None),
            by_rules(AgentName.STRATEGY, Stance.FOR, plan.conviction),
        ),
        "answers": {AgentName.RESEARCH: RESEARCH_SAYS},
        "stance": Stance.FOR,
        "checks": (PASSED,),
        "denied_by": None,
        "prices": KeptPrices(
            min_entry=plan.min_entry,
            max_entry=plan.max_entry,
            stop=plan.stop,
            target=plan.target,
            max_hold=plan.max_hold,
        ),
    }
    return Kept(**values | changes)  # type: ignore[arg-type]


def parts(found: Rehearing) -> dict[str, Sameness]:
    return {row.part: row.sameness for row in found.findings}


def test_what_was_kept_whole_is_decided_the_same() -> None:
    found = rehear(kept())
    assert (found.sameness, found.then, found.now) == (Sameness.SAME, "proposed", "proposed")
    assert set(parts(found).values()) == {Sameness.SAME}
    assert "on the stored answer of claude-x" in {row.note for row in found.findings}


def test_other_parameters_give_other_prices_and_it_says_so() -> None:
    wider = Setups(oversold_bounce=OversoldBounceParameters(stop_atr=3.0))
    found = rehear(kept(setups=wider))
    assert found.sameness is Sameness.DIFFERENT and found.now == "other prices"
    assert parts(found)["setup and prices"] is Sameness.DIFFERENT
    assert found.sentence == "today's code decides otherwise: proposed then, other prices now"


def test_a_setup_that_shows_no_more_and_a_vote_that_turns_are_different_decisions() -> None:
    none = rehear(kept(allowed=frozenset()))
    assert (none.sameness, none.now) == (Sameness.DIFFERENT, "setup")
    against = RESEARCH_SAYS.replace("bullish", "bearish")
    turned = rehear(kept(answers={AgentName.RESEARCH: against}))
    assert (turned.sameness, turned.now) == (Sameness.DIFFERENT, "consensus")
    assert parts(turned)["research votes"] is Sameness.DIFFERENT


@pytest.mark.parametrize("answers", [{}, {AgentName.RESEARCH: "no object"}, {AgentName.RESEARCH: "{}"}])
def test_an_answer_that_is_gone_or_unreadable_is_no_guess(answers: dict[AgentName, str]) -> None:
    found = rehear(kept(answers=answers))
    assert found.sameness is Sameness.UNKNOWN
    assert parts(found)["research votes"] is parts(found)["consensus"] is Sameness.UNKNOWN
    assert found.sentence.startswith("what today's code decides cannot be told")


def test_what_the_limits_never_saw_is_not_sized_now() -> None:
    found = rehear(kept(denied_by="consensus", stance=Stance.AGAINST, checks=(), prices=None))
    assert found.sameness is Sameness.UNKNOWN and "the book of that evening is not kept" in found.now
    assert parts(found)["consensus"] is Sameness.DIFFERENT
    assert parts(found)["limits"] is Sameness.UNKNOWN


def test_a_limit_that_denied_is_judged_again_on_its_figures() -> None:
    assert rehear(kept(denied_by="sector", checks=(PASSED, FAILED), prices=None)).now == "sector"
    loosened = replace(FAILED, limit=0.40)
    assert (
        rehear(kept(denied_by="sector", checks=(PASSED, loosened), prices=None)).sameness is Sameness.UNKNOWN
    )


def test_what_was_held_is_taken_from_the_record() -> None:
    found = rehear(kept(denied_by="held", checks=(), prices=None))
    assert (found.sameness, found.now) == (Sameness.SAME, "held")
    assert "taken from the record" in next(row.note for row in found.findings if row.part == "held")
