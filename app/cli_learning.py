"""The commands about what the desk would change about itself. Each imports what it needs when it runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, MostOption, one_line

learning = typer.Typer(no_args_is_help=True)
proposals = typer.Typer(help="Changes the desk proposes to itself, and what you say to them.")

ChangeArgument = Annotated[str, typer.Argument(help="The change's id, as CHG-1A2B3.")]


@learning.command("loop")
@one_line
def loop_health(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Tell how the nights of learning went, and what is on trial."""
    from app.commands.loop import print_loop

    print_loop(desk, as_object=as_json)


@proposals.callback(invoke_without_command=True)
@one_line
def proposals_list(
    context: typer.Context, desk: MainDeskOption = None, most: MostOption = 20, as_json: JsonOption = False
) -> None:
    """Changes the desk proposes to itself, those that wait first."""
    if context.invoked_subcommand is not None:
        context.obj = desk  # `proposals --desk NAME show ID` means that desk too
        return
    from app.commands.proposals import print_proposals

    print_proposals(desk, most, as_object=as_json)


@proposals.command("show")
@one_line
def proposals_show(
    context: typer.Context, change: ChangeArgument, desk: MainDeskOption = None, as_json: JsonOption = False
) -> None:
    """Show a change with all of its evidence, and its digest."""
    from app.commands.proposals import print_proposal

    print_proposal(change, desk or context.obj, as_object=as_json)


@proposals.command("approve")
@one_line
def proposals_approve(
    context: typer.Context,
    change: ChangeArgument,
    digest: Annotated[str, typer.Option("--digest", help="Of what was shown; 8 digits are enough.")],
    at_once: Annotated[bool, typer.Option("--at-once", help="Into force, without the shadow.")] = False,
    desk: MainDeskOption = None,
) -> None:
    """Send a change into the shadow; with --at-once into force, which asks for its id."""
    from app.commands.proposals import approve_proposal

    approve_proposal(change, digest, desk or context.obj, at_once=at_once)


@proposals.command("reject")
@one_line
def proposals_reject(
    context: typer.Context,
    change: ChangeArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")],
    desk: MainDeskOption = None,
) -> None:
    """Turn a change down; it does not come again without new evidence."""
    from app.commands.proposals import reject_proposal

    reject_proposal(change, reason, desk or context.obj)


@proposals.command("defer")
@one_line
def proposals_defer(
    context: typer.Context,
    change: ChangeArgument,
    until: Annotated[
        datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="A session, by New York's calendar.")
    ],
    desk: MainDeskOption = None,
) -> None:
    """Decide a change later."""
    from app.commands.proposals import defer_proposal

    defer_proposal(change, until.date(), desk or context.obj)


@proposals.command("undo")
@one_line
def proposals_undo(context: typer.Context, change: ChangeArgument, desk: MainDeskOption = None) -> None:
    """Take a verdict on a change back before it takes effect."""
    from app.commands.proposals import undo_proposal

    undo_proposal(change, desk or context.obj)


@proposals.command("rollback")
@one_line
def proposals_rollback(
    context: typer.Context,
    change: ChangeArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    desk: MainDeskOption = None,
) -> None:
    """Take a change out of the shadow or out of force."""
    from app.commands.proposals import roll_back_proposal

    roll_back_proposal(change, reason, desk or context.obj)
