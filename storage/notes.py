"""Notes and tags on trades: a human writes them, nothing takes them away. psycopg only.

A trade is named by its symbol, which means the last one in it, by SYMBOL@ENTRY-SESSION, or by its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import psycopg

from storage.control import refused, taken
from storage.plain import clean
from storage.records import CommandReceipt, NoteKind, OperationKind, Operator, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

NOTE_LONGEST = 1_000  # characters
MOST_TAGS = 12  # on one trade

_TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
_NAMED = re.compile(r"(?P<symbol>[A-Za-z0-9.^_-]{1,20})(?:@(?P<entered>[0-9]{4}-[0-9]{2}-[0-9]{2}))?")


@dataclass(frozen=True, kw_only=True)
class TradeName:
    """A position, open or closed, as a human names it."""

    id: UUID
    symbol: str
    entry_session: date

    @property
    def words(self) -> str:
        return f"{self.symbol}@{self.entry_session}"


@dataclass(frozen=True, kw_only=True)
class NoteRow:
    """One thing written about a trade; `at` by the wall's clock."""

    position_id: UUID
    kind: NoteKind
    text: str
    written_by: str
    written_from: str
    at: datetime


def tags_of(notes: Iterable[NoteRow]) -> tuple[str, ...]:
    """What a trade is tagged with after all of this, oldest first, in the order the tags were put on."""
    tags: dict[str, None] = {}
    for note in notes:
        if note.kind is NoteKind.TAG:
            tags.setdefault(note.text)
        elif note.kind is NoteKind.UNTAG:
            tags.pop(note.text, None)
    return tuple(tags)


def parsed_tags(words: Sequence[str]) -> tuple[tuple[NoteKind, str], ...]:
    """`+late` puts a tag on, `-fomo` takes one off. ValueError says which word is neither."""
    if not words:
        raise ValueError("no tag is named")
    changes = []
    for word in words:
        kind = {"+": NoteKind.TAG, "-": NoteKind.UNTAG}.get(word[:1])
        if kind is None or _TAG.fullmatch(word[1:]) is None:
            raise ValueError(f"{clean(word)[:40]!r} is no tag to put on or take off")
        changes.append((kind, word[1:]))
    return tuple(changes)


def find_trade(connection: Connection, named: str) -> TradeName | None:
    """The trade a human means; None where there is none."""
    try:
        return fetch_one(connection, TradeName, _TRADE + " where id = %s", [UUID(named)])
    except ValueError:
        found = _NAMED.fullmatch(named)
    if found is None:
        return None
    try:
        entered = date.fromisoformat(found["entered"]) if found["entered"] else None
    except ValueError:
        return None
    return fetch_one(
        connection,
        TradeName,
        _TRADE
        + """ where symbol = %(symbol)s and (%(entered)s::date is null or entry_session = %(entered)s)
              order by entry_session desc limit 1""",
        {"symbol": found["symbol"].upper(), "entered": entered},
    )


def read_notes(connection: Connection, position_ids: Sequence[UUID]) -> tuple[NoteRow, ...]:
    """Everything written about these trades, oldest first."""
    return fetch_all(connection, NoteRow, _NOTES, [list(position_ids)])


def write_note(connection: Connection, trade: TradeName, text: str, operator: Operator) -> CommandReceipt:
    """Keep a note on a trade."""
    said = clean(text).strip()
    if not said or len(said) > NOTE_LONGEST:
        return refused(f"a note has 1 to {NOTE_LONGEST:,} characters")
    with connection.transaction():
        _add(connection, trade, NoteKind.NOTE, said, operator)
        return taken(connection, OperationKind.NOTE, operator, f"{trade.words}: {said}")


def change_tags(
    connection: Connection, trade: TradeName, changes: Sequence[tuple[NoteKind, str]], operator: Operator
) -> CommandReceipt:
    """Put tags on a trade and take others off; what it has or lacks already is left alone."""
    with connection.transaction():
        connection.execute("select from positions where id = %s for update", [trade.id])
        tags = set(tags_of(read_notes(connection, [trade.id])))
        new: list[tuple[NoteKind, str]] = []
        for kind, tag in changes:
            if (kind is NoteKind.TAG) != (tag in tags):
                new.append((kind, tag))
                tags ^= {tag}
        if not new:
            return refused(f"{trade.words} is tagged so already")
        if len(tags) > MOST_TAGS:
            return refused(f"a trade has {MOST_TAGS} tags at most")
        for kind, tag in new:
            _add(connection, trade, kind, tag, operator)
        done = " ".join(f"{'+' if kind is NoteKind.TAG else '-'}{tag}" for kind, tag in new)
        return taken(connection, OperationKind.NOTE, operator, f"{trade.words}: {done}")


def note_or_tags(connection: Connection, position_id: UUID, text: str, operator: Operator) -> CommandReceipt:
    """What was typed beside a trade: tags where every word begins with + or -, else a note."""
    trade = find_trade(connection, str(position_id))
    if trade is None:
        return refused("there is no such trade on this desk")
    words = text.split()
    if not words or not all(word[0] in "+-" for word in words):
        return write_note(connection, trade, text, operator)
    try:
        changes = parsed_tags(words)
    except ValueError as wrong:
        return refused(str(wrong))
    return change_tags(connection, trade, changes, operator)


def _add(connection: Connection, trade: TradeName, kind: NoteKind, text: str, operator: Operator) -> None:
    connection.execute(_ADD, [uuid7(), trade.id, kind, text, operator.name, operator.origin])


_TRADE = "select id, symbol, entry_session from positions"
_NOTES = """
    select position_id, kind, text, written_by, written_from, at from trade_notes
     where position_id = any(%s) order by at, id
"""
_ADD = """
    insert into trade_notes (id, position_id, kind, text, written_by, written_from, at)
    values (%s, %s, %s, %s, %s, %s, clock_timestamp())
"""
