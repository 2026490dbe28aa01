"""The schema goes back with rows in it: what the newest releases wrote holds nobody in them."""

from __future__ import annotations

import psycopg

from storage import schema
from storage.memory import AgentMemory
from storage.records import OperationKind
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, scalar, writing
from tests.storage.test_proposals import change


async def test_removed_text_and_a_long_prompt_do_not_hold_a_desk_in_a_release(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
        session.add(build.operation("1 call", CLOSE, kind=OperationKind.RETENTION))
    long = "".join(chr(33 + (number * 7919) % 90) for number in range(6_000))
    async with build.transaction(database) as session:
        await AgentMemory(session).store_adjustment(change(new_value=long), now=CLOSE)
    schema.downgrade(database, "0018")
    assert scalar(database, "select kind from operations where text = '1 call'") == "backup"
    schema.upgrade(database)
    with psycopg.connect(database) as connection:
        kept = connection.execute("select new_value from strategy_adjustments").fetchone()
    assert kept == (long,)
