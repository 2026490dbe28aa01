"""What an operator can put right is one line on stderr and exit code 2, and nothing is left half done."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from agents.market.history import import_pack
from app import cli
from storage import schema
from tests import forks
from tests.databases import TemplateDatabases
from tests.forks import Said
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, writing

LASTING = ("run", "worker")  # they set up a process of their own: signals, logs


@dataclass(frozen=True)
class Shell:
    """Where commands run: a home, with its server already up, and what must stay as it was."""

    home: Path
    databases: TemplateDatabases
    template: str  # a database at the newest schema, to be copied
    run: Callable[..., Said]

    def refused(self, *arguments: str, **environment: str) -> str:
        """The one line a command is refused with; no desk and no pack may come of it."""
        before = self.left_behind()
        said = self.run(*arguments, **environment)
        assert said.code == 2, said.err
        assert said.out == ""
        assert said.err.startswith("quorum: ")
        assert said.err.count("\n") == 1
        assert said.err.endswith("\n")
        assert self.left_behind() == before
        return said.err

    def left_behind(self) -> tuple[list[str], list[Path]]:
        """Names of the desks, and everything in the library."""
        return self.databases.desks(), sorted((self.home / "history").rglob("*"))


@pytest.fixture
def shell(
    shared_home: Path, databases: TemplateDatabases, template: str, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    def run(*arguments: str, **environment: str) -> Said:
        """`quorum` with these arguments, in an environment without settings but these."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("QUORUM_") and name != "DATABASE_URL"
        }
        settings = inherited | {"QUORUM_HOME": str(shared_home)} | environment
        if arguments[0] in LASTING:
            return forks.command(settings, *arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "environ", settings)
            patch.setattr(sys, "argv", ["quorum", *arguments])
            capsys.readouterr()
            code = cli.main()
            printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    yield Shell(shared_home, databases, template, run)
    for desk in databases.desks():
        databases.drop_desk(desk)
    shutil.rmtree(shared_home / "history", ignore_errors=True)


# -- packs ---------------------------------------------------------------------------------------------------


def small_pack(folder: Path, *, bars: str | None = None, universe: str | None = None) -> Path:
    """A pack of two good bars, unless told otherwise."""
    folder.mkdir(parents=True)
    good_bars = "2024-01-02,AAPL,187.15,188.44,183.89,185.64,100\n2024-01-03,AAPL,184,186,183,184.25,100\n"
    header = "date,symbol,open,high,low,close,volume\n"
    (folder / "bars.csv").write_text(header + (good_bars if bars is None else bars))
    good_universe = "symbol,name,sector,industry,asset_type\nAAPL,Apple Inc.,Technology,Hardware,stock\n"
    (folder / "universe.csv").write_text(good_universe if universe is None else universe)
    return folder


