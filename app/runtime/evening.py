"""The evening of a session: regime, screen, deliberation, digest."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from uuid import UUID

from agents.base import Abstention
from agents.base import Vote as SpokenVote
from agents.orchestrator import Briefing
from agents.orchestrator import Deliberation as Argument
from agents.trading.limits import BookView
from agents.trading.screener import Screened
from agents.trading.setups import SetupPlan
from app.runtime.evidence import trade_facts
from app.runtime.step import Step, StepResult, held, technicals_json
from storage.memory import StoredThesis
from storage.models import Approval, Deliberation, RegimeReading, ScreenerResult, Vote
from storage.models.base import Json
from storage.records import (
    AgentName,
    ApprovalState,
    Recommendation,
    SetupType,
    TradeTerms,
    uuid7,
)

SHORT_ID_DIGITS = 4


async def read_regime(step: Step) -> StepResult:
    """Read and store the regime; without an index old enough the step says so and nothing is proposed."""
    report = await step.parts.regime_detector.run(step.view, attendance=step.attendance)
    regime = report.outcome
    if isinstance(regime, Abstention):
        return StepResult(f"no reading: {regime.reason}", {})
    await step.memory.store_regime(
        RegimeReading(
            session=step.session,
            direction=regime.direction,
            volatility=regime.volatility,
            since=regime.since,
            standing=regime.standing,
            bear_probability=regime.bear_probability,
            index_symbol=regime.index_symbol,
            index_close=regime.index_close,
            sma200=regime.average,
            volatility_source=regime.volatility_source,
            volatility_value=regime.volatility_value,
            source=report.source,
            latency_ms=report.latency_ms,
            created_at=step.now,
        )
    )
    return StepResult(
        f"{regime.direction} {regime.volatility}: {regime.index_symbol} {regime.distance:+.1%} from SMA200",
        {"direction": regime.direction, "volatility": regime.volatility},
    )


async def screen_universe(step: Step) -> StepResult:
    """Screen the universe and keep every row that came near."""
    result = step.screened()
    scan_id = uuid7()
    step.memory.store_screen([_screen_row(step, scan_id, row) for row in result.rows])
    figures: Json = {
        "universe": result.universe,
        "with_data": result.with_data,
        "passed": result.passed,
        "selected": len(result.selected),
        "failures": dict(result.failures),
    }
    return StepResult(
        f"{result.universe} symbols, {result.with_data} with data, {result.passed} passed, "
        f"{len(result.selected)} selected",
        figures,
    )


async def deliberate(step: Step) -> StepResult:
    """Argue over every selected candidate; what passes waits for the human."""
    if step.next_session is None:
        return StepResult("the history ends here: nothing to enter", {})
    regime = await step.memory.regime(step.session)
    if regime is None:
        return StepResult("no regime has been read yet: nothing is proposed", {})
    candidates = {row.symbol: row for row in step.screened().selected}
    briefing = Briefing(
        direction=regime.direction,
        volatility=regime.volatility,
        book=await _book_tonight(step),
        entry_session=step.next_session,
        parameters=step.parts.oversold_bounce,
        parameters_version=step.parameters_version,
        limits=step.parts.limits,
        costs=step.parts.costs,
        attendance=step.attendance,
    )
    arguments = await step.parts.orchestrator.deliberate_all(candidates.values(), briefing)
    await _keep(step, arguments, candidates)
    proposed = [argument.symbol for argument in arguments if argument.terms is not None]
    denied = {argument.symbol: argument.denied_by for argument in arguments if argument.denied_by}
    return StepResult(
        f"{len(arguments)} argued, {len(proposed)} proposed"
        + (f": {', '.join(proposed)}" if proposed else ""),
        {"argued": len(arguments), "proposed": list(proposed), "denied": dict(denied)},
    )


async def digest(step: Step) -> StepResult:
    """Sum up what each agent did."""
    await step.memory.store_metrics(step.session, now=step.now)
    return StepResult("the day is summed up", {})


def _screen_row(step: Step, scan_id: UUID, row: Screened) -> ScreenerResult:
    return ScreenerResult(
        scan_id=scan_id,
        session=step.session,
        symbol=row.symbol,
        asset_type=step.view.instruments[row.symbol].asset_type,
        filters_matched={result.name: asdict(result) for result in row.filters},
        fundamental_snapshot={},
        technical_snapshot=technicals_json(row.technicals),
        composite_score=Decimal(str(row.score)),
        selected_for_watchlist=row.selected,
        created_at=step.now,
    )


async def _book_tonight(step: Step) -> BookView:
    """The account as just settled; nothing is reserved, as this morning's cutoff answered every approval."""
    equity = await step.ledger.last_equity()
    assert equity is not None  # settle has marked this session
    positions = [held(position) for position in await step.ledger.open_positions()]
    return BookView(
        equity=equity.equity,
        cash=equity.cash,
        heat_usd=sum((position.heat for position in positions), Decimal(0)),
        day_return=equity.day_return,
        held=frozenset(position.symbol for position in positions),
    )


