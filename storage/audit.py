"""The audit chain: read it, and prove that nobody altered, removed or added to it. psycopg only.

The database writes it (migration 0011): at commit each watched change becomes one row, whose hash covers the
row before. A chain alone can be rewritten as a whole, so its head is also kept in a file outside the database
(storage/anchors.py), and a row is compared with what it tells of wherever every change of that is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import psycopg

from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

GENESIS = "0" * 64  # what the first row follows
SHORT = 12  # digits of a hash that a human compares
AT_ONCE = 5_000  # rows

# Tables of which every change is told, with their key: their rows must be what the chain says they are.
WHOLE = {
    "verdicts": "id",
    "orders": "id",
    "fills": "id",
    "cash_events": "id",
    "rearms": "id",
    "halts": "id",
    "change_verdicts": "id",
    "operations": "id",
    "parameter_versions": "version",
    "policies": "id",
    "absences": "id",
}


class DamageKind(StrEnum):
    ALTERED = "altered"  # a row does not have the hash of what it says
    REMOVED = "removed"  # a number is missing
    BROKEN = "broken"  # a row does not follow the one before
    CUT_OFF = "cut off"  # the chain is shorter than it was
    REWRITTEN = "rewritten"  # it is whole, but not the one that was anchored
    DIFFERS = "differs"  # a row of the desk is not what the chain says of it


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """The last row of a chain."""

    seq: int
    hash: str
    at: datetime

    @property
    def short(self) -> str:
        """As it is told to a human."""
        return f"{self.seq}:{self.hash[:SHORT]}"


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One row of the chain; `payload` is JSON, of an update what changed."""

    seq: int
    at: datetime
    event: str
    subject: str
    subject_id: str
    payload: str
    prev_hash: str
    hash: str

    @property
    def reckoned(self) -> str:
        """The hash its content asks for."""
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        told = (self.prev_hash, str(self.seq), at, self.event, self.subject, self.subject_id, self.payload)
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is wrong, and from which row on; `seq` 0 where no row is to blame."""

    kind: DamageKind
    seq: int
    text: str


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What a look at the whole chain found."""

    rows: int
    head: AuditHead | None
    anchors: int
    damage: tuple[Damage, ...]

    @property
    def is_whole(self) -> bool:
        return not self.damage


def read_head(connection: Connection) -> AuditHead | None:
    """The end of the chain; None before the first row."""
    return fetch_one(connection, AuditHead, "select seq, hash, at from audit_log order by seq desc limit 1")


def read_log(connection: Connection, *, subject: str | None = None, most: int) -> tuple[AuditRow, ...]:
    """The last rows, of one table or of all, latest first."""
    return fetch_all(
        connection,
        AuditRow,
        "select * from audit_log where %(subject)s::text is null or subject = %(subject)s"
        " order by seq desc limit %(most)s",
        {"subject": subject, "most": most},
    )


def verify(connection: Connection, anchors: Sequence[AuditHead] = ()) -> AuditReport:
    """Walk the whole chain as of one instant, compare it with its anchors and with the desk's rows."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute("set local timezone = 'UTC'")
        told: dict[tuple[str, str], dict[str, Any] | None] = {}
        damage: list[Damage] = []
        hashes = {anchor.seq: "" for anchor in anchors}
        head, rows = None, 0
        for row in _walk(connection, damage):
            head, rows = AuditHead(seq=row.seq, hash=row.hash, at=row.at), rows + 1
            if row.seq in hashes:
                hashes[row.seq] = row.hash
            if row.subject in WHOLE:
                _tell(told, row)
        damage += _against_anchors(anchors, hashes, head)
        if not damage:  # a chain that is broken proves nothing about the rows
            damage += _against_rows(connection, told)
    return AuditReport(rows=rows, head=head, anchors=len(anchors), damage=tuple(damage))


def _walk(connection: Connection, damage: list[Damage]) -> Iterator[AuditRow]:
    expected, before = 1, GENESIS
    while True:
        batch = fetch_all(
            connection,
            AuditRow,
            "select * from audit_log where seq >= %s order by seq limit %s",
            [expected, AT_ONCE],
        )
        for row in batch:
            if row.seq != expected:
                gone = f"{expected}" if row.seq == expected + 1 else f"{expected} to {row.seq - 1}"
                damage.append(Damage(kind=DamageKind.REMOVED, seq=expected, text=f"row {gone} is missing"))
            elif row.prev_hash != before:
                damage.append(
                    Damage(kind=DamageKind.BROKEN, seq=row.seq, text=f"row {row.seq} follows another row")
                )
            if row.hash != row.reckoned:
                damage.append(Damage(kind=DamageKind.ALTERED, seq=row.seq, text=f"row {row.seq} was altered"))
            expected, before = row.seq + 1, row.hash
            yield row
        if len(batch) < AT_ONCE:
            return


def _tell(told: dict[tuple[str, str], dict[str, Any] | None], row: AuditRow) -> None:
    """What the chain says of a row of the desk, after one more event."""
    key = (row.subject, row.subject_id)
    if row.event == "delete":
        told[key] = None
    elif row.event == "insert" or told.get(key) is None:
        told[key] = _parsed(row.payload)
    else:
        told[key] = {**(told[key] or {}), **_parsed(row.payload)}


def _against_anchors(
    anchors: Iterable[AuditHead], hashes: Mapping[int, str], head: AuditHead | None
) -> Iterator[Damage]:
    last = head.seq if head else 0
    for anchor in anchors:
        if anchor.seq > last:
            text = f"the chain ends at {last}; on {anchor.at:%Y-%m-%d %H:%M}Z it had reached {anchor.seq}"
            yield Damage(kind=DamageKind.CUT_OFF, seq=last, text=text)
            return
        if hashes[anchor.seq] != anchor.hash:
            text = f"row {anchor.seq} is not the one anchored on {anchor.at:%Y-%m-%d %H:%M}Z"
            yield Damage(kind=DamageKind.REWRITTEN, seq=anchor.seq, text=text)
            return


def _against_rows(
    connection: Connection, told: Mapping[tuple[str, str], dict[str, Any] | None]
) -> Iterator[Damage]:
    for table, key in WHOLE.items():
        # The names are those of WHOLE, never anybody's text.
        query = f"select {key}::text, to_jsonb(t)::text from {table} t"  # noqa: S608
        there = {str(row[0]): _parsed(str(row[1])) for row in connection.execute(query.encode())}
        said = {row_id: row for (subject, row_id), row in told.items() if subject == table}
        for row_id, row in said.items():
            now = there.get(row_id)
            if row is None and now is None:
                continue
            if row is None or now is None or any(now.get(name) != value for name, value in row.items()):
                what = "is gone" if now is None else "was changed past the chain"
                yield Damage(kind=DamageKind.DIFFERS, seq=0, text=f"{table} {row_id} {what}")
        for row_id in sorted(there.keys() - said.keys()):
            yield Damage(kind=DamageKind.DIFFERS, seq=0, text=f"{table} {row_id} was added past the chain")


def _parsed(payload: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(payload, parse_float=Decimal)
    return parsed
