"""A stored decision decided again from what was kept of it, by the code of today: no model is called.

What every agent answered then is read again by today's code, what it needed no model for is worked out anew.
The book of that evening is not kept, so no trade is sized again: the limits' figures are those of the record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar, cast

from agents.base import Abstention, Vote, stance_of
from agents.consensus import Consensus, ConsensusRules, decide
from agents.grounding import Facts
from agents.llm.answers import AnswerModel, Misfit, read_answer
from agents.market.indicators import Technicals
from agents.orchestrator import CONSENSUS, HELD, RISK_MANAGER, SETUP
from agents.pool import PoolState
from agents.roles.asking import ModelAgent
from agents.roles.news_analyst import NewsAnalystAgent, NewsContext
from agents.roles.research import ResearchAgent, ResearchContext
from agents.roles.strategy_builder import StrategyBuilderAgent, StrategyContext, StrategyVerdict
from agents.trading.setups import SetupPlan, Setups
from storage.records import AgentName, Direction, LimitCheck, SetupType, Stance

ContextT = TypeVar("ContextT")
VerdictT = TypeVar("VerdictT")
AnswerT = TypeVar("AnswerT", bound=AnswerModel)

PROPOSED = "proposed"
BEFORE_LIMITS = (SETUP, CONSENSUS)
VOTED = 1e-9  # convictions nearer than this are the same
BOOK_IS_GONE = "the book of that evening is not kept, so the trade is not sized again"


class Sameness(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "cannot be replayed"


@dataclass(frozen=True, kw_only=True)
class KeptPrices:
    """The prices that were proposed; dollars a share, and sessions."""

    min_entry: Decimal
    max_entry: Decimal
    stop: Decimal
    target: Decimal
    max_hold: int

    @property
    def words(self) -> str:
        return (
            f"{self.min_entry:.2f} to {self.max_entry:.2f}, stop {self.stop:.2f}, "
            f"target {self.target:.2f}, {self.max_hold} sessions"
        )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of one decision.

    `answers` are the texts of models by agent, only those a vote rests on. `allowed`, `setups` and
    `consensus` are those in force then; `pool` is what the outcomes before it teach by today's code.
    """

    symbol: str
    technicals: Technicals
    direction: Direction
    setups: Setups
    allowed: Collection[SetupType]
    consensus: ConsensusRules
    base_rate: float | None
    pool: PoolState | None
    votes: tuple[Vote, ...]
    answers: Mapping[AgentName, str]
    stance: Stance | None  # what the votes came to; None: from before it was kept
    checks: tuple[LimitCheck, ...]
    denied_by: str | None
    prices: KeptPrices | None  # of a proposal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One step of the decision: what was said then, what code says now, and why they cannot be compared."""

    part: str
    then: str
    now: str
    sameness: Sameness
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Rehearing:
    """Whether the code of today would decide the same; `findings` in the order of the decision."""

    sameness: Sameness
    then: str
    now: str
    findings: tuple[Finding, ...]

    @property
    def sentence(self) -> str:
        match self.sameness:
            case Sameness.SAME:
                return f"today's code decides the same: {self.then}"
            case Sameness.DIFFERENT:
                return f"today's code decides otherwise: {self.then} then, {self.now} now"
            case Sameness.UNKNOWN:
                return f"what today's code decides cannot be told: {self.now}"


@dataclass(frozen=True)
class _Said(Generic[VerdictT]):
    """What an agent says now and on what; no outcome where that cannot be had."""

    outcome: VerdictT | Abstention | None
    note: str


