"""Whatever two humans, the nights and the settings do, what is in force is what was decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.learning.space import DeskRules, space, value_of
from app.runtime.changes import take_effect
from app.runtime.founding import set_rules
from app.settings import Settings
from app.wiring import desk_parts
from storage.engine import open_engine
from storage.learning_records import AdjustmentKind, AdjustmentRoute, AdjustmentStatus
from storage.memory import Adjustment, AgentMemory
from storage.proposal_evidence import ProposalEvidence
from storage.proposals import ProposalRow, approve, defer, read_proposals, reject, take_back, undo
from storage.records import AgentName, CommandReceipt, DeskKind, Operator
from storage.versions import prompt_parts, prompt_text, value_in_force, words_in_force
from tests.runtime.stage import Stage
from tests.runtime.test_versions import approved
from tests.storage.desk_builder import execute

PARTS = desk_parts(Settings(_env_file=None), DeskKind.HISTORY)
NOW = datetime(2007, 1, 5, 23, tzinfo=UTC)
ADA, BOB = Operator(name="ada"), Operator(name="bob")
NEWS, HOLD, STOP = "news", "setups.oversold_bounce.max_hold", "setups.oversold_bounce.stop_atr"
REWARD, HEAT = "limits.min_reward_risk", "limits.heat"
ORIGINAL = prompt_text("You are calm.", "Say.")
IN_FLIGHT = {AdjustmentStatus.APPROVED, AdjustmentStatus.SHADOW, AdjustmentStatus.PROMOTABLE}
S = AdjustmentStatus
WAITS, DOWN = (S.PROPOSED, S.PROMOTABLE), S.ROLLED_BACK

# What each thing done may turn into what. There is no way on from refused, rolled back and expired.
MOVES: dict[str, set[tuple[S, S]]] = {
    "approve": {(waits, S.APPROVED) for waits in WAITS},
    "reject": {(waits, S.REJECTED) for waits in WAITS},
    "undo": {(said, waits) for said in (S.APPROVED, S.REJECTED) for waits in WAITS},
    "roll back": {(on, DOWN) for on in (S.APPROVED, S.SHADOW, S.PROMOTABLE, S.APPLIED)},
    "take effect": {(S.APPROVED, then) for then in (S.SHADOW, S.APPLIED, S.REFUSED)},
    "win": {(S.SHADOW, S.PROMOTABLE)},
    "run out": {(S.SHADOW, S.EXPIRED), (S.PROMOTABLE, S.EXPIRED)},
    "unanswered": {(waits, S.EXPIRED) for waits in WAITS},
    "settings": {(S.APPLIED, DOWN)},
    "other": set(),
}
TABLES = "change_verdicts, shadow_pairs, experiments, strategy_adjustments, agent_prompts, operations"

operators = st.sampled_from((ADA, BOB))
places = st.integers(0, 5)
names = st.sampled_from((NEWS, HOLD, STOP, REWARD, HEAT))


@dataclass(frozen=True)
class Seen:
    """A change as the database has it."""

    id: UUID
    name: str
    family: str
    status: AdjustmentStatus
    new: str


@asynccontextmanager
async def memory(engine: AsyncEngine) -> AsyncIterator[AgentMemory]:
    async with AsyncSession(engine) as database, database.begin():
        yield AgentMemory(database)


def proposal(expires_at: datetime, **values: object) -> Adjustment:
    told: dict[str, object] = {
        "session": date(2007, 1, 5),
        "kind": AdjustmentKind.PARAMETER,
        "parameter": HOLD,
        "family": "setups.oversold_bounce",
        "old_value": "10",
        "new_value": "12",
        "reasoning": "",
        "expected_impact": "",
        "confidence": 50.0,
        "proposed_by": AgentName.LEARNING,
        "evidence": ProposalEvidence(verdict="promising", sentences=()),
        "expires_at": expires_at,
    }
    return Adjustment(**told | values)  # type: ignore[arg-type]


class ChangeMachine(RuleBasedStateMachine):
    """A desk's changes on a real database, beside a list of what was put into force and not taken back."""

    conninfo: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        execute(self.conninfo, f"truncate {TABLES} cascade")
        execute(self.conninfo, "truncate parameter_versions cascade")
        execute(self.conninfo, "update desk set undo_s = 60, undo_risky_s = 120")
        execute(
            self.conninfo,
            "insert into agent_prompts (id, agent_name, prompt_version, system_message, prompt_template,"
            " active, created_at) values (gen_random_uuid(), 'news', 1, %s, %s, true, now())",
            *prompt_parts(ORIGINAL),
        )
        self.runner = asyncio.Runner()
        self.engine = open_engine(self.conninfo)
        self.connection = psycopg.connect(self.conninfo, autocommit=True)
        self.day = date(2007, 1, 5)
        self.seen: dict[UUID, Seen] = {}
        self.stack: list[Seen] = []
        self.versions: list[tuple[object, ...]] = []
        self.told: dict[str, Decimal] = {}
        self.settings_hold(10)

    @rule(name=names, steps=st.sampled_from((-2, -1, 1, 2)), route=st.sampled_from(AdjustmentRoute))
    def go_through(self, name: str, steps: int, route: AdjustmentRoute) -> None:
        """A change that nobody stops: proposed, approved, past its undo window, in effect."""
        self.propose(name, steps)
        self.approve(0, route, True, ADA)
        self.time_passes(0.01)
        self.take_effect()

    @rule(name=st.sampled_from((NEWS, HOLD, HEAT)), count=st.integers(2, 3), first=places)
    def pile_up(self, name: str, count: int, first: int) -> None:
        """Changes of one value on top of each other, of which one is taken back, not always the last."""
        for _ in range(count):
            self.go_through(name, -1, AdjustmentRoute.AT_ONCE)
        self.roll_back(first, BOB)

    @rule(name=names, steps=st.sampled_from((-2, -1, 1, 2, 9)))
    def propose(self, name: str, steps: int) -> None:
        """Also what the code would not: a wider limit, too many steps."""
        self.day += timedelta(days=1)
        if name == NEWS:
            old, new = words_in_force(self.connection, NEWS) or "", prompt_text(f"Be {self.day}.", "Say.")
            kind, family = AdjustmentKind.PROMPT, "prompt news"
        else:
            row, now = space()[name], value_in_force(self.connection, name)
            assert now is not None
            old, new = str(now), str(now + steps * row.step)
            kind, family = AdjustmentKind.PARAMETER, row.family
        change = proposal(
            datetime.now(UTC) + timedelta(days=14),
            session=self.day,
            kind=kind,
            parameter=name,
            family=family,
            old_value=old,
            new_value=new,
        )
        self.remember(lambda told: told.store_adjustment(change, now=NOW))
        self.moved("other")

    @rule(place=places, route=st.sampled_from(AdjustmentRoute), typed=st.booleans(), who=operators)
    def approve(self, place: int, route: AdjustmentRoute, typed: bool, who: Operator) -> None:
        if row := self.row(place, *WAITS):
            word = row.short_id if typed else "CHG-00000"
            told = approve(self.connection, row.id, row.digest, route, word, who)
            assert not told.accepted or typed or route is AdjustmentRoute.SHADOW
            self.moved("approve")

    @rule(place=places, who=operators)
    def reject(self, place: int, who: Operator) -> None:
        if row := self.row(place, *WAITS):
            reject(self.connection, row.id, row.digest, "no", who)
            self.moved("reject")

    @rule(place=places, days=st.integers(-1, 20))
    def defer(self, place: int, days: int) -> None:
        if row := self.row(place):
            defer(self.connection, row.id, row.digest, datetime.now(UTC) + timedelta(days=days), ADA)
            self.moved("other")

    @rule(place=places, who=operators)
    def undo(self, place: int, who: Operator) -> None:
        if row := self.row(place, S.APPROVED, S.REJECTED):
            undo(self.connection, row.id, who)
            self.moved("undo")

    @rule(place=places, who=operators)
    def roll_back(self, place: int, who: Operator) -> None:
        if row := self.row(place, S.APPLIED, S.SHADOW, S.PROMOTABLE, S.APPROVED):
            take_back(self.connection, row.id, "", who)
            self.moved("roll back")

    @rule(days=st.sampled_from((0.01, 15)))
    def time_passes(self, days: float) -> None:
        execute(
            self.conninfo,
            "update strategy_adjustments set effective_at = effective_at - %s, expires_at = expires_at - %s",
            timedelta(days=days),
            timedelta(days=days),
        )
        self.moved("other")

    @rule()
    def take_effect(self) -> None:
        self.runner.run(take_effect(self.engine))
        self.moved("take effect")

    @rule(place=places)
    def win(self, place: int) -> None:
        if row := self.row(place, S.SHADOW):
            self.remember(lambda told: told.make_promotable(row.id, expires_at=None))
            self.moved("win")

    @rule(place=places)
    def run_out(self, place: int) -> None:
        if row := self.row(place, S.SHADOW, S.PROMOTABLE):
            self.remember(lambda told: told.expire(row.id, session=self.day))
            self.moved("run out")

    @rule()
    def nobody_answers(self) -> None:
        self.remember(lambda told: told.expire_unanswered(datetime.now(UTC)))
        self.moved("unanswered")

    @rule(hold=st.sampled_from((10, 12)))
    def settings_hold(self, hold: int) -> None:
        """The operator's own settings come, perhaps as they were."""
        bounce = PARTS.setups.oversold_bounce.model_copy(update={"max_hold": hold})
        setups = PARTS.setups.model_copy(update={"oversold_bounce": bounce})

        async def lead() -> None:
            async with AsyncSession(self.engine) as database, database.begin():
                await set_rules(database, replace(PARTS, setups=setups), NOW)

        self.runner.run(lead())
        told = DeskRules(setups=setups, limits=PARTS.limits)
        self.told = {name: value_of(told, name) for name in (HOLD, STOP, REWARD, HEAT)}
        self.moved("settings")

    @invariant()
    def a_family_has_one_change_in_flight(self) -> None:
        flying = [one.family for one in self.seen.values() if one.status in IN_FLIGHT]
        assert len(flying) == len(set(flying))

    @invariant()
    def in_force_is_what_was_applied_last_and_not_rolled_back(self) -> None:
        for name, told in self.told.items():
            applied = [one.new for one in self.stack if one.name == name]
            assert value_in_force(self.connection, name) == (Decimal(applied[-1]) if applied else told)
        words = [one.new for one in self.stack if one.name == NEWS]
        assert words_in_force(self.connection, NEWS) == (words[-1] if words else ORIGINAL)

    @invariant()
    def limits_are_never_wider_than_the_settings(self) -> None:
        assert (value_in_force(self.connection, HEAT) or 0) <= self.told[HEAT]
        assert (value_in_force(self.connection, REWARD) or 0) >= self.told[REWARD]

    @invariant()
    def versions_are_only_added(self) -> None:
        rows = self.connection.execute("select * from parameter_versions order by version").fetchall()
        assert rows[: len(self.versions)] == self.versions
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        self.versions = rows

    def moved(self, what: str) -> None:
        """Look at every change, and hold what became of it against what may."""
        rows = self.connection.execute(
            "select id, parameter_name, family, status, new_value from strategy_adjustments"
            " order by effective_at nulls first, id"
        )
        for own, name, family, status, new in rows.fetchall():
            now = Seen(own, name, family, AdjustmentStatus(str(status)), new)
            was = self.seen.get(own)
            if was is not None and was.status is not now.status:
                assert (was.status, now.status) in MOVES[what]
                if now.status is S.APPLIED:
                    self.tighter(now)
                    self.stack.append(now)
                if was.status is S.APPLIED:
                    self.stack = [one for one in self.stack if one.id != own]
            self.seen[own] = now

    def tighter(self, now: Seen) -> None:
        """What was applied moved a limit the one way it may go."""
        under = [one.new for one in self.stack if one.name == now.name]
        if now.name in (REWARD, HEAT):
            before = Decimal(under[-1]) if under else self.told[now.name]
            assert Decimal(now.new) > before if now.name == REWARD else Decimal(now.new) < before

    def row(self, place: int, *likely: AdjustmentStatus) -> ProposalRow | None:
        """One of those that it is likely done to; sometimes one that it cannot be done to."""
        rows = read_proposals(self.connection, most=40)
        fit = [row for row in rows if row.status in likely] if place < 5 else list(rows)
        return fit[place % len(fit)] if fit else None

    def remember(self, work: Callable[[AgentMemory], Awaitable[object]]) -> None:
        async def act() -> None:
            async with memory(self.engine) as told:
                await work(told)

        self.runner.run(act())

    def teardown(self) -> None:
        self.connection.close()
        self.runner.run(self.engine.dispose())
        self.runner.close()


