"""Standing policies: proposed with bounds, approved by a human who types their id, revoked at any time.

psycopg only. Bounds never change: another policy is another version, and approving one revokes the last.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

import psycopg

from storage.control import refused, taken
from storage.records import CommandReceipt, OperationKind, Operator, SetupType, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

DAYS = 30

_READ = """
    select short_id, version, setups, max_risk, min_probability, a_day, max_heat, digest, proposed_by,
           approved_by, approved_at, expires_at, revoked_by, revoked_at,
           approved_at is not null and revoked_at is null and expires_at > now() as stands
      from policies
"""


@dataclass(frozen=True, kw_only=True)
class PolicyDraft:
    """The bounds of a policy: fractions of equity, a chance of 0 to 1, trades a day."""

    setups: tuple[SetupType, ...]
    max_risk: float
    min_probability: float
    a_day: int
    max_heat: float

    @property
    def digest(self) -> str:
        """SHA-256 of every bound."""
        text = json.dumps({**asdict(self), "setups": sorted(self.setups)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def words(self) -> str:
        setups = " or ".join(setup.replace("_", " ") for setup in sorted(self.setups))
        return (
            f"{setups}, at most {self.max_risk:.2%} at risk each, chance from {self.min_probability:.0%}, "
            f"{self.a_day} a day, {self.max_heat:.2%} heat in all"
        )


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """A policy as it stands."""

    short_id: str
    version: int
    setups: tuple[SetupType, ...]
    max_risk: float
    min_probability: float
    a_day: int
    max_heat: float
    digest: str
    proposed_by: str
    approved_by: str | None
    approved_at: datetime | None
    expires_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None
    stands: bool

    @property
    def draft(self) -> PolicyDraft:
        """Its bounds."""
        return PolicyDraft(
            setups=self.setups,
            max_risk=self.max_risk,
            min_probability=self.min_probability,
            a_day=self.a_day,
            max_heat=self.max_heat,
        )


def read_policies(connection: Connection) -> tuple[PolicyRow, ...]:
    """Every policy, latest first."""
    return fetch_all(connection, PolicyRow, _READ + " order by version desc")


def propose(connection: Connection, wanted: PolicyDraft, operator: Operator) -> CommandReceipt:
    """Write a policy down; it does nothing until it is approved. Refused beyond the hard bounds."""
    own_id = uuid7()
    short_id = f"POL-{own_id.hex[-5:].upper()}"
    try:
        with connection.transaction():
            connection.execute("lock table policies in share row exclusive mode")
            connection.execute(
                """insert into policies (id, short_id, version, setups, max_risk, min_probability, a_day,
                          max_heat, digest, proposed_by, proposed_at)
                   select %s, %s, coalesce(max(version), 0) + 1, %s, %s, %s, %s, %s, %s, %s, clock_timestamp()
                     from policies""",
                [
                    own_id,
                    short_id,
                    sorted(wanted.setups),
                    wanted.max_risk,
                    wanted.min_probability,
                    wanted.a_day,
                    wanted.max_heat,
                    wanted.digest,
                    operator.name,
                ],
            )
            said = f"policy {short_id} proposed: {wanted.words}"
            return taken(connection, OperationKind.POLICY, operator, said)
    except psycopg.errors.CheckViolation:
        return refused("beyond what any policy may: 0.5% a trade, 2 a day, 1.5% heat")


def approve(connection: Connection, short_id: str, typed_id: str, operator: Operator) -> CommandReceipt:
    """Put a policy in force for 30 days; the one in force until now is revoked by it."""
    with connection.transaction():
        connection.execute("lock table policies in share row exclusive mode")
        row = fetch_one(connection, PolicyRow, _READ + " where short_id = %s", [short_id])
        if row is None:
            return refused(f"there is no policy {short_id!a}")
        if row.approved_at is not None:
            return refused(f"{row.short_id} was approved by {row.approved_by} already")
        if row.revoked_at is not None:
            return refused(f"{row.short_id} was revoked by {row.revoked_by}")
        if row.digest != row.draft.digest:
            return refused(f"the bounds of {row.short_id} are not those that were proposed")
        if typed_id != row.short_id:
            return refused(f"type {row.short_id} to approve it")
        connection.execute(
            """update policies set revoked_by = %s, revoked_at = clock_timestamp()
                where approved_at is not null and revoked_at is null""",
            [f"{operator.name}, by {row.short_id}"],
        )
        connection.execute(
            """update policies set approved_by = %s, approved_from = %s, typed_id = %s, approved_at = now(),
                      expires_at = now() + make_interval(days => %s)
                where short_id = %s""",
            [operator.name, operator.origin, typed_id, DAYS, short_id],
        )
        said = f"policy {row.short_id} in force for {DAYS} days: {row.draft.words}"
        return taken(connection, OperationKind.POLICY, operator, said)


def revoke(connection: Connection, short_id: str, operator: Operator) -> CommandReceipt:
    """Take a policy back. What it has approved stays approved, and can be undone like any verdict."""
    with connection.transaction():
        done = connection.execute(
            """update policies set revoked_by = %s, revoked_at = clock_timestamp()
                where short_id = %s and revoked_at is null""",
            [operator.name, short_id],
        )
        if not done.rowcount:
            return refused(f"there is no policy {short_id!a} to revoke")
        return taken(connection, OperationKind.POLICY, operator, f"policy {short_id} revoked")
