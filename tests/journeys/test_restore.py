"""A machine is lost: last night's backup, in a fresh home, is a desk that goes on where it stood."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from app.runtime.live import Rehearsal, open_live_desk
from storage.audit import verify
from storage.backup import back_up, restore
from storage.embedded import EmbeddedServer
from storage.errors import OperatorError
from storage.records import Slot
from storage.server import EmbeddedDatabases
from tests.journeys.processes import home_of_its_own, wait_until
from tests.journeys.runtimes import Desk, Process
from tests.journeys.test_live_week import KEY, NAME, check_audit, stand_in, unwell
from tests.runtime.live_stage import HELD, MONDAY, seed
from tests.runtime.stage import EQUITY
from tests.standins.market import StandInMarket

pytestmark = pytest.mark.long
SPEED = 3600.0
ENDED = "select 1 from runs where session = %s and slot = %s and state = 'done'"
BOOK = "select symbol, shares from positions where state = 'open' order by 1"
ACCOUNT = "select symbol, shares from paper_holdings order by 1"


def test_last_nights_backup_in_a_fresh_home_goes_on_and_nothing_else_makes_a_desk(tmp_path: Path) -> None:
    with home_of_its_own() as lost, EmbeddedServer(lost) as server:
        databases = EmbeddedDatabases(server)
        founded = asyncio.run(
            open_live_desk(
                databases,
                NAME,
                start_equity=EQUITY,
                rehearsal=Rehearsal(pack=None, first=MONDAY, speed=SPEED),
            )
        )
        seed(founded.conninfo, StandInMarket(), MONDAY, HELD, HELD)
        desk = Desk(founded.conninfo)
        with stand_in(founded.clock.now(), SPEED) as base_url, home_of_its_own() as fresh:
            settings = {
                "FMP_API_KEY": KEY,
                "FMP_BASE_URL": base_url,
                "CBOE_VIX_URL": base_url.replace("/stable", "/public/VIX_History.csv"),
                "FRED_VIX_URL": base_url.replace("/stable", "/public/VIXCLS.csv"),
                "QUORUM_REHEARSAL__FIRST": MONDAY.isoformat(),
                "QUORUM_REHEARSAL__SPEED": str(SPEED),
            }
            with Process(lost, "run", "--desk", NAME, settings=settings) as runtime:
                _reaches(desk, Slot.OPEN, runtime)
                # As every night: while the desk is led. What is done after it is lost with the machine.
                file, manifest = back_up(databases, NAME, tmp_path, now=datetime.now(UTC))
                runtime.kill()
            desk.close()
            with EmbeddedServer(fresh) as other:
                elsewhere = EmbeddedDatabases(other)
                for broken in (_cut(file), _foreign(tmp_path)):
                    with pytest.raises(OperatorError, match="cannot be restored"):
                        restore(elsewhere, broken, NAME)
                    assert elsewhere.desks() == []
                with Process(fresh, "restore", str(file)) as back:
                    assert back.end() == 0, back.said
                restored = Desk(elsewhere.conninfo(elsewhere.desk_database(NAME)))
                before = restored.one("select count(*) from vendor_calls")
                with Process(fresh, "run", "--desk", NAME, settings=settings) as runtime:
                    runtime.leads(restored)
                    assert restored.epoch == 2  # the lost one was the first, and is followed
                    _reaches(restored, Slot.SETTLE, runtime)
                    runtime.send(signal.SIGTERM)
                    assert runtime.end() == 0, runtime.said
                _goes_on(restored, int(str(before)), manifest.audit_head)
                restored.close()


def _goes_on(desk: Desk, calls: int, head: str) -> None:
    """Each step once, the book as the account has it and protected, the chain whole and longer."""
    twice = "select slot, session from runs group by 1, 2 having count(*) > 1"
    assert desk.ask(twice) == []
    assert desk.one("select count(*) from equity where session = %s", MONDAY) == 1
    held = desk.ask(BOOK)
    assert [row["symbol"] for row in held] == sorted(HELD) and held == desk.ask(ACCOUNT)
    assert desk.ask("select symbol from positions where state = 'open' and protected_by is null") == []
    assert desk.ask("select subject from differences") == []
    assert desk.one("select text from operations where kind = 'reconcile' order by at desc limit 1")
    assert int(str(desk.one("select count(*) from vendor_calls"))) > calls > 0
    check_audit(desk.conninfo)
    with psycopg.connect(desk.conninfo, autocommit=True) as connection:
        assert verify(connection).rows > int(head.split(":")[0])
        kept = connection.execute("select hash from audit_log where seq = %s", [int(head.split(":")[0])])
        assert kept.fetchone() == (head.split(":")[1],)


def _reaches(desk: Desk, slot: Slot, runtime: Process) -> None:
    wait_until(
        lambda: desk.one(ENDED, MONDAY, slot.value),
        timeout_s=120,
        saw=lambda: f"{runtime.said[-3000:]}\n{unwell(desk)}",
    )


def _cut(file: Path) -> Path:
    content = file.read_bytes()
    short = file.with_name("cut.quorum")
    short.write_bytes(content[: len(content) * 2 // 3])
    return short


def _foreign(folder: Path) -> Path:
    other = folder / "foreign.quorum"
    other.write_bytes(b"PGDMP of somebody else\n" * 1000)
    return other