def rehear(kept: Kept) -> Rehearing:
    """Decide again. ValueError on votes that no consensus can be made of."""
    strategy, strategy_now, strategy_note = _strategy(kept)
    votes = [
        (AgentName.RESEARCH, *_research(kept)),
        (AgentName.NEWS, *_news(kept)),
        (AgentName.STRATEGY, strategy_now, strategy_note),
    ]
    plan = strategy.plan if strategy is not None and isinstance(strategy.plan, SetupPlan) else None
    findings = [_vote_finding(kept, agent, now, note) for agent, now, note in votes]
    findings.append(_prices_finding(kept, plan))
    consensus = _consensus(kept, [now for _, now, _ in votes if now is not None])
    findings.append(_consensus_finding(kept, consensus))
    findings.append(_limits_finding(kept))
    if kept.denied_by == HELD:
        note = "taken from the record: the book of that evening is not kept"
        findings.append(Finding(part="held", then=HELD, now=HELD, sameness=Sameness.SAME, note=note))
    then = kept.denied_by or PROPOSED
    now = _outcome(kept, plan, consensus)
    if now is None:
        sameness, told = Sameness.UNKNOWN, "it would go on to the limits, and " + BOOK_IS_GONE
    else:
        sameness, told = (Sameness.SAME if now == then else Sameness.DIFFERENT), now
    return Rehearing(sameness=sameness, then=then, now=told, findings=tuple(findings))


def _outcome(kept: Kept, plan: SetupPlan | None, consensus: Consensus | None) -> str | None:
    """What becomes of it now; None where only the book of that evening could tell."""
    if kept.denied_by == HELD:
        return HELD
    if plan is None:
        return SETUP
    if consensus is None:
        return None
    if consensus.stance is not Stance.FOR:
        return CONSENSUS
    if kept.denied_by in BEFORE_LIMITS:
        return None
    failed = [check.name for check in kept.checks if not check.passed]
    if kept.denied_by is None:
        same_prices = kept.prices is None or _prices(plan) == kept.prices
        return PROPOSED if same_prices and not failed else (failed[0] if failed else "other prices")
    return kept.denied_by if kept.denied_by == RISK_MANAGER or kept.denied_by in failed else None


def _research(kept: Kept) -> tuple[Vote | None, str]:
    context = ResearchContext(symbol=kept.symbol, technicals=kept.technicals, direction=kept.direction)
    said = _again(kept, ResearchAgent(), context)
    outcome, note = said.outcome, said.note
    if outcome is None:
        return None, note
    if isinstance(outcome, Abstention):
        return _cast(AgentName.RESEARCH, Stance.ABSTAIN, None), note
    return _cast(AgentName.RESEARCH, stance_of(outcome.thesis), outcome.confidence / 100), note


def _news(kept: Kept) -> tuple[Vote | None, str]:
    context = NewsContext(symbol=kept.symbol, session=kept.technicals.session, items=None)
    said = _again(kept, NewsAnalystAgent(), context)
    outcome, note = said.outcome, said.note
    if outcome is None:
        return None, note
    if isinstance(outcome, Abstention):
        return _cast(AgentName.NEWS, Stance.ABSTAIN, None), note
    return _cast(AgentName.NEWS, stance_of(outcome.thesis), outcome.confidence / 100), note


def _strategy(kept: Kept) -> tuple[StrategyVerdict | None, Vote | None, str]:
    context = StrategyContext(
        symbol=kept.symbol, technicals=kept.technicals, setups=kept.setups, allowed=kept.allowed
    )
    said = _again(kept, StrategyBuilderAgent(), context)
    outcome, note = said.outcome, said.note
    if outcome is None or isinstance(outcome, Abstention):
        return None, None, note
    return outcome, _cast(AgentName.STRATEGY, outcome.stance, outcome.conviction), note


def _again(kept: Kept, agent: ModelAgent[ContextT, VerdictT, AnswerT], context: ContextT) -> _Said[VerdictT]:
    """What an agent says now, on the stored answer where a model gave it."""
    given = next((vote for vote in kept.votes if vote.agent is agent.name), None)
    if given is None:
        return _Said(None, "it was not asked then")
    by_model = given.origin.interaction_id is not None
    if given.stance is Stance.ABSTAIN and given.conviction is None and not by_model:
        return _Said(Abstention(given.reason), "it abstained then, and why is taken as it stands")
    rules = agent.by_rules(context)
    if not by_model:
        return _Said(rules, "by rules")
    text = kept.answers.get(agent.name)
    if text is None:
        return _Said(None, "the model's answer is not kept")
    answer = read_answer(agent.answer_type, text)
    if isinstance(answer, Misfit):
        return _Said(None, f"the stored answer does not fit today's form: {answer}")
    brief = agent.brief(context, rules)
    facts = Facts(brief.facts if brief else (), days=(kept.technicals.session,))
    heeded = agent.heed(context, rules, cast("AnswerT", answer), facts)
    return _Said(heeded.verdict, f"on the stored answer of {given.source}")