@pytest.mark.long
def test_what_is_in_force_is_what_was_decided(rehearsed: str) -> None:
    ChangeMachine.conninfo = rehearsed
    run_state_machine_as_test(
        ChangeMachine,
        settings=settings(
            max_examples=14,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to shrink a failure takes minutes on a database
        ),
    )


async def test_two_who_decide_at_one_instant_end_where_one_of_them_would(stage: Stage) -> None:
    """Rolled back while it comes into force, approved while it expires: no deadlock, and one of both."""

    def at_once(*acts: Callable[[], object]) -> list[object]:
        barrier = Barrier(len(acts))

        def run(act: Callable[[], object]) -> object:
            barrier.wait(30)
            return act()

        with ThreadPoolExecutor(len(acts)) as pool:
            return list(pool.map(run, acts))

    def effect() -> object:
        async def act() -> tuple[str, ...]:
            engine = open_engine(stage.conninfo)
            try:
                return await take_effect(engine)
            finally:
                await engine.dispose()

        return asyncio.run(act())

    def back(change: UUID) -> CommandReceipt:
        with psycopg.connect(stage.conninfo, autocommit=True) as connection:
            return take_back(connection, change, "no", ADA)

    for heat in ("0.055", "0.05", "0.045", "0.04"):
        change = await approved(stage, HOLD, "10", "12")
        other = await approved(stage, HEAT, "0.06", heat)
        ended = await asyncio.to_thread(at_once, effect, partial(back, change), partial(back, other), effect)
        for receipt in ended[1:3]:
            assert isinstance(receipt, CommandReceipt)
        await asyncio.to_thread(back, change)
        await asyncio.to_thread(back, other)
        version = (await stage.rows("select max(version) from parameter_versions"))[0][0]
        held = "select parameters #> '{setups,oversold_bounce,max_hold}', limits -> 'heat'"
        found = await stage.rows(f"{held} from parameter_versions where version = %s", version)
        assert found == [(10, 0.06)]
        assert await stage.rows("select distinct status from strategy_adjustments") == [("rolled_back",)]
        await stage.do("truncate change_verdicts, strategy_adjustments cascade")

    for _ in range(4):
        soon = datetime.now(UTC) + timedelta(milliseconds=30)
        async with memory(stage.engine) as told:
            own = await told.store_adjustment(proposal(soon), now=NOW)
        with psycopg.connect(stage.conninfo, autocommit=True) as connection:
            row = next(row for row in read_proposals(connection, most=5) if row.id == own)

        def say(row: ProposalRow = row) -> CommandReceipt:
            with psycopg.connect(stage.conninfo, autocommit=True) as connection:
                return approve(connection, row.id, row.digest, AdjustmentRoute.SHADOW, "", ADA)

        def expire(moment: datetime = soon) -> int:
            async def act() -> int:
                engine = open_engine(stage.conninfo)
                try:
                    async with memory(engine) as told:
                        return await told.expire_unanswered(moment)
                finally:
                    await engine.dispose()

            return asyncio.run(act())

        receipt, expired = await asyncio.to_thread(at_once, say, expire)
        assert isinstance(receipt, CommandReceipt)
        assert receipt.accepted is (expired == 0)
        await stage.do("delete from change_verdicts")
        await stage.do("delete from strategy_adjustments where id = %s", own)
