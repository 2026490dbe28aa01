"""A night's stages on a real desk: each once whatever ends the process, proposals bound to their evidence."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from agents.base import Answered, Origin
from agents.learning.loop import FAMILIES, SelfLearningLoop, family_of
from agents.learning.source import HistoryEvidence
from agents.learning.tonight import Tonight, rules_of
from agents.market.calendar import next_session
from agents.roles.learning import Hypotheses, Idea, LearningAgent, LearningContext, PromptIdea
from agents.trading.costs import Costs
from app.runtime.changes import answer_proposals, take_effect
from app.runtime.founding import set_rules
from app.runtime.slots import due_at
from storage.journal import Journal
from storage.learning_records import LoopStage
from storage.memory import AgentMemory
from storage.proposal_evidence import evidence_from_json
from storage.records import AgentName, DeskKind, Slot, VerdictMode
from tests.forks import ended, forked
from tests.learning.test_search import HOLD, IMPATIENT, WARM_UP
from tests.learning.worlds import World, world
from tests.runtime.killed_night import killed_night
from tests.runtime.stage import FIRST, Stage, with_parts
from tests.runtime.test_versions import approved

STAGES = list(LoopStage)


class Killed(Exception):
    """The process ends here."""


@pytest.fixture(scope="module")
def patient() -> World:
    """Where patience pays; the night's own search is the same in every test."""
    return world(3, pull=0.1, stocks=20)


@pytest.fixture(scope="module")
def evidence(patient: World) -> HistoryEvidence:
    return HistoryEvidence(patient, patient.days[WARM_UP])


async def impatient(stage: Stage) -> None:
    """Put the badly set rules in force."""
    bench = with_parts(
        stage.bench,
        setups=IMPATIENT.setups,
        screen=IMPATIENT.screen,
        regime_policy=IMPATIENT.regime_policy,
    )
    async with AsyncSession(stage.engine) as database, database.begin():
        await set_rules(database, bench.parts, stage.clock.now())


def loop_of(
    stage: Stage, source: HistoryEvidence, breaks: Callable[[], None] = lambda: None
) -> SelfLearningLoop:
    """`breaks` is called at the end of every stage, before it is committed."""

    @asynccontextmanager
    async def memory() -> AsyncIterator[AgentMemory]:
        async with AsyncSession(stage.engine) as database, database.begin():
            yield AgentMemory(database)
            breaks()

    return SelfLearningLoop(transactions=memory, source=source, agent=LearningAgent())


def ends_at(place: int) -> Callable[[], None]:
    """Ends the process at the end of a night's transaction of that place."""
    places = iter(range(len(STAGES)))

    def breaks() -> None:
        if next(places) == place:
            raise Killed

    return breaks


async def tonight(stage: Stage, session: date) -> Tonight:
    async with AsyncSession(stage.engine) as database:
        version = await Journal(database).newest_parameters()
    return Tonight(
        session=session,
        now=due_at(session, Slot.LEARN),
        wall_now=datetime.now(UTC),
        rules=rules_of(version),
        costs=Costs().for_desk(DeskKind.HISTORY),
        version=version.version,
        expires_at=None,
    )


def week_ends(made: World) -> list[date]:
    """The last sessions of the world's weeks."""
    return [one for one in made.days if one.isocalendar()[:2] != next_session(one).isocalendar()[:2]]


def night_of(made: World, family: str, by: date | None = None) -> date:
    """The last night of the world, or up to a day of it, on which the family is searched."""
    return [one for one in week_ends(made) if family_of(one) == family and one <= (by or made.days[-1])][-1]


PROPOSED = "select parameter_name, old_value, new_value, status from strategy_adjustments"


@pytest.mark.long
async def test_a_badly_set_parameter_is_proposed_once_however_often_the_night_is_cut_off(
    stage: Stage, patient: World, evidence: HistoryEvidence
) -> None:
    await impatient(stage)
    asked = await tonight(stage, night_of(patient, "setups.oversold_bounce"))
    for place in range(len(STAGES)):  # every stage is done, and the process ends before it is kept
        with pytest.raises(Killed):
            await loop_of(stage, evidence, ends_at(place)).night(asked)
        done = await stage.rows("select stage from loop_stages order by finished_at")
        assert [name for (name,) in done] == [one.value for one in STAGES[:place]]
    report = await loop_of(stage, evidence).night(asked)
    assert report.repeated == tuple(STAGES[:-1])
    assert await stage.rows(PROPOSED) == [(HOLD, "2", "6", "proposed")]
    assert report.stages[LoopStage.STORE].note == f"proposed: {HOLD}"
    trials = await stage.rows("select count(*) from trial_registry")
    assert trials == [(report.stages[LoopStage.EVIDENCE].rows_out,)]

    again = await loop_of(stage, evidence).night(asked)
    assert again.repeated == tuple(STAGES)
    assert await stage.rows("select count(*) from trial_registry") == trials
    rows = await stage.rows("select evidence, unit, family from strategy_adjustments")
    told = evidence_from_json(rows[0][0])
    assert told.verdict == "promising" and told.trials == trials[0][0] and told.evenings
    assert rows[0][1:] == ("sessions", "setups.oversold_bounce")

    # The week after the family has a change on its way: nothing is searched, nothing proposed twice.
    later = await tonight(stage, asked.session + timedelta(weeks=len(FAMILIES)))
    assert "has a change on its way" in (await loop_of(stage, evidence).night(later)).summary


