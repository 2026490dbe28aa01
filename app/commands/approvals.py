"""`quorum approvals`, `approve`, `reject`, `undo`: the verdicts of the console, typed at a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime

import typer

from agents.market.calendar import NEW_YORK
from app.commands.desks import OpenDesk, open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.plain import as_json, clean, span
from storage.records import ApprovalState, RejectReason, VerdictReceipt
from storage.snapshot import ApprovalRow, DeskSnapshot

LABEL = 14


def print_approvals(desk: str | None, *, as_object: bool) -> None:
    """What waits, then what was decided lately, with who said so and from where."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
    if as_object:
        typer.echo(
            json.dumps(
                {
                    "desk": opened.name,
                    "approvals": as_json(taken.approvals),
                    "missed": as_json(taken.missed),
                }
            )
        )
        return
    if not taken.approvals:
        typer.echo(f"desk {opened.name}: nothing was ever proposed")
    for row in taken.approvals:
        typer.echo(clean(_line(row, taken)))
    if taken.missed is not None:
        for text in _missed(taken):
            typer.echo(text)


def print_approval(short_id: str, desk: str | None, *, as_object: bool) -> None:
    """One proposal whole: its terms, its digest, why it is risky, what the desk said."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
        row = _named(taken, short_id)
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "approval": as_json(row)}))
        return
    for text in _card(row, taken):
        typer.echo(clean(text))


def approve(short_id: str, digest: str, desk: str | None) -> None:
    """Approve by id and digest. At a terminal a risky one asks for its id once more.

    Raises OperatorError for a digest that is not the proposal's, and where the desk refuses.
    """
    with open_desk(desk) as opened:
        row = _named(opened.snapshot(), short_id)
        if not (len(digest) >= 8 and row.digest.startswith(digest)):
            raise OperatorError(
                f"{clean(digest)!r} is not the digest of {row.short_id}",
                f"read it with `quorum approvals show {row.short_id}`; 8 digits are enough",
            )
        typed = _typed(row) if row.risky else ""
        receipt = opened.desk.approve(row.id, digest=row.digest, typed_id=typed, operator=this_operator())
    _told(receipt)


def reject(short_id: str, reason: RejectReason, words: str, desk: str | None) -> None:
    """Turn a proposal down for a reason of the list."""
    with open_desk(desk) as opened:
        row = _named(opened.snapshot(), short_id)
        receipt = opened.desk.reject(
            row.id, digest=row.digest, reason=reason, words=clean(words), operator=this_operator()
        )
    _told(receipt)


def undo(short_id: str, desk: str | None) -> None:
    """Take a verdict back while it has not taken effect."""
    with open_desk(desk) as opened:
        row = _decided(opened, short_id)
        receipt = opened.desk.undo(row.id, operator=this_operator())
    _told(receipt)


def _told(receipt: VerdictReceipt) -> None:
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed; see `quorum approvals`")
    typer.echo(clean(receipt.message))


def _typed(row: ApprovalRow) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperatorError(
            f"{row.short_id} is risky: its id is typed at a terminal, and this is none",
            "run the same command in a terminal",
        )
    typer.echo(clean(f"RISKY: {'; '.join(row.risky_reasons)}"), err=True)
    typer.echo(f"type {clean(row.short_id)} to approve: ", err=True, nl=False)
    return sys.stdin.readline().strip()


def _named(taken: DeskSnapshot, short_id: str) -> ApprovalRow:
    """The proposal of that id that waits, else the latest that had it."""
    wanted = short_id.casefold()
    found = [row for row in taken.approvals if row.short_id.casefold() == wanted]
    found.sort(key=lambda row: row.state is not ApprovalState.PENDING)
    if not found:
        waiting = ", ".join(row.short_id for row in taken.pending) or "none waits"
        raise OperatorError(f"there is no proposal {clean(short_id)!r}", f"waiting: {clean(waiting)}")
    return found[0]


def _decided(opened: OpenDesk, short_id: str) -> ApprovalRow:
    row = _named(opened.snapshot(), short_id)
    if row.state not in (ApprovalState.APPROVED, ApprovalState.REJECTED):
        raise OperatorError(f"{clean(row.short_id)} is {row.state}", "there is no verdict to take back")
    return row


def _line(row: ApprovalRow, taken: DeskSnapshot) -> str:
    terms = row.terms
    what = (
        f"{row.short_id:<12} {row.state:<9} at most {terms.max_shares} {terms.symbol} "
        f"for {terms.min_entry:,.2f} to {terms.max_entry:,.2f} on {terms.entry_session}"
    )
    if row.state is ApprovalState.PENDING:
        return f"{what}{', RISKY' if row.risky else ''}{_until(row.expires_at, taken)}"
    by = f" by {row.decided_by}" if row.decided_by else ""
    why = f": {row.decision_reason}" if row.decision_reason else ""
    came = "" if row.what_if_r is None else f"; would have come to {row.what_if_r:+.2f} R"
    return f"{what}{by}{why}{came}"


def _until(expires_at: datetime | None, taken: DeskSnapshot) -> str:
    if expires_at is None:
        return ""
    left = (expires_at - taken.taken_at).total_seconds()
    if taken.header.clock_speed != 1:
        return f", {span(left)} left"
    there = expires_at.astimezone(NEW_YORK)
    here = expires_at.astimezone()
    return f", until {there:%H:%M} New York, {here:%H:%M} here, {span(left)} left"


def _missed(taken: DeskSnapshot) -> Iterator[str]:
    missed = taken.missed
    if missed is None:
        return
    if missed.words:
        yield f"! {missed.words}"
    if missed.rejected:
        came = f"{missed.rejected_r:+.1f}R in {missed.rejected}"
        yield f"your rejections of the last month would have come to {came}"


def _card(row: ApprovalRow, taken: DeskSnapshot) -> Iterator[str]:
    terms = row.terms
    yield _line(row, taken)
    figures = (
        ("digest", row.digest),
        ("setup", terms.setup_type.replace("_", " ")),
        ("stop", f"{terms.stop:,.4f}"),
        ("target", f"{terms.target:,.4f}"),
        ("at risk", f"{terms.max_risk:,.2f} dollars"),
        ("hold", f"{terms.max_hold} sessions"),
        ("parameters", f"v{terms.parameters_version}"),
        ("desk says", f"{row.recommendation}: {row.reasoning}"),
        ("risky", "; ".join(row.risky_reasons) or "no"),
    )
    for label, value in figures:
        yield f"  {label:<{LABEL}}{value}"
    for check in row.checks:
        yield f"  {check.name:<{LABEL}}{check.before:.4g} -> {check.after:.4g}, allowed {check.limit:.4g}"
    for label, value in row.facts:
        yield f"  {label}: {value}"
    for vote in row.votes:
        yield f"  {vote.agent:<{LABEL}}{vote.stance}: {vote.reason}"
