"""The commands that keep a deployment going. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import REFUSED, JsonOption, MainDeskOption, MostOption, one_line

ops = typer.Typer(no_args_is_help=True)
notify = typer.Typer(help="Telling a human who is not looking.", no_args_is_help=True)
ops.add_typer(notify, name="notify")


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


@notify.command("test")
@one_line
def notify_test() -> None:
    """Send one message to every address of the settings. Exit code 2: somebody did not take it."""
    from app.commands.notify import send_test

    send_test()


@notify.command("list")
@one_line
def notify_list(desk: MainDeskOption = None, most: MostOption = 20, as_json: JsonOption = False) -> None:
    """List what was told or is to be told, latest first."""
    from app.commands.notify import print_notices

    print_notices(desk, most, as_object=as_json)


@notify.command("seen")
@one_line
def notify_seen(
    subjects: Annotated[
        list[str] | None, typer.Argument(help="Subjects, as listed; all without any.")
    ] = None,
    desk: MainDeskOption = None,
) -> None:
    """Say that you have seen it: nothing of it is told again."""
    from app.commands.notify import see_notices

    see_notices(desk, subjects or None)


@notify.command("check")
@one_line
def notify_check(desk: MainDeskOption = None) -> None:
    """Look once and send what is due, from a timer: who leads the desk cannot tell that nobody does."""
    from app.commands.notify import check_once

    if not check_once(desk):
        raise typer.Exit(REFUSED)
