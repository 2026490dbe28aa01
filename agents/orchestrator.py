"""One deliberation: who is asked, how they vote, what the limits leave, and what goes to the human."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from agents.base import EVERYBODY, Abstention, Attendance, BaseAgent, Report, Vote, stance_of, together
from agents.consensus import Consensus, ConsensusRules, decide
from agents.grounding import contradictions
from agents.market.calendar import sessions_between
from agents.market.company import NOTHING_KNOWN, Dossier
from agents.pool import PoolState
from agents.roles.news_analyst import NewsContext, NewsReading
from agents.roles.research import ResearchContext, ResearchThesis
from agents.roles.risk_manager import RiskContext, RiskVerdict
from agents.roles.strategy_builder import StrategyContext, StrategyVerdict
from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    Candidate,
    Denied,
    KellyCap,
    Limits,
    Sized,
    risky_reasons,
    size_entry,
)
from agents.trading.screener import Screened
from agents.trading.setups import SetupPlan, Setups
from storage.records import DeskKind, Direction, LimitCheck, SetupType, Stance, TradeTerms, Volatility

EVEN_CHANCE = 0.5  # of a win, where nothing is known of a setup

HELD = "held"
SETUP = "setup"
CONSENSUS = "consensus"
RISK_MANAGER = "risk_manager"


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """What every deliberation of one evening stands on; `entry_session` is the one after the signal's.

    `allowed` and `limits` are what the regime's policy leaves of the setups and of the desk's own limits;
    `facts` are those of every symbol that is argued over. `base_rates` are the shrunk win rates of the setups
    in this regime, and `pool` what the resolved outcomes have taught; both as of this evening.
    """

    direction: Direction
    volatility: Volatility
    book: BookView
    facts: Mapping[str, Candidate]
    entry_session: date
    setups: Setups
    allowed: frozenset[SetupType]
    parameters_version: int
    limits: Limits
    costs: Costs
    kind: DeskKind
    kelly: Mapping[SetupType, KellyCap] = field(default_factory=dict)  # by setup, where there is a record
    consensus: ConsensusRules = field(default_factory=ConsensusRules)
    base_rates: Mapping[SetupType, float] = field(default_factory=dict)
    pool: PoolState | None = None
    dossiers: Mapping[str, Dossier] = field(default_factory=dict)  # by symbol, where there is a source
    attendance: Attendance = EVERYBODY


@dataclass(frozen=True, kw_only=True)
class Deliberation:
    """What the desk made of one candidate.

    `denied_by` names what stopped it: "held", "setup", "consensus", a limit, or "risk_manager"; None when it
    goes to the human, and only then are there `terms`. `sized` is the trade after the risk manager; `checks`
    are the limits for it, or for one share of what a limit denied, and empty when no limit was asked.
    `setup_type` is the plan's, or without a plan the one the symbol was nearest to.
    """

    symbol: str
    setup_type: SetupType
    score: float
    thesis: ResearchThesis | None
    votes: tuple[Vote, ...]
    consensus: Consensus
    plan: SetupPlan | None
    sized: Sized | None
    risk_scale: float
    checks: tuple[LimitCheck, ...]
    denied_by: str | None
    reasoning: str
    terms: TradeTerms | None
    risky_reasons: tuple[str, ...]

    @property
    def risky(self) -> bool:
        return bool(self.risky_reasons)

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Figures that two agents tell differently."""
        return contradictions({vote.agent.value: vote.origin.figures for vote in self.votes})


@dataclass(frozen=True, kw_only=True)
class _Round:
    """The answers of one blind round."""

    research: Report[ResearchThesis]
    news: Report[NewsReading]
    strategy: Report[StrategyVerdict]

    @property
    def votes(self) -> tuple[Vote, ...]:
        return _view_vote(self.research), _view_vote(self.news), _strategy_vote(self.strategy)


