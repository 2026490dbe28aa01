"""One PostgreSQL for the whole run, a fresh migrated database for each test that asks."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from agents.market.history import SAMPLE_FOLDER, HistoryPack, load_pack
from storage.embedded import EmbeddedServer
from tests.databases import TemplateDatabases

IN_MEMORY = Path("/dev/shm")
OFTEN_ENOUGH = (20_000, 10, 25)  # Python collects from 700 new objects on
ROOM_BYTES = 2 * 1024**3  # a server took 75 MB in replays; its WAL may grow to 1 GB
PACK_FOLDER = Path(__file__).resolve().parents[2] / "shared/data/pack"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No garbage is collected while pytest parses the source it shows of a failure.

    Python before 3.11.8 breaks there (gh-106905) when what is collected, say a task whose error nobody asked
    for, logs a traceback, for which source is parsed as well.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


# Collecting thousands of tests makes objects that stay: a collector that looks through them again and again
# takes a fifth of the time to start, and a tenth of the run.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there now stays until the end: the collector need not look at it again, and the rest less."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OFTEN_ENOUGH)
    gc.enable()


@pytest.hookimpl(optionalhook=True)  # also without xdist there are tests
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a third of a run is waiting for a server, a process or a clock."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a clock for minutes begins first: at the end the other workers would wait for it."""
    items.sort(key=lambda item: "test_live_week" not in item.nodeid)


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    """A QUORUM_HOME the server's own user may enter, which pytest's private folders are not.

    In memory where there is room: to copy a database is to make some 350 files, which ext4 takes eight times
    as long for.
    """
    roomy = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= ROOM_BYTES
    home = Path(tempfile.mkdtemp(prefix="quorum-test-", dir=IN_MEMORY if roomy else None))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded(shared_home: Path) -> Iterator[EmbeddedServer]:
    """The embedded server, not durable: a test that kills it makes its own."""
    with EmbeddedServer(shared_home, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def databases(embedded: EmbeddedServer) -> TemplateDatabases:
    """The databases on it."""
    return TemplateDatabases(embedded)


@pytest.fixture(scope="session")
def template(databases: TemplateDatabases) -> str:
    """The name of a database at the newest schema, to be copied."""
    return databases.template


@pytest.fixture
def database(databases: TemplateDatabases, template: str) -> Iterator[str]:
    """The connection string of a database of the test's own, at the newest schema and empty."""
    name = f"test_{uuid4().hex[:12]}"
    databases.copy(template, name)
    yield databases.conninfo(name)
    databases.drop(name)


@pytest.fixture(scope="session")
def sample() -> HistoryPack:
    """The history pack that ships with the desk."""
    return load_pack(SAMPLE_FOLDER)


@pytest.fixture(scope="session")
def market_pack() -> HistoryPack:
    """The large pack of real market data, where it lies beside the project."""
    if not PACK_FOLDER.is_dir():
        pytest.skip("the large history pack is not beside the project")
    return load_pack(PACK_FOLDER)