DEFECTS: dict[str, tuple[dict[str, str], str]] = {
    "weekend": ({"bars": "2024-01-06,AAPL,1,1,1,1,1\n"}, "row 2: '2024-01-06' is no session of the NYSE"),
    "escape codes": ({"bars": "2024-01-02,A\x1b[31m,1,1,1,1,1\n"}, "row 2: 'A\\x1b[31m' is no symbol"),
    "no column": ({"universe": "symbol,name\nAAPL,Apple\n"}, "must name the column sector once"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_malformed_pack_is_not_imported_and_its_defect_is_named(
    shell: Shell, tmp_path: Path, defect: str
) -> None:
    files, problem = DEFECTS[defect]
    folder = small_pack(tmp_path / "pack", **files)
    said = shell.refused("history", "import", str(folder))
    assert problem in said
    assert said.endswith("; correct the file and load the pack again\n")


def test_a_truncated_pack_is_not_replayed(shell: Shell, tmp_path: Path) -> None:
    folder = small_pack(tmp_path / "pack")
    whole = gzip.compress((folder / "bars.csv").read_bytes())
    (folder / "bars.csv.gz").write_bytes(whole[:-12])
    (folder / "bars.csv").unlink()
    said = shell.refused("replay", "--headless", "--history", str(folder), "--desk", "fresh")
    assert "bars.csv.gz: is truncated or no gzip file" in said


def test_other_data_under_a_name_that_is_taken_is_refused(shell: Shell, tmp_path: Path) -> None:
    first = small_pack(tmp_path / "one" / "mine")
    other = small_pack(tmp_path / "two" / "mine", bars="2024-01-02,AAPL,1,1,1,1,1\n")
    assert shell.run("history", "import", str(first)).out == "mine: 1 symbols, 2024-01-02 to 2024-01-03\n"
    said = shell.refused("history", "import", str(other))
    assert "the library already holds other data as mine; import under another name" in said
    kept = (shell.home / "history" / "mine" / "bars.csv").read_bytes()
    assert kept == (first / "bars.csv").read_bytes()


def test_a_pack_is_not_imported_outside_the_library(shell: Shell, tmp_path: Path) -> None:
    folder = str(small_pack(tmp_path / "pack"))
    said = shell.refused("history", "import", folder, "--name", "../mine")
    assert "'../mine' cannot name a pack; choose up to 40 of a-z 0-9 _ -" in said


def test_an_unknown_history_is_refused_with_the_ones_there_are(shell: Shell, tmp_path: Path) -> None:
    import_pack(small_pack(tmp_path / "mine"), shell.home / "history")
    said = shell.refused("replay", "--headless", "--history", "no\x1b[2Jwhere")
    assert said == (
        "quorum: there is no history pack 'no\\x1b[2Jwhere'; name a folder or one of: sample, mine\n"
    )


# -- days ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["replay", "--headless", "--desk", "fresh", "--from", "1999-01-04"],
            "--from 1999-01-04 lies outside the pack sample; choose from 2000-03-01 to 2013-03-01",
        ),
        (
            ["regime", "--to", "2030-01-02"],
            "--to 2030-01-02 lies outside the pack sample; choose from 2000-03-01 to 2013-03-01",
        ),
        (
            ["replay", "--headless", "--desk", "fresh", "--from", "2005-06-01", "--to", "2005-05-02"],
            "there is no session from 2005-06-01 to 2005-05-02; let --to come after --from",
        ),
    ],
)
def test_days_outside_the_pack_or_the_wrong_way_round_are_refused(
    shell: Shell, arguments: list[str], problem: str
) -> None:
    assert problem in shell.refused(*arguments)


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("QUORUM_START_EQUTY", "5", "unknown setting QUORUM_START_EQUTY in the environment; did you mean"),
        ("QUORUM_LIMITS__HEATT", "0.05", "unknown limit QUORUM_LIMITS__HEATT in the environment; did you"),
        ("QUORUM_HOME", "/dev/null/x", "/dev/null/x cannot be used (Not a directory); set QUORUM_HOME to"),
        ("QUORUM_HOME", __file__, "cannot be used (File exists); set QUORUM_HOME to a folder of your own"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL is not a PostgreSQL address; write it as postgresql://"),
        ("DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/d", "Connection refused; check DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_refused(shell: Shell, name: str, value: str, problem: str) -> None:
    said = shell.refused("desks", "list", **{name: value})
    assert problem in said
    assert "geheim" not in said


def test_a_replay_whose_server_is_not_there_is_refused(shell: Shell) -> None:
    said = shell.refused("replay", "--headless", DATABASE_URL="postgresql://u:geheim@/d?host=/nowhere")
    assert "no database answers" in said
    assert "check DATABASE_URL and that the server runs" in said


def test_a_library_that_cannot_be_written_is_refused(shell: Shell, tmp_path: Path) -> None:
    folder = str(small_pack(tmp_path / "pack"))
    said = shell.refused("history", "import", folder, QUORUM_HOME="/dev/null/x")
    assert "cannot write /dev/null/x/history/pack (Not a directory); free the disk or correct" in said


# -- desks ---------------------------------------------------------------------------------------------------


def test_a_name_that_is_no_desks_is_refused(shell: Shell) -> None:
    said = shell.refused("replay", "--headless", "--to", "2001-06-01", "--desk", "../paper")
    assert "'../paper' is not a desk's name; use up to 40 of a-z, 0-9, - and _" in said


def desk_in(shell: Shell, name: str, **changes: object) -> str:
    """The connection string of a desk that is there already."""
    database = shell.databases.desk_database(name)
    shell.databases.copy(shell.template, database)
    conninfo = shell.databases.conninfo(database)
    with writing(conninfo) as session:
        build.found_desk(session, name=name, **changes)
    return conninfo


def contents(conninfo: str) -> list[tuple[object, ...]]:
    counts = "select name, history_digest, (select count(*) from bars), (select count(*) from runs) from desk"
    with psycopg.connect(conninfo) as connection:
        return connection.execute(counts).fetchall()


def test_a_desk_that_holds_another_replay_is_left_as_it_is(shell: Shell) -> None:
    conninfo = desk_in(shell, "taken")
    before = contents(conninfo)
    said = shell.refused("replay", "--headless", "--to", "2001-06-01", "--desk", "taken")
    assert "desk taken holds another replay (A small history, 2018-01-29 to 2018-02-09, 100000.00" in said
    assert said.endswith(
        "; choose another --desk, or begin anew with --fresh (`quorum console --fresh` for the first desk)\n"
    )
    assert contents(conninfo) == before


@pytest.mark.parametrize("command", [["db", "upgrade"], ["replay", "--headless", "--to", "2001-06-01"]])
def test_a_database_of_a_newer_version_is_left_as_it_is(shell: Shell, command: list[str]) -> None:
    conninfo = desk_in(shell, "future")
    execute(conninfo, "update alembic_version set version_num = '9999'")
    before = contents(conninfo)
    said = shell.refused(*command, "--desk", "future")
    assert "the database is at schema 9999, newer than this Quorum knows" in said
    assert said.endswith("; update Quorum, or use another QUORUM_HOME or desk; nothing was changed\n")
    assert contents(conninfo) == before
    assert schema.current_revision(conninfo) == "9999"


def test_only_a_desk_of_history_is_dropped(shell: Shell) -> None:
    desk_in(shell, "dear", kind="paper")
    said = shell.refused("desks", "drop", "dear")
    assert "desk dear is paper, not history; it is never dropped from here" in said


def test_the_desks_are_listed_with_how_far_they_came(shell: Shell) -> None:
    desk_in(shell, "one")
    shell.databases.create_desk("two")
    said = shell.run("desks", "list")
    assert (said.code, said.err) == (0, "")
    assert said.out == "one: history, paused at 2018-01-29, A small history\ntwo: empty\n"


# -- words the command line does not know --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["regime", "--colour"], "No such option: --colour"),
        (["regime", "--from", "2005-02-30"], "'2005-02-30' does not match"),
        (["replay", "--verdicts", "maybe"], "'maybe' is not one of"),
    ],
)
def test_words_the_command_line_does_not_know_are_exit_code_2_without_a_traceback(
    shell: Shell, arguments: list[str], problem: str
) -> None:
    said = shell.run(*arguments, COLUMNS="200")
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert "Traceback" not in said.err