class AgentOrchestrator:
    """Lets its agents speak once, blind to each other, counts, sizes in code, then hears the risk manager."""

    def __init__(
        self,
        *,
        research: BaseAgent[ResearchContext, ResearchThesis],
        news: BaseAgent[NewsContext, NewsReading],
        strategy: BaseAgent[StrategyContext, StrategyVerdict],
        risk: BaseAgent[RiskContext, RiskVerdict],
    ) -> None:
        self._research = research
        self._news = news
        self._strategy = strategy
        self._risk = risk

    async def deliberate(self, candidate: Screened, briefing: Briefing) -> Deliberation:
        """One candidate against the briefing's book."""
        return await self._conclude(candidate, await self._ask(candidate, briefing), briefing)

    async def deliberate_all(
        self, candidates: Iterable[Screened], briefing: Briefing
    ) -> tuple[Deliberation, ...]:
        """Best score first, ties by symbol; a proposal reserves cash and heat before the next is sized."""
        ordered = sorted(candidates, key=lambda candidate: (-candidate.score, candidate.symbol))
        rounds = await together(*(self._ask(candidate, briefing) for candidate in ordered))
        deliberations = []
        for candidate, answers in zip(ordered, rounds, strict=True):
            deliberation = await self._conclude(candidate, answers, briefing)
            deliberations.append(deliberation)
            if deliberation.terms is not None and deliberation.sized is not None:
                sized = deliberation.sized
                book = briefing.book.reserve(
                    candidate.symbol,
                    sized.cost,
                    sized.max_risk,
                    sector=briefing.facts[candidate.symbol].sector,
                )
                briefing = replace(briefing, book=book)
        return tuple(deliberations)

    async def _ask(self, candidate: Screened, briefing: Briefing) -> _Round:
        symbol, technicals, attendance = candidate.symbol, candidate.technicals, briefing.attendance
        dossier = briefing.dossiers.get(symbol, NOTHING_KNOWN)
        research, news, strategy = await together(
            self._research.run(
                ResearchContext(
                    symbol=symbol, technicals=technicals, direction=briefing.direction, dossier=dossier
                ),
                symbol=symbol,
                attendance=attendance,
            ),
            self._news.run(
                NewsContext(symbol=symbol, session=technicals.session, items=dossier.news),
                symbol=symbol,
                attendance=attendance,
            ),
            self._strategy.run(
                StrategyContext(
                    symbol=symbol,
                    technicals=technicals,
                    setups=briefing.setups,
                    allowed=briefing.allowed,
                ),
                symbol=symbol,
                attendance=attendance,
            ),
        )
        return _Round(research=research, news=news, strategy=strategy)

    async def _conclude(self, candidate: Screened, answers: _Round, briefing: Briefing) -> Deliberation:
        votes, book = answers.votes, briefing.book
        spoken = " ".join(vote.reason for vote in votes if vote.stance is not Stance.ABSTAIN)
        plan = _plan(answers.strategy)
        setup_type = candidate.nearest if plan is None else plan.setup_type
        consensus = decide(
            votes,
            rule=briefing.consensus.rule,
            base_rate=briefing.base_rates.get(setup_type, EVEN_CHANCE),
            state=briefing.pool,
            rules=briefing.consensus.pool,
        )
        thesis = answers.research.outcome
        open_question = Deliberation(
            symbol=candidate.symbol,
            setup_type=setup_type,
            score=candidate.score,
            thesis=thesis if isinstance(thesis, ResearchThesis) else None,
            votes=votes,
            consensus=consensus,
            plan=plan,
            sized=None,
            risk_scale=1.0,
            checks=(),
            denied_by=None,
            reasoning=spoken,
            terms=None,
            risky_reasons=(),
        )
        if candidate.symbol in book.held | book.reserved:
            return _denied(open_question, HELD, "The desk already holds or has proposed it.")
        if plan is None:
            return _denied(open_question, SETUP, "There is no trade to vote on.")
        if consensus.stance is not Stance.FOR:
            return _denied(open_question, CONSENSUS, consensus.note)
        return await self._size(open_question, plan, briefing)

    async def _size(self, question: Deliberation, plan: SetupPlan, briefing: Briefing) -> Deliberation:
        """Limits first, then the risk manager, then the limits again on the smaller trade."""
        book, limits, costs = briefing.book, briefing.limits, briefing.costs
        facts = replace(briefing.facts[plan.symbol], kelly=briefing.kelly.get(plan.setup_type))
        sized = size_entry(plan, facts, book, limits, costs)
        if isinstance(sized, Denied):
            return _denied(replace(question, checks=sized.checks), sized.limit, f"Denied: {sized.reason}.")
        report = await self._risk.run(
            RiskContext(
                plan=plan,
                sized=sized,
                direction=briefing.direction,
                volatility=briefing.volatility,
                costs=costs,
            ),
            symbol=plan.symbol,
            attendance=briefing.attendance,
        )
        verdict, vote = report.outcome, _risk_vote(report)
        question = replace(question, votes=(*question.votes, vote), checks=sized.checks)
        if isinstance(verdict, Abstention) or verdict.veto:
            return _denied(question, RISK_MANAGER, f"Risk manager: {vote.reason}.")
        sized = size_entry(plan, facts, book, limits, costs, risk_scale=verdict.scale)
        question = replace(question, risk_scale=verdict.scale, checks=sized.checks)
        if isinstance(sized, Denied):
            return _denied(question, sized.limit, f"Denied: {sized.reason}.")
        return replace(
            question,
            sized=sized,
            reasoning=f"{question.reasoning} Risk manager: {vote.reason}.",
            terms=_terms(plan, sized, briefing),
            risky_reasons=risky_reasons(
                sized.checks,
                earnings_in=_earnings_in(facts, briefing.entry_session),
                kind=briefing.kind,
            ),
        )


