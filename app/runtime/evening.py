"""The evening of a session: regime, screen, deliberation, digest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from uuid import UUID

from agents.base import Abstention
from agents.base import Vote as SpokenVote
from agents.orchestrator import Briefing
from agents.orchestrator import Deliberation as Argument
from agents.pool import PoolState
from agents.roles.asking import groundedness
from agents.trading.afterwards import Span, ended, outcomes_after
from agents.trading.policy import Policy
from agents.trading.screener import ALL_SETUPS, Screened
from app.runtime.book import book_tonight, facts_tonight
from app.runtime.digest import as_rows, sections, use_told
from app.runtime.evidence import Fact, trade_facts
from app.runtime.halting import held_back
from app.runtime.learnt import TradeCounts, pool_state, trade_counts
from app.runtime.lessons import Lessons, lessons_on
from app.runtime.limits import kelly_caps, limits_now, limits_under, policy_of
from app.runtime.missed import reckon_missed
from app.runtime.policies import let_policies_act
from app.runtime.step import Step, StepResult, technicals_json
from app.runtime.stops import tighten_stops
from app.runtime.why import drift_readings, rungs
from storage.memory import Horizon, StoredThesis
from storage.models import Approval, Deliberation, RegimeReading, ScreenerResult, Vote
from storage.models.base import Json
from storage.records import (
    AgentName,
    ApprovalState,
    Recommendation,
    TradeTerms,
    uuid7,
)

SHORT_ID_DIGITS = 4

AFTERWARDS = {
    Horizon.SESSIONS_5: Span(sessions=5, excess=True),
    Horizon.SESSIONS_21: Span(sessions=21, excess=True),
    Horizon.DAYS_7: Span(days=7),
    Horizon.DAYS_30: Span(days=30),
}


async def read_regime(step: Step) -> StepResult:
    """Read and store the regime; without an index old enough the step says so and nothing is proposed."""
    report = await step.parts.regime_detector.run(step.view, attendance=step.attendance)
    regime = report.outcome
    if isinstance(regime, Abstention):
        return StepResult(f"no reading: {regime.reason}", {})
    before = await step.memory.regime(step.session)
    reading = RegimeReading(
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
        comment=report.origin.note,
        flags=list(report.origin.flags),
        interaction_id=report.origin.interaction_id,
        created_at=step.now,
    )
    await step.memory.store_regime(reading)
    stops = await tighten_stops(step, before, reading)
    summary = (
        f"{regime.direction} {regime.volatility}: {regime.index_symbol} {regime.distance:+.1%} from SMA200"
    )
    return StepResult(
        f"{summary}; stops raised: {', '.join(stops)}" if stops else summary,
        {"direction": regime.direction, "volatility": regime.volatility, "stops": stops},
    )


async def screen_universe(step: Step) -> StepResult:
    """Screen the universe for what the regime allows and keep every row that came near.

    Before a regime has been read every setup is looked for: nothing is proposed then.
    """
    regime = await step.memory.regime(step.session)
    allowed = frozenset(ALL_SETUPS) if regime is None else policy_of(step, regime).setups
    result = step.screened(allowed=allowed)
    scan_id = uuid7()
    step.memory.store_screen([_screen_row(step, scan_id, row) for row in result.rows])
    figures: Json = {
        "universe": result.universe,
        "with_data": result.with_data,
        "passed": result.passed,
        "selected": len(result.selected),
        "failures": dict(result.failures),
        "setups": sorted(allowed),
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
        book = await book_tonight(step, step.next_session, ())
        return StepResult(
            "no regime has been read yet: nothing is proposed",
            {"limits": limits_now(step, None, book, await kelly_caps(step))},
        )
    if held := await held_back(step, entering=False):
        book = await book_tonight(step, step.next_session, ())
        return StepResult(
            f"{held.why}; nothing is proposed",
            {"limits": limits_now(step, regime, book, await kelly_caps(step))},
        )
    policy = policy_of(step, regime)
    # Run again after its screen, with a bar or a regime that came since: what was not screened stays out.
    on_record = await step.memory.selected(step.session)
    found = step.screened(allowed=policy.setups).selected
    candidates = {row.symbol: row for row in found if row.symbol in on_record}
    book, kelly = await book_tonight(step, step.next_session, candidates), await kelly_caps(step)
    limits = limits_now(step, regime, book, kelly)
    if not candidates:
        return StepResult("0 argued, 0 proposed", {**_argued((), policy), "limits": limits})
    counts, pool = await trade_counts(step), await pool_state(step)
    briefing = Briefing(
        kind=step.parts.kind,
        direction=regime.direction,
        volatility=regime.volatility,
        book=book,
        facts={symbol: facts_tonight(step, symbol, step.next_session) for symbol in candidates},
        entry_session=step.next_session,
        setups=step.parts.setups,
        allowed=policy.setups,
        parameters_version=step.parameters_version,
        limits=limits_under(step, policy),
        costs=step.parts.costs,
        kelly=kelly,
        consensus=step.parts.consensus,
        base_rates={setup: counts.base_rate(setup, regime.direction) for setup in ALL_SETUPS},
        pool=pool,
        dossiers=await step.dossiers(candidates) if step.dossiers is not None else {},
        attendance=step.attendance,
    )
    arguments = await step.parts.orchestrator.deliberate_all(candidates.values(), briefing)
    lessons = await lessons_on(step, regime, arguments, candidates)
    await _keep(step, arguments, candidates, counts, lessons)
    await _log_figures(step, pool, arguments)
    proposed = [argument.symbol for argument in arguments if argument.terms is not None]
    return StepResult(
        f"{len(arguments)} argued, {len(proposed)} proposed"
        + (f": {', '.join(proposed)}" if proposed else ""),
        {**_argued(arguments, policy), "limits": limits},
    )


async def digest(step: Step) -> StepResult:
    """Sum up what each agent did, look at what was screened before, say how far tonight's candidates came."""
    await step.memory.store_metrics(step.session, now=step.now)
    await _look_back(step)
    tonight = await step.memory.evening(step.session)
    found = tonight.funnel if tonight is not None and tonight.session == step.session else None
    policies, reckoned = await let_policies_act(step), await reckon_missed(step)
    drifted = [reading for reading in await drift_readings(step.memory, step.session) if reading.alarm]
    sentence = found.sentence if found else "Nothing was screened."
    notes = [reading.note for reading in drifted] + [f"{told}." for told in policies]
    use = await use_told(step)
    told = sections(
        await step.memory.day(step.session),
        funnel=sentence,
        warnings=notes,
        quota=use.quota,
        spend=use.spend,
    )
    return StepResult(
        " ".join([sentence, *notes]),
        {
            "policies": policies,
            "missed": reckoned,
            "digest": as_rows(told),
            "funnel": rungs(found) if found else [],
            "drift": [{"agent": reading.agent, "p": reading.p_value} for reading in drifted],
        },
    )


