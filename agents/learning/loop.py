"""The desk measures itself every night, learns, and proposes; a human decides.

Five stages, each one transaction that also writes its row: whatever ends the process, the stage that was not
done is done again, and no other. What one stage hands to the next lies in the rows, not in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from agents.base import EVERYBODY, Abstention, Attendance
from agents.learning import measuring, prompt_shadow, watching
from agents.learning.claims import analyse
from agents.learning.evidence import Evidence
from agents.learning.filters import fact_of
from agents.learning.prompt_ideas import TRIALS, judge_prompt, variant_of
from agents.learning.proposals import changed_evenings, proposed, refused, stored_evidence
from agents.learning.runs import Simulator
from agents.learning.search import Night, examine, search
from agents.learning.source import EvidenceSource
from agents.learning.space import ParameterChange, changed, plain, space, value_of
from agents.learning.tonight import Tonight, Transactions, aside
from agents.roles.asking import Models
from agents.roles.learning import (
    Hypotheses,
    KindOfTrade,
    LearningAgent,
    LearningContext,
    OpenParameter,
)
from storage.learning_records import AdjustmentKind, LoopStage
from storage.memory import Adjustment, AgentMemory, StageDone, StoredClaim, TriedVariant
from storage.models.base import Json
from storage.records import AgentName, uuid7
from storage.versions import prompt_text

FAMILIES = tuple(sorted({row.family for row in space().values() if row.replayable}))

MOST_PARAMETERS = 6  # varied in one night: what changes the screen costs a night minutes

_ADJUSTMENTS: TypeAdapter[tuple[Adjustment, ...]] = TypeAdapter(tuple[Adjustment, ...])
_HYPOTHESES: TypeAdapter[Hypotheses] = TypeAdapter(Hypotheses)

Wall = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class NightReport:
    """What a night came to: each stage in a sentence, and the alarms."""

    stages: Mapping[LoopStage, StageDone]
    repeated: tuple[LoopStage, ...]  # done before, by a night that was cut off

    @property
    def summary(self) -> str:
        return "; ".join(f"{stage}: {done.note}" for stage, done in self.stages.items())

    @property
    def figures(self) -> Json:
        return {
            stage.value: {"in": done.rows_in, "out": done.rows_out} for stage, done in self.stages.items()
        }


class SelfLearningLoop:
    """Measure, analyse, propose, evidence, store: one night at a time, handed its parts."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        source: EvidenceSource,
        agent: LearningAgent,
        models: Models | None = None,
        wall: Wall = lambda: datetime.now(UTC),
        attendance: Attendance = EVERYBODY,
    ) -> None:
        """`transactions` opens the desk's memory for one stage: what it wrote is kept whole or not at all.

        Through `models` prompts are tried; without them none is proposed.
        """
        self._transactions = transactions
        self._source = source
        self._agent = agent
        self._models = models
        self._wall = wall
        self._attendance = attendance
        self._stages: Mapping[LoopStage, Callable[[AgentMemory, Tonight, Done], Awaitable[StageDone]]] = {
            LoopStage.MEASURE: self._measure,
            LoopStage.ANALYSE: self._analyse,
            LoopStage.PROPOSE: self._propose,
            LoopStage.EVIDENCE: self._evidence,
            LoopStage.STORE: self._store,
        }

    async def night(self, tonight: Tonight) -> NightReport:
        """Do what is left of a session's night. A stage that fails is tried again by the next call."""
        done: dict[LoopStage, StageDone] = {}
        repeated = []
        for stage, work in self._stages.items():
            async with self._transactions() as memory:
                found = await memory.stage_done(tonight.session, stage)
                if found is not None:
                    done[stage] = found
                    repeated.append(stage)
                    continue
                started = self._wall()
                made = await work(memory, tonight, done)
                before = await memory.rows_in_before(tonight.session, stage)
                if before and not made.rows_in and stage in (LoopStage.MEASURE, LoopStage.ANALYSE):
                    made = replace(made, note=f"{made.note}; nothing to read, {before} rows the night before")
                    await memory.alarm(f"{stage} of {tonight.session}: {made.note}", at=tonight.wall_now)
                await memory.record_stage(
                    tonight.session, stage, made, started=started, finished=self._wall()
                )
                done[stage] = made
        return NightReport(stages=done, repeated=tuple(repeated))

    async def _measure(self, memory: AgentMemory, tonight: Tonight, done: Done) -> StageDone:
        # What takes minutes comes first; then the changes are held, for as long as it takes to write.
        looks = [
            *await watching.look(memory, tonight, self._source),
            *await prompt_shadow.look(memory, tonight, self._source, self._models),
        ]
        outcomes = await measuring.calibrate(memory, tonight)
        trades = await memory.trades_known(before=tonight.now)
        await memory.hold_changes()
        expired = await memory.expire_unanswered(tonight.wall_now)
        alarms = list(await measuring.judge_applied(memory, tonight, trades))
        seen = await watching.act(memory, tonight, looks)
        for alarm in (*alarms, *seen.alarms):
            await memory.alarm(alarm, at=tonight.wall_now)
        for trial in seen.sang:
            told = f"{trial}: noise would be promoted, so nothing is tonight"
            await memory.alarm(told, at=tonight.wall_now)
        note = f"{outcomes} outcomes, {seen.trials} trials"
        if expired:
            note += f", {expired} proposals expired"
        return StageDone(
            rows_in=outcomes,
            rows_out=seen.pairs + len(alarms),
            note="; ".join([note, *seen.sentences, *alarms]),
            result={"sang": list(seen.sang), "taken_back": seen.taken_back},
        )

    async def _analyse(self, memory: AgentMemory, tonight: Tonight, done: Done) -> StageDone:
        trades = [fact_of(trade) for trade in await memory.trades_known(before=tonight.now)]
        claims = analyse(trades, as_of=tonight.session)
        await memory.forget_claims(tonight.session)
        fresh = await memory.store_claims(
            [
                StoredClaim(
                    id=uuid7(),
                    filter=one.filter.model_dump(mode="json", exclude_none=True),
                    trade_ids=one.trade_ids,
                    statistics=asdict(one.statistics),
                    sentence=one.sentence,
                    made=one.made,
                    expires=one.expires,
                )
                for one in claims
            ],
            session=tonight.session,
            now=tonight.now,
        )
        kinds = [
            {
                "name": str(one.filter),
                "n": one.statistics.n,
                "win_rate": one.statistics.win_rate,
                "mean_r": one.statistics.mean_r,
            }
            for one in claims
        ]
        return StageDone(
            rows_in=len(trades),
            rows_out=len(claims),
            note=f"{len(claims)} claims from {len(trades)} trades, {fresh} of them new",
            result={"kinds": kinds},
        )

    async def _propose(self, memory: AgentMemory, tonight: Tonight, done: Done) -> StageDone:
        if done[LoopStage.MEASURE].result.get("taken_back"):
            said = "a change was taken back tonight: the rules the night began with are in force no more"
            return StageDone(rows_in=0, rows_out=0, note=said, result=_dumped(Hypotheses(family=None)))
        busy = await memory.families_in_flight()
        family = family_of(tonight.session) if tonight.ends_week else None
        if family in busy:
            return StageDone(
                rows_in=0,
                rows_out=0,
                note=f"{family} has a change on its way",
                result=_dumped(Hypotheses(family=None)),
            )
        free = [row for row in space().values() if row.replayable and row.family not in busy]
        kinds: Any = done[LoopStage.ANALYSE].result["kinds"]
        report = await self._agent.run(
            LearningContext(
                session=tonight.session,
                family=family,
                trades=tuple(KindOfTrade(**kind) for kind in kinds),
                parameters=tuple(
                    OpenParameter(
                        name=row.name,
                        unit=row.unit,
                        bounds=row.bounds,
                        value=value_of(tonight.rules, row.name),
                        step=row.step,
                    )
                    for row in free
                ),
                prompts=await self._prompts_in_force(),
            ),
            attendance=self._attendance,
        )
        told = report.outcome
        if isinstance(told, Abstention):
            return StageDone(rows_in=0, rows_out=0, note=told.reason, result=_dumped(Hypotheses(family=None)))
        note = f"{told.family} is looked at ({report.source})"
        if told.ideas:
            note += f", {len(told.ideas)} ideas of a model"
        return StageDone(rows_in=len(free), rows_out=1 + len(told.ideas), note=note, result=_dumped(told))

    async def _prompts_in_force(self) -> tuple[tuple[AgentName, str], ...]:
        """The words that can be tried tonight, by role."""
        if self._models is None:
            return ()
        found = []
        for agent in TRIALS:
            champion = await self._models.prompts.champion(agent)
            if champion is not None:
                found.append((agent, prompt_text(champion.system, champion.instruction)))
        return tuple(found)

    async def _evidence(self, memory: AgentMemory, tonight: Tonight, done: Done) -> StageDone:
        told = _HYPOTHESES.validate_python(done[LoopStage.PROPOSE].result)
        simulator = None if told.family is None else self._source.past(tonight.session)
        if told.family is None or simulator is None:
            short = "no search" if told.family is None else "the desk has too few sessions of history"
            return StageDone(rows_in=0, rows_out=0, note=short, result={"adjustments": [], "missing": []})
        asked = _Asked(
            trials=await memory.trials_ever(),
            busy=await memory.families_in_flight(),
            rejected=frozenset(
                ParameterChange(one.name, Decimal(one.old_value), Decimal(one.new_value))
                for one in await memory.turned_down(AdjustmentKind.PARAMETER)
            ),
        )
        nights = [await aside(_searched(simulator, tonight, told, asked))]
        if told.ideas:
            nights.append(await aside(_examined(simulator, tonight, told, asked, nights[0])))
        for night, whose in zip(nights, ("search", "model"), strict=False):
            await memory.register_trials(
                tonight.session, [_variant(change, whose) for change in night.tried], now=tonight.now
            )
        canary = nights[0].canary
        sang = canary is not None and canary.sang
        if sang:
            await memory.alarm("noise would have been proposed: nothing is tonight", at=tonight.wall_now)
        adjustments = [
            one
            for night in nights
            for one in await aside(_adjustments(simulator, tonight, night, barred=sang))
        ]
        for words in told.prompts:
            judged = await judge_prompt(memory, tonight, self._models, words)
            adjustments.append(judged)
            if judged.evidence.mix is not None:  # it was asked: it counts among all that was ever tried
                await memory.register_trials(tonight.session, [variant_of(judged)], now=tonight.now)
        tried = sum(len(night.tried) for night in nights)
        missing = list(nights[0].missing)
        note = f"{tried} variants over {nights[0].trades} trades, {len(adjustments)} to be written"
        gains = [_judged(one) for night in nights for one in night.evidence]
        return StageDone(
            rows_in=nights[0].trades,
            rows_out=tried,
            note="; ".join([note, *gains, *missing, *(["the canary sang"] if sang else [])]),
            result={
                "adjustments": _ADJUSTMENTS.dump_python(tuple(adjustments), mode="json"),
                "missing": missing,
            },
        )

    async def _store(self, memory: AgentMemory, tonight: Tonight, done: Done) -> StageDone:
        told = _ADJUSTMENTS.validate_python(done[LoopStage.EVIDENCE].result["adjustments"])
        seen: set[tuple[str, str]] = set()
        for one in told:
            if (key := (one.parameter, one.new_value)) not in seen:
                seen.add(key)
                await memory.store_adjustment(one, now=tonight.now)
        await memory.store_metrics(tonight.session, now=tonight.now)  # with what the night itself asked
        asked = [one.parameter for one in told if one.refused_because is None]
        return StageDone(
            rows_in=len(told),
            rows_out=len(seen),
            note=f"proposed: {', '.join(asked)}" if asked else "nothing proposed",
            result={},
        )


