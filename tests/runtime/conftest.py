"""Desks that run by the clock, copied from one that is founded once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from agents.market.history import HistoryPack
from tests.databases import TemplateDatabases
from tests.runtime.stage import FIRST, Stage, found_rehearsal, open_stage


@pytest.fixture(scope="session")
def rehearsal_template(databases: TemplateDatabases, sample: HistoryPack) -> str:
    """The name of a database that is a rehearsal nobody has run yet. No desk: other tests drop desks."""
    return databases.keep_as_template(found_rehearsal(databases, sample, FIRST).name)


@pytest.fixture
def rehearsed(databases: TemplateDatabases, rehearsal_template: str) -> Iterator[str]:
    """The connection string of a founded rehearsal of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    databases.copy(rehearsal_template, name)
    yield databases.conninfo(name)
    databases.drop(name)


@pytest.fixture
async def stage(rehearsed: str, sample: HistoryPack) -> AsyncIterator[Stage]:
    """That rehearsal before its first session, with its clock in the test's hand."""
    async with open_stage(rehearsed, sample) as opened:
        yield opened
