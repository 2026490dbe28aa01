"""`quorum note` and `quorum tag`: what a human writes about a trade."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import psycopg
import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.notes import (
    Connection,
    TradeName,
    change_tags,
    find_trade,
    parsed_tags,
    read_notes,
    tags_of,
    write_note,
)
from storage.plain import as_json, clean
from storage.records import CommandReceipt, NoteKind


def note_trade(desk: str | None, named: str, text: str | None, *, as_object: bool) -> None:
    """Keep a note on a trade; without a text, print what was written about it."""
    if text is None:
        _told(desk, named, lambda _, trade: None, as_object=as_object)
    else:
        _told(
            desk,
            named,
            lambda connection, trade: write_note(connection, trade, text, this_operator()),
            as_object=as_object,
        )


def tag_trade(desk: str | None, named: str, words: Sequence[str], *, as_object: bool) -> None:
    """Put tags on a trade and take others off. Raises OperatorError for what is no tag."""
    try:
        changes = parsed_tags(words)
    except ValueError as wrong:
        raise OperatorError(
            str(wrong), "say +late or -fomo: letters, digits, - and _, at most 24 of them"
        ) from None
    _told(
        desk,
        named,
        lambda connection, trade: change_tags(connection, trade, changes, this_operator()),
        as_object=as_object,
    )


def _told(
    desk: str | None,
    named: str,
    write: Callable[[Connection, TradeName], CommandReceipt | None],
    *,
    as_object: bool,
) -> None:
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            trade = find_trade(connection, named)
            if trade is None:
                raise OperatorError(
                    f"desk {opened.name} has no trade {clean(named)[:60]!r}",
                    "name its symbol, or SYMBOL@ENTRY-SESSION as `quorum trades` prints it",
                )
            receipt = write(connection, trade)
            notes = read_notes(connection, [trade.id])
    if receipt is not None and not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed")
    if as_object:
        typer.echo(
            json.dumps(
                {
                    "desk": opened.name,
                    "trade": trade.words,
                    "tags": list(tags_of(notes)),
                    "notes": [as_json(note) for note in notes],
                }
            )
        )
        return
    typer.echo(
        clean(receipt.message if receipt else f"{trade.words}: {' '.join(tags_of(notes)) or 'no tags'}")
    )
    if receipt is None:
        for note in notes:
            if note.kind is NoteKind.NOTE:
                typer.echo(clean(f"{note.at:%Y-%m-%d %H:%M}Z {note.written_by}: {note.text}"))