Done = Mapping[LoopStage, StageDone]


def _judged(evidence: Evidence) -> str:
    """What the night made of a variant, and why it did not go to a human where it did not."""
    change, mean = evidence.change, evidence.estimate.mean
    gain = "no gain to tell" if mean is None else f"{mean:+.3f} R an opportunity"
    failed = ", ".join(check.name for check in evidence.failed)
    fails = f", fails {failed}" if failed else ""
    return f"{change.name} {plain(change.old)} -> {plain(change.new)}: {gain}, {evidence.verdict}{fails}"


def family_of(session: date) -> str:
    """The family whose turn it is in the week of a session: one after the other, for ever."""
    return FAMILIES[session.toordinal() // 7 % len(FAMILIES)]


def parameters_of(family: str, session: date) -> tuple[str, ...]:
    """The parameters of a family that are varied that week: a large one takes several of its turns."""
    names = [row.name for row in space().values() if row.family == family and row.replayable]
    parts = -(-len(names) // MOST_PARAMETERS)
    return tuple(names[session.toordinal() // 7 // len(FAMILIES) % parts :: parts])


@dataclass(frozen=True, kw_only=True)
class _Asked:
    trials: int
    busy: frozenset[str]
    rejected: frozenset[ParameterChange]


async def _searched(simulator: Simulator, tonight: Tonight, told: Hypotheses, asked: _Asked) -> Night:
    return await search(
        simulator,
        tonight.rules,
        tonight.costs,
        trials_before=asked.trials,
        in_flight=asked.busy,
        rejected=asked.rejected,
        only=parameters_of(told.family, tonight.session) if told.family else (),
    )


async def _examined(
    simulator: Simulator, tonight: Tonight, told: Hypotheses, asked: _Asked, before: Night
) -> Night:
    """A model's ideas, after the search: a family in which it found something is taken."""
    found = {space()[one.change.name].family for one in before.proposals}
    ideas = [
        ParameterChange(
            idea.parameter,
            value_of(tonight.rules, idea.parameter) if idea.parameter in space() else Decimal(0),
            idea.value,
        )
        for idea in told.ideas
    ]
    return await examine(
        simulator,
        tonight.rules,
        tonight.costs,
        ideas,
        trials_before=asked.trials + len(before.tried),
        in_flight=asked.busy | found,
        rejected=asked.rejected,
    )


async def _adjustments(
    simulator: Simulator, tonight: Tonight, night: Night, *, barred: bool
) -> list[Adjustment]:
    """What a search leads to, proposals first; none of them where the canary sang."""
    champion = await simulator.run(tonight.rules, tonight.costs)
    written = []
    for proposal in () if barred else night.proposals:
        other = await simulator.run(changed(tonight.rules, [proposal.change]), tonight.costs)
        evidence = stored_evidence(
            proposal.evidence, changed_evenings(champion, other), missing=night.missing
        )
        written.append(proposed(proposal, evidence, session=tonight.session, expires_at=tonight.expires_at))
    return [*written, *(refused(one, session=tonight.session) for one in night.refused)]


def _variant(change: ParameterChange, whose: str) -> TriedVariant:
    return TriedVariant(
        parameter=change.name,
        family=space()[change.name].family,
        old_value=plain(change.old),
        new_value=plain(change.new),
        proposed_by=whose,
    )


def _dumped(told: Hypotheses) -> Json:
    dumped: Json = _HYPOTHESES.dump_python(told, mode="json")
    return dumped