async def pairs_of_weeks(stage: Stage, ends: list[date], gain: float) -> None:
    """Three opportunities a week, each with this gain, since a trial began."""
    await stage.do("update experiments set started = %s, scale = 0.65", ends[0])
    for week, day in enumerate(ends):
        for number in range(3):
            await stage.do(
                "insert into shadow_pairs (id, experiment_id, session, symbol, direction, champion_r,"
                " challenger_r, resolved) select gen_random_uuid(), id, %s, %s, 'BULL', 0.1, %s, %s"
                " from experiments",
                day,
                f"W{week}{number}",
                0.1 + gain,
                day,
            )


async def test_what_came_into_force_without_the_shadow_is_taken_back_by_itself(stage: Stage) -> None:
    quiet = world(1, pull=0.0, stocks=1, length=420)
    loop = loop_of(stage, HistoryEvidence(quiet, quiet.days[WARM_UP]))
    await approved(stage, HOLD, "10", "12")
    assert "in force as version 2" in (await take_effect(stage.engine))[0]
    ends = week_ends(quiet)[-5:]
    await stage.do("update strategy_adjustments set applied_session = %s", ends[0])
    await loop.night(await tonight(stage, ends[0]))
    assert await stage.rows("select champion_version, state from experiments") == [(1, "running")]
    await pairs_of_weeks(stage, ends[1:], -0.8)
    await loop.night(await tonight(stage, ends[-1]))
    ended = (
        "select status, rolled_back_by, rolled_back_because like 'E- %%in force' from strategy_adjustments"
    )
    assert await stage.rows(ended) == [("rolled_back", "the learning loop", True)]
    assert await stage.rows("select state from experiments") == [("rolled_back",)]
    newest = "select version, parameters #> '{setups,oversold_bounce,max_hold}' from parameter_versions"
    assert await stage.rows(f"{newest} order by version desc limit 1") == [(3, 10)]
    alarms = await stage.rows("select text from operations where kind = 'loop'")
    assert len(alarms) == 1 and alarms[0][0].endswith("rolled back")


@pytest.mark.parametrize(
    ("gain", "weeks", "status"),
    [(0.8, 9, "promotable"), (-0.8, 4, "rolled_back"), (0.0, 26, "expired"), (0.8, 4, "shadow")],
)
async def test_the_shadow_is_won_lost_or_runs_out(stage: Stage, gain: float, weeks: int, status: str) -> None:
    quiet = world(1, pull=0.0, stocks=1, length=420)
    loop = loop_of(stage, HistoryEvidence(quiet, quiet.days[WARM_UP]))
    change = await approved(stage, HOLD, "10", "12", route="shadow")
    await take_effect(stage.engine)
    ends = week_ends(quiet)[-weeks - 1 :]
    await loop.night(await tonight(stage, ends[0]))
    assert await stage.rows("select e_up, scale > 0, started from experiments") == [(1.0, True, ends[0])]
    await pairs_of_weeks(stage, ends[1:], gain)
    await loop.night(await tonight(stage, ends[-1]))
    assert await stage.rows("select status from strategy_adjustments") == [(status,)]
    state = "running" if status == "shadow" else status
    assert await stage.rows("select state, jsonb_array_length(weeks) from experiments") == [(state, weeks)]
    if status == "promotable":
        assert await answer_proposals(stage.engine, VerdictMode.RECOMMENDED) == 1
        assert "10 -> 12, in force as version 2" in (await take_effect(stage.engine))[0]
        rows = await stage.rows("select id, applied_version, typed_id = short_id from strategy_adjustments")
        assert rows == [(change, 2, True)]
    if status == "rolled_back":
        assert (await stage.rows("select rolled_back_by from strategy_adjustments")) == [
            ("the learning loop",)
        ]


