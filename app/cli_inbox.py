"""The commands that answer proposals and set who may answer them. Each imports what it needs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, one_line
from storage.records import RejectReason, SetupType

inbox = typer.Typer(no_args_is_help=True)
approvals = typer.Typer(help="Proposals that wait for a verdict, and those that were decided lately.")
policy = typer.Typer(help="Standing policies: what the desk may approve by itself.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(help="The proposal's id, as AAPL-3f2a.")]
PolicyArgument = Annotated[str, typer.Argument(help="The policy's id, as POL-1A2B3.")]


@approvals.callback(invoke_without_command=True)
@one_line
def approvals_list(context: typer.Context, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Proposals that wait for a verdict, and those that were decided lately."""
    if context.invoked_subcommand is not None:
        context.obj = desk  # `approvals --desk NAME show ID` means that desk too
        return
    from app.commands.approvals import print_approvals

    print_approvals(desk, as_object=as_json)


@approvals.command("show")
@one_line
def approvals_show(
    context: typer.Context, proposal: IdArgument, desk: MainDeskOption = None, as_json: JsonOption = False
) -> None:
    """Show one proposal whole, with its digest."""
    from app.commands.approvals import print_approval

    print_approval(proposal, desk or context.obj, as_object=as_json)


@inbox.command()
@one_line
def approve(
    proposal: IdArgument,
    digest: Annotated[str, typer.Option("--digest", help="Of exactly these terms; 8 digits are enough.")],
    desk: MainDeskOption = None,
) -> None:
    """Approve a proposal; a risky one asks for its id at a terminal."""
    from app.commands.approvals import approve as command

    command(proposal, digest, desk)


@inbox.command()
@one_line
def reject(
    proposal: IdArgument,
    reason: Annotated[RejectReason, typer.Option("--reason", help="Why.")] = RejectReason.OTHER,
    words: Annotated[str, typer.Option("--words", help="In words, kept with it.")] = "",
    desk: MainDeskOption = None,
) -> None:
    """Turn a proposal down."""
    from app.commands.approvals import reject as command

    command(proposal, reason, words, desk)


@inbox.command()
@one_line
def undo(proposal: IdArgument, desk: MainDeskOption = None) -> None:
    """Take a verdict back: until the cutoff before the open it waits for."""
    from app.commands.approvals import undo as command

    command(proposal, desk)


@inbox.command()
@one_line
def away(
    until: Annotated[
        datetime,
        typer.Option("--until", formats=["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    desk: MainDeskOption = None,
) -> None:
    """Enter nothing and call nobody until then; exits go on."""
    from app.commands.standing import leave

    leave(desk, until, reason)


@inbox.command()
@one_line
def back(desk: MainDeskOption = None) -> None:
    """End an absence before its time."""
    from app.commands.standing import come_back

    come_back(desk)


@policy.command("list")
@one_line
def policy_list(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """List the policies, latest first; at most one stands."""
    from app.commands.standing import print_policies

    print_policies(desk, as_object=as_json)


@policy.command("propose")
@one_line
def policy_propose(
    setup: Annotated[list[SetupType], typer.Option("--setup", help="May be given more than once.")],
    max_risk: Annotated[float, typer.Option("--max-risk", help="Of one trade, fraction of equity.")] = 0.0025,
    min_probability: Annotated[float, typer.Option("--min-chance", help="Of a win, 0 to 1.")] = 0.5,
    a_day: Annotated[int, typer.Option("--a-day", help="Trades a day, 1 or 2.")] = 1,
    max_heat: Annotated[float, typer.Option("--max-heat", help="Of all of its trades.")] = 0.01,
    desk: MainDeskOption = None,
) -> None:
    """Write a policy down; it does nothing until it is approved."""
    from app.commands.standing import propose_policy

    propose_policy(
        desk, setup, max_risk=max_risk, min_probability=min_probability, a_day=a_day, max_heat=max_heat
    )


@policy.command("approve")
@one_line
def policy_approve(named: PolicyArgument, desk: MainDeskOption = None) -> None:
    """Put a policy in force for 30 days; asks for its id at a terminal."""
    from app.commands.standing import approve_policy

    approve_policy(named, desk)


@policy.command("revoke")
@one_line
def policy_revoke(named: PolicyArgument, desk: MainDeskOption = None) -> None:
    """Take a policy back."""
    from app.commands.standing import revoke_policy

    revoke_policy(named, desk)
