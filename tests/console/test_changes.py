"""A change of the desk itself is answered in its review alone, by keys, on exactly what was shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from app.console.feed import open_storage_desk
from app.console.screens.change import ChangeScreen
from app.console.screens.desk import DeskScreen
from storage.changes import NightRow
from storage.learning_records import (
    AdjustmentKind,
    AdjustmentRoute,
    AdjustmentStatus,
    ExperimentState,
    LoopStage,
)
from storage.loop_health import AlarmRow, LessonRow, LoopHealth, StageRow, TrialRow
from storage.memory import AgentMemory
from storage.proposals import ProposalRow
from storage.versions import apply_change
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, scalar, writing
from tests.storage.test_proposals import change

from .changes import a_change, desk_with, listed
from .desks import NOW, SESSION, FakeDesk, a_desk
from .running import Console, running


async def opened(console: Console, *, armed: bool = True) -> ChangeScreen:
    await console.press("9", "enter")
    await console.until(
        lambda: isinstance(console.app.screen, ChangeScreen) and console.app.screen._shown_at is not None
    )
    if armed:
        console.clock.pass_time(1.0)
    screen = console.app.screen
    assert isinstance(screen, ChangeScreen)
    return screen


async def test_the_review_shows_all_that_is_known_and_obeys_none_of_it() -> None:
    async with running(desk_with(a_change()), size=(140, 60)) as console:
        await console.until(lambda: "CHANGES 1" in console.text)
        await opened(console)
        for said in (
            "38 -> 35 RSI(14) (-7.9%)",
            "20 to 45",
            "+0.040 R",
            "variants tried  41",
            "walk forward",
            "CAT: proposed -> no setup",
            "the desk goes on with 38",
            "promising",
        ):
            assert said in console.text, said
        assert "[/x]" in console.text and "\x1b" not in console.text


async def test_keys_before_it_could_be_read_and_enter_approve_nothing() -> None:
    desk = desk_with(a_change())
    async with running(desk) as console:
        screen = await opened(console, armed=False)
        await console.press("s", "1", "b", "u", "d", "y")
        assert desk.told == [] and isinstance(console.app.screen, ChangeScreen)
        console.clock.pass_time(1.0)
        assert screen.focused is screen.query_one("#reject")
        await console.press("enter")  # without a reason it leads to the field for it
        assert desk.told == [] and screen.focused is screen.query_one("#reason")
        await console.press("s", "a", "enter", "enter")  # typed into the reason
        await console.until(lambda: desk.told == [("reject", "sa")])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("s", ("shadow", "d" * 64)),
        ("2", ("reject", "it fits one regime only")),
        ("d", ("defer", (NOW + timedelta(days=7, seconds=1)).isoformat())),
    ],
)
async def test_one_key_says_what_trades_nothing(keys: str, told: tuple[str, str]) -> None:
    desk = desk_with(a_change())
    async with running(desk) as console:
        await opened(console)
        await console.press(*keys)
        await console.until(lambda: desk.told == [told])
        assert isinstance(console.app.screen, DeskScreen)


async def test_at_once_needs_its_id_and_its_own_delay() -> None:
    desk = desk_with(a_change())
    async with running(desk) as console:
        screen = await opened(console)
        await console.press("a", *"chg-ab12", "enter")
        assert screen.query_one("#approve").disabled
        await console.press("c", "enter", "enter")
        assert desk.told == []
        await console.until(lambda: not screen.query_one("#approve").has_class("-active"))
        console.clock.pass_time(1.0)
        await console.press("enter")
        await console.until(lambda: desk.told == [("at_once CHG-AB12C", "d" * 64)])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"status": AdjustmentStatus.REJECTED, "decided_by": "bob"}, "meanwhile: rejected by bob"),
        ({"digest": "e" * 64}, "the proposal changed"),
    ],
)
async def test_what_changed_meanwhile_locks(values: dict[str, object], why: str) -> None:
    row = a_change()
    desk = desk_with(row)
    async with running(desk) as console:
        await opened(console)
        desk.show(replace(desk.current, changes=(replace(listed(row), **values),)))  # type: ignore[arg-type]
        await console.until(lambda: why in console.text)
        await console.press("s", "1", "enter")
        assert desk.told == []


@pytest.mark.parametrize(
    ("row", "key", "verb"),
    [
        (a_change(status=AdjustmentStatus.APPLIED, applied_version=4, decided_by="ada"), "b", "roll back"),
        (a_change(status=AdjustmentStatus.SHADOW, decided_by="ada"), "b", "roll back"),
        (
            a_change(
                status=AdjustmentStatus.APPROVED,
                route=AdjustmentRoute.SHADOW,
                decided_by="ada",
                effective_at=NOW + timedelta(seconds=30),
            ),
            "u",
            "undo",
        ),
    ],
)
async def test_one_key_takes_back_what_was_decided(row: ProposalRow, key: str, verb: str) -> None:
    desk = desk_with(row)
    async with running(desk) as console:
        await opened(console)
        await console.press("s", "1", "r", "a", "d")  # nothing is left to approve or reject
        assert desk.told == [] and isinstance(console.app.screen, ChangeScreen)
        await console.press(key)
        await console.until(lambda: desk.told == [(verb, str(row.id))])


async def test_a_prompt_shows_its_diff_and_unreadable_evidence_locks() -> None:
    prompt = a_change(
        kind=AdjustmentKind.PROMPT,
        name="research",
        old_value="be brief\n---\n{q}",
        new_value="be careful\n---\n{q}",
    )
    async with running(desk_with(prompt), size=(140, 60)) as console:
        await opened(console)
        assert "-be brief" in console.text and "+be careful" in console.text
    lost = a_change(evidence=None)
    async with running(desk_with(lost)) as console:
        await opened(console)
        await console.until(lambda: "LOCKED: its evidence cannot be read" in console.text)


async def test_the_loop_tells_of_its_nights() -> None:
    health = LoopHealth(
        stages=(
            StageRow(
                stage=LoopStage.MEASURE,
                session=SESSION,
                rows_in=0,
                rows_out=3,
                note="[/x] \x1b[31mobey",
                finished_at=NOW,
            ),
        ),
        trials=41,
        resolved=12,
        pending=2,
        blocked=1,
        shadow=(
            TrialRow(
                short_id="CHG-AB12C",
                parameter_name="setups.oversold_bounce.rsi_max",
                old_value="38",
                new_value="35",
                status=AdjustmentStatus.SHADOW,
                state=ExperimentState.RUNNING,
                started=SESSION,
                e_up=1.4,
                e_down=0.8,
                opportunities=17,
                mean=0.02,
                note="",
            ),
        ),
        lessons=(
            LessonRow(sentence="loses in BEAR", made=SESSION, expires=SESSION, session=SESSION, symbol="CAT"),
        ),
        alarms=(AlarmRow(at=NOW, text="noise would have been proposed"),),
    )
    night = NightRow(session=SESSION, stages=5, finished_at=NOW, note="", alarm="noise")
    desk = FakeDesk(replace(a_desk(), night=night), nights=health)
    async with running(desk, size=(140, 60)) as console:
        await console.press("9")
        await console.until(lambda: "! alarm, L tells" in console.text)
        await console.press("L")
        await console.until(lambda: "noise would have been proposed" in console.text)
        for said in (
            "12 resolved, 2 pending",
            "1 without a bar",
            "41 ever tried",
            "E+ 1.40",
            "loses in BEAR",
        ):
            assert said in console.text, said
        assert "[/x]" in console.text and "\x1b" not in console.text
        await console.press("L")
        assert isinstance(console.app.screen, DeskScreen)


@pytest.mark.long
async def test_a_real_desk_by_keys_into_the_shadow_back_at_once_and_rolled_back(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
    execute(
        database,
        "insert into parameter_versions (version, parameters, limits, costs, screen, reason, created_at)"
        " values (2, '{\"setups\": {\"momentum\": {\"rsi_min\": 50}}}', '{}', '{}', '{}', '', now())",
    )
    async with build.transaction(database) as session:
        await AgentMemory(session).store_adjustment(change(), now=build.CLOSE)
    status = "select status::text from strategy_adjustments"
    async with running(FakeDesk(a_desk()), open_desk=lambda _: open_storage_desk(database)) as console:
        await opened(console)
        await console.press("s")
        await console.until(lambda: scalar(database, status) == "approved")
        await console.until(lambda: "undo (u) until" in console.text)
        await console.press("u")
        await console.until(lambda: scalar(database, status) == "proposed")
        await console.until(lambda: "waits for a verdict" in console.text)
        short_id = str(scalar(database, "select short_id from strategy_adjustments"))
        await opened(console)
        await console.press("a", *short_id, "enter")
        console.clock.pass_time(1.0)
        await console.press("enter")
        await console.until(lambda: scalar(database, status) == "approved")
        execute(database, "update strategy_adjustments set effective_at = now() - interval '1 s'")
        change_id = scalar(database, "select id from strategy_adjustments")
        async with await psycopg.AsyncConnection.connect(database) as connection:
            assert (await apply_change(connection, change_id)).accepted
        await console.until(lambda: "in force" in console.text)
        await opened(console)
        await console.press("b")
        await console.until(lambda: scalar(database, status) == "rolled_back")
    verbs = "select array_agg(verb order by given_at)::text[] from change_verdicts"
    assert scalar(database, verbs) == ["shadow", "undone", "at_once", "rolled_back"]