def _cast(agent: AgentName, stance: Stance, conviction: float | None) -> Vote:
    return Vote(agent=agent, stance=stance, conviction=conviction, reason="", latency_ms=0.0)


def _consensus(kept: Kept, votes: list[Vote]) -> Consensus | None:
    voters = {vote.agent for vote in kept.votes if not vote.veto_only}
    if kept.base_rate is None or {vote.agent for vote in votes} != voters:
        return None
    return decide(
        votes,
        rule=kept.consensus.rule,
        base_rate=kept.base_rate,
        state=kept.pool,
        rules=kept.consensus.pool,
    )


def _vote_finding(kept: Kept, agent: AgentName, now: Vote | None, note: str) -> Finding:
    given = next((vote for vote in kept.votes if vote.agent is agent), None)
    then = "-" if given is None else _voted(given)
    if now is None or given is None:
        return Finding(part=f"{agent} votes", then=then, now="-", sameness=Sameness.UNKNOWN, note=note)
    near = now.conviction == given.conviction or (
        now.conviction is not None
        and given.conviction is not None
        and abs(now.conviction - given.conviction) <= VOTED
    )
    same = now.stance is given.stance and near
    return Finding(part=f"{agent} votes", then=then, now=_voted(now), sameness=_same(same), note=note)


def _voted(vote: Vote) -> str:
    return f"{vote.stance}" if vote.conviction is None else f"{vote.stance} {vote.conviction:.2f}"


def _prices_finding(kept: Kept, plan: SetupPlan | None) -> Finding:
    then = kept.prices.words if kept.prices else "no setup" if kept.denied_by == SETUP else "-"
    now = "no setup" if plan is None else _prices(plan).words
    if kept.prices is not None:
        same = _same(plan is not None and _prices(plan) == kept.prices)
    elif kept.denied_by == SETUP:
        same = _same(plan is None)
    else:
        same = Sameness.UNKNOWN
    note = "the prices of what was not proposed are not kept" if same is Sameness.UNKNOWN else ""
    return Finding(part="setup and prices", then=then, now=now, sameness=same, note=note)


def _prices(plan: SetupPlan) -> KeptPrices:
    return KeptPrices(
        min_entry=plan.min_entry,
        max_entry=plan.max_entry,
        stop=plan.stop,
        target=plan.target,
        max_hold=plan.max_hold,
    )


def _consensus_finding(kept: Kept, consensus: Consensus | None) -> Finding:
    then = "-" if kept.stance is None else f"{kept.stance}"
    if consensus is None or kept.stance is None:
        note = "not every vote could be had again" if consensus is None else "it was not kept then"
        now = "-" if consensus is None else f"{consensus.stance}"
        return Finding(part="consensus", then=then, now=now, sameness=Sameness.UNKNOWN, note=note)
    return Finding(
        part="consensus",
        then=then,
        now=f"{consensus.stance}",
        sameness=_same(consensus.stance is kept.stance),
        note=consensus.note,
    )


def _limits_finding(kept: Kept) -> Finding:
    """The limits on the figures of the record; what they were reckoned from is not kept."""
    failed = [check.name for check in kept.checks if not check.passed]
    if not kept.checks:
        return Finding(part="limits", then="not asked", now="-", sameness=Sameness.UNKNOWN, note=BOOK_IS_GONE)
    denied = kept.denied_by not in (None, HELD, SETUP, CONSENSUS, RISK_MANAGER)
    then = f"denied by {kept.denied_by}" if denied else f"{len(kept.checks)} passed"
    now = f"denied by {failed[0]}" if failed else f"{len(kept.checks)} passed"
    return Finding(
        part="limits",
        then=then,
        now=now,
        sameness=_same(denied == bool(failed)),
        note=f"on the figures of the record: {BOOK_IS_GONE}",
    )


def _same(same: bool) -> Sameness:
    return Sameness.SAME if same else Sameness.DIFFERENT
