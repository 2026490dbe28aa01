"""Notes and tags on trades: only ever added, and a trade is found by the name it goes by."""

from __future__ import annotations

import json

import psycopg
import pytest

from storage.notes import MOST_TAGS, change_tags, find_trade, parsed_tags, read_notes, tags_of, write_note
from storage.records import NoteKind, PositionState
from tests.app.test_runtime_commands import Here, here
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, SESSIONS, approved, scalar, terms, writing

__all__ = ["here"]


def two_trades(conninfo: str) -> None:
    """AAPL was bought twice, the first position is closed."""
    with writing(conninfo) as session:
        build.found_paper(session)
        for at, state in ((1, PositionState.CLOSED), (3, PositionState.OPEN)):
            made = build.propose(session, terms(entry_session=SESSIONS[at]), **approved())
            session.add(build.position(made, state=state))


@pytest.mark.parametrize(
    ("named", "entered"),
    [
        ("AAPL", 3),
        ("aapl", 3),
        (f"AAPL@{SESSIONS[1]}", 1),
        ("AAPL@2018-13-01", None),
        (f"MSFT@{SESSIONS[1]}", None),
        ("AAPL'; drop table positions; --", None),
        ("", None),
    ],
)
def test_a_trade_is_found_by_its_name(database: str, named: str, entered: int | None) -> None:
    two_trades(database)
    with psycopg.connect(database, autocommit=True) as connection:
        found = find_trade(connection, named)
        assert (found.entry_session if found else None) == (None if entered is None else SESSIONS[entered])
        assert found is None or find_trade(connection, str(found.id)) == found


def test_tags_come_and_go_and_every_row_stays(database: str) -> None:
    two_trades(database)
    with psycopg.connect(database, autocommit=True) as connection:
        trade = find_trade(connection, "AAPL")
        assert trade is not None
        assert change_tags(connection, trade, parsed_tags(["+late", "+fomo"]), ADA).accepted
        assert change_tags(connection, trade, parsed_tags(["-fomo", "+late", "+a-plan"]), ADA).accepted
        assert not change_tags(connection, trade, parsed_tags(["+late", "-fomo"]), ADA).accepted
        many = change_tags(connection, trade, parsed_tags([f"+t{n}" for n in range(MOST_TAGS)]), ADA)
        assert not many.accepted
        assert write_note(connection, trade, "bought\x1b[2J the [red]gap[/]\n", ADA).accepted
        assert not write_note(connection, trade, "\x1b[2J \n", ADA).accepted
        notes = read_notes(connection, [trade.id])
    assert tags_of(notes) == ("late", "a-plan")
    assert [(note.kind, note.text) for note in notes] == [
        (NoteKind.TAG, "late"),
        (NoteKind.TAG, "fomo"),
        (NoteKind.UNTAG, "fomo"),
        (NoteKind.TAG, "a-plan"),
        (NoteKind.NOTE, "bought the [red]gap[/]"),
    ]
    assert {(note.written_by, note.written_from) for note in notes} == {("ada", "/dev/pts/3 10.0.0.7")}
    assert scalar(database, "select count(*) from operations where kind = 'note'") == 3


@pytest.mark.parametrize("word", ["late", "+", "+Late", "-a b", "+" + "x" * 25, "+\x1b[2J", "--", ""])
def test_what_is_no_tag_is_refused_by_name(word: str) -> None:
    with pytest.raises(ValueError, match="is no tag"):
        parsed_tags([word])


def test_the_commands_write_and_read_them(here: Here) -> None:
    two_trades(here.desk())
    assert here.run("tag", "AAPL", "+late", "-fomo").out == f"AAPL@{SESSIONS[3]}: +late\n"
    assert here.run("note", f"AAPL@{SESSIONS[1]}", "sold too early").code == 0
    told = json.loads(here.run("note", "AAPL", "--json").out)
    assert (told["trade"], told["tags"]) == (f"AAPL@{SESSIONS[3]}", ["late"])
    assert "sold too early" in here.run("note", f"AAPL@{SESSIONS[1]}").out
    assert here.refused("tag", "AAPL", "late").startswith("'late' is no tag")
    assert here.refused("note", "GE", "x").startswith("desk paper has no trade 'GE'")