async def _look_back(step: Step) -> None:
    """What symbols of earlier screens did, for every span that has ended by now."""
    due = {horizon: ended(span, step.session) for horizon, span in AFTERWARDS.items()}
    screens: dict[tuple[Horizon, date], dict[str, UUID]] = defaultdict(dict)
    for row in await step.memory.unmeasured_screens(due):
        screens[row.horizon, row.session][row.symbol] = row.id
    outcomes: dict[UUID, dict[Horizon, float]] = defaultdict(dict)
    for (horizon, session), rows in screens.items():
        for symbol, change in outcomes_after(step.view, rows, session, AFTERWARDS[horizon]).items():
            outcomes[rows[symbol]][horizon] = change
    await step.memory.store_screen_outcomes(outcomes)


async def _log_figures(step: Step, pool: PoolState, arguments: tuple[Argument, ...]) -> None:
    """Keep what the pool gives each agent's word, and how well models kept to what they were given."""
    figures = {(agent, "pool weight"): weight for agent, weight in pool.weights.items()}
    figures |= {(agent, "pool slope"): slope for agent, slope in pool.slopes.items()}
    figures |= groundedness(vote for argument in arguments for vote in argument.votes)
    await step.memory.log_metrics(figures, session=step.session, now=step.now)


def _screen_row(step: Step, scan_id: UUID, row: Screened) -> ScreenerResult:
    return ScreenerResult(
        scan_id=scan_id,
        session=step.session,
        symbol=row.symbol,
        asset_type=step.view.instruments[row.symbol].asset_type,
        filters_matched={result.name: asdict(result) for result in row.filters},
        fundamental_snapshot=step.fundamentals.get(row.symbol, {}),
        technical_snapshot=technicals_json(row.technicals),
        composite_score=Decimal(str(row.score)),
        selected_for_watchlist=row.selected,
        setup_type=row.nearest,
        created_at=step.now,
    )


