"""The commands that keep a deployment going. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, one_line

ops = typer.Typer(no_args_is_help=True)


@ops.command()
@one_line
def backup(
    desk: MainDeskOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder, instead of that of the settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Back a desk up into one file, and prove that it comes back."""
    from app.commands.backup import make_backup

    make_backup(desk, to, as_object=as_json)


@ops.command()
@one_line
def backups(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """List the backups of a desk, latest first."""
    from app.commands.backup import print_backups

    print_backups(desk, as_object=as_json)


@ops.command()
@one_line
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `quorum backup` made.")],
    desk: Annotated[
        str | None, typer.Option("--desk", help="Name for the desk, else that of the backup.")
    ] = None,
) -> None:
    """Make a desk of a backup, whole or not at all; a desk that is there is never touched."""
    from app.commands.backup import restore_backup

    restore_backup(file, desk)