def _earnings_in(facts: Candidate, entry_session: date) -> int | None:
    """Sessions from the entry to the announcement; None where no date is known."""
    announced = facts.earnings.session
    return None if announced is None else sessions_between(entry_session, announced)


def _plan(report: Report[StrategyVerdict]) -> SetupPlan | None:
    verdict = report.outcome
    if isinstance(verdict, StrategyVerdict) and isinstance(verdict.plan, SetupPlan):
        return verdict.plan
    return None


def _denied(question: Deliberation, by: str, why: str) -> Deliberation:
    return replace(question, denied_by=by, reasoning=f"{question.reasoning} {why}".strip())


def _terms(plan: SetupPlan, sized: Sized, briefing: Briefing) -> TradeTerms:
    return TradeTerms(
        symbol=plan.symbol,
        setup_type=plan.setup_type,
        entry_session=briefing.entry_session,
        min_entry=plan.min_entry,
        max_entry=plan.max_entry,
        stop=plan.stop,
        target=plan.target,
        max_shares=sized.shares,
        max_risk=sized.max_risk,
        max_hold=plan.max_hold,
        parameters_version=briefing.parameters_version,
        limits=briefing.limits.in_force(),
    )


def _view_vote(report: Report[ResearchThesis] | Report[NewsReading]) -> Vote:
    view = report.outcome
    return Vote(
        agent=report.agent,
        stance=Stance.ABSTAIN if isinstance(view, Abstention) else stance_of(view.thesis),
        conviction=None if isinstance(view, Abstention) else view.confidence / 100,
        origin=report.origin,
        reason=view.reason if isinstance(view, Abstention) else view.reasoning,
        latency_ms=report.latency_ms,
    )


def _strategy_vote(report: Report[StrategyVerdict]) -> Vote:
    verdict = report.outcome
    return Vote(
        agent=report.agent,
        stance=Stance.ABSTAIN if isinstance(verdict, Abstention) else verdict.stance,
        conviction=None if isinstance(verdict, Abstention) else verdict.conviction,
        origin=report.origin,
        reason=verdict.reason if isinstance(verdict, Abstention) else verdict.reasoning,
        latency_ms=report.latency_ms,
    )


def _risk_vote(report: Report[RiskVerdict]) -> Vote:
    """A veto or an absent risk manager is against: without one nothing is traded."""
    verdict = report.outcome
    if isinstance(verdict, Abstention):
        stance, reason = Stance.AGAINST, f"not available, {verdict.reason}"
    else:
        stance = Stance.AGAINST if verdict.veto else Stance.FOR
        reason = "; ".join(verdict.reasons) or "no objection"
    return Vote(
        agent=report.agent,
        stance=stance,
        conviction=None,
        origin=report.origin,
        reason=reason,
        latency_ms=report.latency_ms,
        veto_only=True,
    )