@pytest.mark.long
async def test_rejected_is_not_proposed_again_and_a_night_too_early_says_what_is_missing(
    stage: Stage, patient: World, evidence: HistoryEvidence
) -> None:
    await impatient(stage)
    session = night_of(patient, "setups.oversold_bounce")
    await loop_of(stage, evidence).night(await tonight(stage, session))
    assert await answer_proposals(stage.engine, VerdictMode.REJECT) == 1
    later = await tonight(stage, session + timedelta(weeks=len(FAMILIES)))
    await loop_of(stage, evidence).night(later)
    assert await stage.rows(f"{PROPOSED} order by created_at") == [
        (HOLD, "2", "6", "rejected"),
        (HOLD, "2", "6", "refused"),
    ]
    why = await stage.rows("select refused_because from strategy_adjustments where status = 'refused'")
    assert why == [("it was rejected before, and there is no new evidence",)]

    early = night_of(patient, "setups.oversold_bounce", patient.days[WARM_UP + 60])
    report = await loop_of(stage, evidence).night(await tonight(stage, early))
    assert "100 are needed" in report.stages[LoopStage.EVIDENCE].note


class Suggestible(LearningAgent):
    """Has heard what a stranger wrote, and contradicts itself."""

    async def answer(self, context: LearningContext) -> Answered[Hypotheses]:
        values = {HOLD: ("12", "14"), "limits.heat": ("0.99",), "leverage; drop table runs": ("5",)}
        ideas = [
            Idea(parameter=name, value=Decimal(value), reasoning="the news say so")
            for name, told in values.items()
            for value in told
        ]
        ideas.append(ideas[2])
        words = PromptIdea(agent=AgentName.NEWS, text="Buy all.", reasoning="it was written")
        return Answered(Hypotheses(family=context.family, ideas=tuple(ideas), prompts=(words,)), Origin())


async def test_what_is_out_of_bounds_unknown_contradictory_or_injected_is_refused_and_kept(
    stage: Stage,
) -> None:
    short = world(1, pull=0.0, stocks=1, length=300)
    session = week_ends(short)[-1]
    await approved(stage, "news", "You are calm.", "You are bold.", kind="prompt")
    rejected = "update strategy_adjustments set status = 'rejected', turned_down_session = '2007-01-05'"
    await stage.do(rejected)  # words somebody turned down are no number, and stand in no number's way

    @asynccontextmanager
    async def memory() -> AsyncIterator[AgentMemory]:
        async with AsyncSession(stage.engine) as database, database.begin():
            yield AgentMemory(database)

    source = HistoryEvidence(short, short.days[WARM_UP])
    loop = SelfLearningLoop(transactions=memory, source=source, agent=Suggestible())
    await loop.night(await tonight(stage, session))
    told = await stage.rows(
        "select parameter_name, new_value, refused_because from strategy_adjustments where status = 'refused'"
    )
    assert {(name, value): why for name, value, why in told} == {
        (HOLD, "12"): "tonight's proposals contradict each other: 12 and 14",
        (HOLD, "14"): "tonight's proposals contradict each other: 12 and 14",
        ("limits.heat", "0.99"): "0.99 lies outside above 0 to 0.06 fraction",
        ("leverage; drop table runs", "5"): "'leverage; drop table runs' is not a parameter that may be"
        " proposed",
        ("news", "Buy all."): "there is no champion to compare it with",
    }
    statuses = await stage.rows("select distinct status from strategy_adjustments order by 1")
    assert statuses == [("refused",), ("rejected",)]


@pytest.mark.long
async def test_a_night_killed_before_any_stage_is_kept_ends_as_if_it_had_not_been(stage: Stage) -> None:
    for place in range(len(STAGES)):
        night = forked(killed_night, stage.conninfo, place)
        assert await asyncio.to_thread(ended, night) == -signal.SIGKILL
        kept = await stage.rows("select stage from loop_stages order by finished_at")
        assert [name for (name,) in kept] == [one.value for one in STAGES[:place]]
    assert await asyncio.to_thread(ended, forked(killed_night, stage.conninfo, len(STAGES))) == 0
    assert await stage.rows("select parameter_name, count(*) from strategy_adjustments group by 1") == [
        ("leverage", 1)
    ]


async def test_the_registry_only_grows(stage: Stage) -> None:
    await stage.do(
        "insert into trial_registry (id, session, parameter_name, family, old_value, new_value, proposed_by,"
        " created_at) values (gen_random_uuid(), '2007-01-05', 'a', 'a', '1', '2', 'search', now())"
    )
    for statement in ("delete from trial_registry", "update trial_registry set new_value = '3'"):
        with pytest.raises(Exception, match="only ever added to"):
            await stage.do(statement)


async def test_the_slot_of_the_night_is_run_by_a_worker(stage: Stage) -> None:
    await stage.evening(FIRST)
    run = await stage.play(FIRST, Slot.LEARN)
    assert run.state == "done", run.summary
    assert "store: nothing proposed" in run.summary
    assert await stage.rows("select count(*) from loop_stages") == [(5,)]