async def _keep(step: Step, arguments: tuple[Argument, ...], candidates: dict[str, Screened]) -> None:
    """Store the evening's arguments with their votes and theses and the approvals they led to."""
    deliberations, votes, approvals = [], [], []
    for rank, argument in enumerate(arguments, start=1):
        candidate = candidates[argument.symbol]
        row = _deliberation(step, rank, argument, candidate)
        deliberations.append(row)
        votes += [_vote(row.id, vote) for vote in argument.votes]
        if argument.terms is not None and argument.plan is not None:
            approvals.append(
                await _approval(step, row.id, argument, argument.terms, argument.plan, candidate)
            )
    await step.memory.store_deliberations(deliberations, votes, approvals)
    await step.memory.store_theses(
        step.session,
        [
            StoredThesis(
                symbol=argument.symbol,
                thesis=argument.thesis.thesis,
                confidence=argument.thesis.confidence,
                source=_research_source(argument),
                reasoning=argument.thesis.reasoning,
            )
            for argument in arguments
            if argument.thesis is not None
        ],
    )


def _deliberation(step: Step, rank: int, argument: Argument, candidate: Screened) -> Deliberation:
    return Deliberation(
        id=uuid7(),
        session=step.session,
        symbol=argument.symbol,
        rank=rank,
        setup_type=SetupType.OVERSOLD_BOUNCE,
        proposed=argument.terms is not None,
        denied_by=argument.denied_by,
        reasoning=argument.reasoning,
        checks=[asdict(check) for check in argument.checks],
        technical_snapshot=technicals_json(candidate.technicals),
        created_at=step.now,
    )


def _vote(deliberation_id: UUID, vote: SpokenVote) -> Vote:
    return Vote(
        deliberation_id=deliberation_id,
        agent_name=vote.agent,
        stance=vote.stance,
        conviction=vote.conviction,
        source=vote.source,
        reason=vote.reason,
        veto_only=vote.veto_only,
        latency_ms=vote.latency_ms,
    )


def _research_source(argument: Argument) -> str:
    return next(vote.source for vote in argument.votes if vote.agent is AgentName.RESEARCH)


async def _approval(
    step: Step,
    deliberation_id: UUID,
    argument: Argument,
    terms: TradeTerms,
    plan: SetupPlan,
    candidate: Screened,
) -> Approval:
    closed, won = await step.memory.setup_record(terms.setup_type, before=step.now)
    return Approval(
        deliberation_id=deliberation_id,
        short_id=f"{terms.symbol}-{terms.digest[:SHORT_ID_DIGITS]}",
        created_session=step.session,
        symbol=terms.symbol,
        setup_type=terms.setup_type,
        entry_session=terms.entry_session,
        min_entry=terms.min_entry,
        max_entry=terms.max_entry,
        stop=terms.stop,
        target=terms.target,
        max_shares=terms.max_shares,
        max_risk=terms.max_risk,
        max_hold=terms.max_hold,
        parameters_version=terms.parameters_version,
        limits=dict(terms.limits),
        digest=terms.digest,
        close=plan.close,
        risky=argument.risky,
        risky_reasons=list(argument.risky_reasons),
        recommendation=Recommendation.APPROVE,
        reasoning=argument.reasoning,
        facts=[
            [fact.label, fact.value]
            for fact in trade_facts(
                plan, terms, candidate, step.view.bars(terms.symbol), closed_trades=closed, won_trades=won
            )
        ],
        state=ApprovalState.PENDING,
        expires_at=step.verdicts_until,
        created_at=step.now,
    )
