"""What the desk believes: each filter once, forgotten in its time, kept with what it stood beside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from agents.learning.claims import LIFE
from storage.loop_health import read_loop_health
from storage.memory import AgentMemory, StoredClaim
from storage.records import SetupType, uuid7
from tests.runtime.stage import FIRST, Stage

NIGHT = FIRST - timedelta(days=1)
TRADES = tuple(uuid7() for _ in range(12))


def believed(wanted: Mapping[str, str], made: date, trades: tuple[UUID, ...] = TRADES) -> StoredClaim:
    return StoredClaim(
        id=uuid7(),
        filter=dict(wanted),
        trade_ids=trades,
        statistics={},
        sentence=f"{sorted(wanted.items())}, {len(trades)} trades",
        made=made,
        expires=made + LIFE,
    )


async def claimed(stage: Stage, session: date, *claims: StoredClaim) -> tuple[int, int]:
    """How many were dropped and how many are new on a night."""
    async with AsyncSession(stage.engine) as database, database.begin():
        memory = AgentMemory(database)
        gone = await memory.forget_claims(session)
        return gone, await memory.store_claims(claims, session=session, now=stage.clock.now())


async def stands(stage: Stage, session: date) -> list[UUID]:
    async with AsyncSession(stage.engine) as database:
        return [claim.id for claim in await AgentMemory(database).claims_on(session)]


async def test_of_one_filter_one_claim_stands_and_it_is_forgotten_after_sixty_days(stage: Stage) -> None:
    bounce, both = {"setup": "oversold_bounce"}, {"setup": "momentum", "regime": "BULL"}
    first, other = believed(bounce, NIGHT), believed(both, NIGHT)
    assert await claimed(stage, NIGHT, first, other) == (0, 2)
    assert set(await stands(stage, FIRST)) == {first.id, other.id}
    assert await stands(stage, NIGHT) == []  # what a night claims is not known on its own evening

    # From the same trades nothing new is claimed, whatever the order; from more the older is superseded.
    turned = {"regime": "BULL", "setup": "momentum"}
    same, newer = believed(turned, FIRST, TRADES[::-1]), believed(bounce, FIRST, (*TRADES, uuid7()))
    assert await claimed(stage, FIRST, same, newer) == (0, 1)
    after = FIRST + timedelta(days=3)
    assert set(await stands(stage, after)) == {newer.id, other.id}
    assert set(await stands(stage, FIRST)) == {first.id, other.id}  # an evening done again finds what it had

    assert await claimed(stage, FIRST + timedelta(days=9)) == (1, 0)
    assert set(await stands(stage, NIGHT + LIFE - timedelta(days=1))) == {newer.id, other.id}
    assert await stands(stage, NIGHT + LIFE) == [newer.id]
    again = believed(both, NIGHT + LIFE)  # its time was up: from the same trades it is claimed anew
    assert await claimed(stage, NIGHT + LIFE, again) == (0, 1)
    assert await claimed(stage, NIGHT + LIFE + timedelta(days=9)) == (2, 0)


async def test_a_lesson_is_on_the_card_and_kept_with_the_decision_it_stood_beside(stage: Stage) -> None:
    told = [believed({"setup": setup.value}, NIGHT) for setup in SetupType]
    deaf = believed({"setup": "momentum", "exit_reason": "stop_loss"}, NIGHT)  # speaks of no candidate
    await claimed(stage, NIGHT, *told, deaf)
    await stage.evening(FIRST)
    links = await stage.rows(
        "select d.session, d.setup_type, c.filter ->> 'setup', c.trade_ids, a.facts::text like '%%Lesson%%'"
        " from claim_links l join claims c on c.id = l.claim_id join deliberations d"
        " on d.id = l.deliberation_id left join approvals a on a.deliberation_id = d.id"
    )
    assert links
    for session, of_decision, of_claim, trades, on_card in links:
        assert (session, of_decision) == (FIRST, of_claim) and tuple(trades) == TRADES
        assert on_card is not False
    argued = await stage.rows("select count(*) from deliberations where setup_type is not null")
    assert [(len(links),)] == argued
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        lessons = read_loop_health(connection).lessons
    assert {(lesson.session, lesson.made) for lesson in lessons} == {(FIRST, NIGHT)}
    gone, _ = await claimed(stage, NIGHT + LIFE + timedelta(days=30))
    kept = await stage.rows("select count(*) from claims")
    assert gone + kept[0][0] == len(told) + 1 and kept[0][0] == len({row[2] for row in links})
