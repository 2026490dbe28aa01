"""The commands that stop a desk, let it go on, and prove what was done. Each imports what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import REFUSED, JsonOption, MainDeskOption, MostOption, one_line

safety = typer.Typer(no_args_is_help=True)
audit = typer.Typer(help="The chain of everything done with consequence.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]


@safety.command()
@one_line
def halt(reason: ReasonOption, desk: MainDeskOption = None) -> None:
    """Stop all entries at once; exits and protective orders go on. Works while the database is away."""
    from app.commands.halt import halt_desk

    halt_desk(desk, reason)


@safety.command()
@one_line
def lift(reason: ReasonOption, desk: MainDeskOption = None) -> None:
    """Allow entries again on a desk that was halted; asks for its name at a terminal."""
    from app.commands.halt import lift_desk

    lift_desk(desk, reason)


@safety.command()
@one_line
def drill() -> None:
    """Prove on a desk made for it that a halt holds. Exit code 0: every check passed."""
    from app.commands.drill import run_drill

    if not run_drill():
        raise typer.Exit(1)


@audit.command("verify")
@one_line
def audit_verify(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Prove that nothing was altered, removed or added. Exit code 0: whole. 2: it is not."""
    from app.commands.audit import verify_chain

    if not verify_chain(desk, as_object=as_json):
        raise typer.Exit(REFUSED)


@audit.command("log")
@one_line
def audit_log(
    desk: MainDeskOption = None,
    subject: Annotated[str | None, typer.Option("--of", help="One table: verdicts, orders, ...")] = None,
    most: MostOption = 30,
    as_json: JsonOption = False,
) -> None:
    """List what was done, latest first."""
    from app.commands.audit import print_log

    print_log(desk, subject, most, as_object=as_json)


@audit.command("anchor")
@one_line
def audit_anchor(desk: MainDeskOption = None) -> None:
    """Keep the chain's head in a file outside the database, and print it."""
    from app.commands.audit import anchor_chain

    anchor_chain(desk)