NOBODY = "postgresql://trader:secret@127.0.0.1:1/quorum"


@pytest.mark.parametrize("command", [["run"], ["worker", "--queues", "io"], ["status"], ["stop"]])
def test_a_runtime_whose_server_is_not_there_is_refused(shell: Shell, command: list[str]) -> None:
    said = shell.refused(*command, DATABASE_URL=NOBODY)
    assert "no database answers" in said
    assert "check DATABASE_URL" in said
    assert "secret" not in said


def test_a_worker_serves_the_queues_there_are(shell: Shell) -> None:
    assert "there is no queue 'cpu'; the queues are io, compute" in shell.refused("worker", "--queues", "cpu")
    assert "no queue is named" in shell.refused("worker", "--queues", " , ")


def test_a_worker_waits_for_no_desk_that_is_not_there(shell: Shell) -> None:
    said = shell.refused("worker", "--queues", "io", "--desk", "nowhere")
    assert "there is no desk nowhere; start its runtime first" in said


def test_a_runtime_does_not_run_a_replay(shell: Shell) -> None:
    desk_in(shell, "past")
    said = shell.refused("run", "--desk", "past")
    assert "desk past is a replay, which runs without a runtime" in said


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"QUORUM_REHEARSAL__HISTORY": "nowhere"}, "there is no history pack 'nowhere'"),
        (
            {"QUORUM_REHEARSAL__HISTORY": "sample", "QUORUM_REHEARSAL__FIRST": "1999-01-04"},
            "outside the pack",
        ),
        ({"QUORUM_REHEARSAL__SPEED": "0"}, "QUORUM_REHEARSAL__SPEED is refused"),
        ({"QUORUM_REHEARSAL__HISTORY": "sample"}, "a rehearsal may not run on the desk paper"),
    ],
)
def test_a_rehearsal_that_cannot_be_is_refused(shell: Shell, settings: dict[str, str], problem: str) -> None:
    assert problem in shell.refused("run", **settings)


def test_the_desk_of_an_option_goes_behind_its_command(shell: Shell) -> None:
    assert "--desk goes behind the command" in shell.refused("--desk", "paper", "status")
