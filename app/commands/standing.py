"""`quorum policy`, `away`, `back`: what the desk may approve by itself, and when nobody is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import typer

from agents.trading.standing import PolicyBounds
from app.commands.desks import open_desk
from app.operator import this_operator
from storage.desk import Desk
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.policies import PolicyDraft, PolicyRow
from storage.records import CommandReceipt, Operator, SetupType


def print_policies(desk: str | None, *, as_object: bool) -> None:
    """Every policy, latest first; at most one stands."""
    with open_desk(desk) as opened:
        opened.snapshot()
        rows = opened.desk.policies()
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "policies": as_json(rows)}))
        return
    if not rows:
        typer.echo(f"desk {opened.name}: no policy; every proposal waits for a human")
    for row in rows:
        typer.echo(clean(_line(row)))


def propose_policy(
    desk: str | None,
    setups: Sequence[SetupType],
    *,
    max_risk: float,
    min_probability: float,
    a_day: int,
    max_heat: float,
) -> None:
    """Write a policy down. Raises OperatorError beyond the hard bounds."""
    try:
        bounds = PolicyBounds(
            setups=frozenset(setups),
            max_risk=max_risk,
            min_probability=min_probability,
            a_day=a_day,
            max_heat=max_heat,
        )
    except ValueError as beyond:
        raise OperatorError(str(beyond), "a policy may be tighter than that, never wider") from beyond
    wanted = PolicyDraft(
        setups=tuple(sorted(bounds.setups)),
        max_risk=max_risk,
        min_probability=min_probability,
        a_day=a_day,
        max_heat=max_heat,
    )
    _act(desk, lambda opened, operator: opened.propose_policy(wanted, operator=operator))
    typer.echo("it does nothing until `quorum policy approve` names it")


def approve_policy(short_id: str, desk: str | None) -> None:
    """Put a policy in force for 30 days; asks for its id at a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperatorError(
            "a policy is approved by typing its id at a terminal, and this is none",
            "run the same command in a terminal",
        )
    typer.echo(f"type {clean(short_id)} to let the desk approve by itself: ", err=True, nl=False)
    typed = sys.stdin.readline().strip()
    _act(
        desk,
        lambda opened, operator: opened.approve_policy(short_id, typed_id=typed, operator=operator),
    )


def revoke_policy(short_id: str, desk: str | None) -> None:
    """Take a policy back; from now on everything waits for a human again."""
    _act(desk, lambda opened, operator: opened.revoke_policy(short_id, operator=operator))


def leave(desk: str | None, until: datetime, reason: str) -> None:
    """Enter nothing until then; without a zone the time is this machine's."""
    said = clean(reason).strip() or "no reason given"
    _act(
        desk,
        lambda opened, operator: opened.leave(until.astimezone(UTC), said, operator=operator),
    )


def come_back(desk: str | None) -> None:
    """End an absence before its time."""
    _act(desk, lambda opened, operator: opened.come_back(operator=operator))


def _act(desk: str | None, act: Callable[[Desk, Operator], CommandReceipt]) -> None:
    with open_desk(desk) as opened:
        opened.snapshot()
        receipt = act(opened.desk, this_operator())
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed")
    typer.echo(clean(receipt.message))


def _line(row: PolicyRow) -> str:
    if row.stands and row.expires_at is not None:
        state = f"in force until {row.expires_at:%Y-%m-%d}, approved by {row.approved_by}"
    elif row.revoked_at is not None:
        state = f"revoked by {row.revoked_by}"
    elif row.approved_at is not None:
        state = "expired"
    else:
        state = f"proposed by {row.proposed_by}, not approved"
    return f"{row.short_id} v{row.version} {state}: {row.draft.words}"