def _argued(arguments: tuple[Argument, ...], policy: Policy) -> Json:
    """The figures of an evening's deliberations."""
    return {
        "argued": len(arguments),
        "proposed": [argument.symbol for argument in arguments if argument.terms is not None],
        "denied": {argument.symbol: argument.denied_by for argument in arguments if argument.denied_by},
        "policy": list(policy.reasons),
    }


async def _keep(
    step: Step,
    arguments: tuple[Argument, ...],
    candidates: dict[str, Screened],
    counts: TradeCounts,
    lessons: Lessons,
) -> None:
    """Store the evening's arguments with their votes and theses and the approvals they led to."""
    deliberations, votes, approvals = [], [], []
    for rank, argument in enumerate(arguments, start=1):
        candidate = candidates[argument.symbol]
        row = _deliberation(step, rank, argument, candidate)
        deliberations.append(row)
        votes += [_vote(row.id, vote) for vote in argument.votes]
        if argument.terms is not None and argument.plan is not None and argument.sized is not None:
            facts = trade_facts(
                argument.plan,
                argument.terms,
                argument.sized,
                candidate,
                step.view.bars(argument.symbol),
                record=counts.of_setup(argument.setup_type),
                base_rate=argument.consensus.base_rate,
            )
            facts = (*facts, *(Fact("Lesson", claim.sentence) for claim in lessons.of(argument.symbol)))
            approvals.append(_approval(step, row.id, argument, argument.terms, argument.plan.close, facts))
    await step.memory.store_deliberations(deliberations, votes, approvals)
    await step.memory.link_claims(
        (claim.id, row.id) for row in deliberations for claim in lessons.of(row.symbol)
    )
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
    consensus = argument.consensus
    return Deliberation(
        id=uuid7(),
        session=step.session,
        symbol=argument.symbol,
        rank=rank,
        setup_type=argument.setup_type,
        proposed=argument.terms is not None,
        denied_by=argument.denied_by,
        reasoning=argument.reasoning,
        checks=[asdict(check) for check in argument.checks],
        technical_snapshot=technicals_json(candidate.technicals),
        consensus_rule=consensus.rule,
        consensus=consensus.stance,
        probability=consensus.probability,
        pooled=consensus.pooled,
        base_rate=consensus.base_rate,
        pool_skill=consensus.skill,
        dissent=list(consensus.dissent),
        abstained=list(consensus.abstained),
        consensus_note=consensus.note,
        contradictions=list(argument.contradictions),
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
        interaction_id=vote.origin.interaction_id,
        figures=[asdict(figure) for figure in vote.origin.figures],
        flags=list(vote.origin.flags),
    )


def _research_source(argument: Argument) -> str:
    return next(vote.source for vote in argument.votes if vote.agent is AgentName.RESEARCH)


def _approval(
    step: Step,
    deliberation_id: UUID,
    argument: Argument,
    terms: TradeTerms,
    close: Decimal,
    facts: tuple[Fact, ...],
) -> Approval:
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
        close=close,
        risky=argument.risky,
        risky_reasons=list(argument.risky_reasons),
        recommendation=Recommendation.APPROVE,
        reasoning=argument.reasoning,
        facts=[[fact.label, fact.value] for fact in facts],
        state=ApprovalState.PENDING,
        expires_at=step.verdicts_until,
        created_at=step.now,
    )
