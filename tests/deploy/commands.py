"""Command lines that files of the project hold, read as the command line would read them."""

from __future__ import annotations

import typer
from typer.core import TyperCommand, TyperGroup

from app import cli


def parsed(words: list[str]) -> str:
    """The full name of the command the words call, nothing carried out.

    Raises cli.UsageError for a command, an option or an argument that there is not.
    """
    command: TyperCommand | TyperGroup = typer.main.get_command(cli.app)  # type: ignore[assignment]
    names = []
    while isinstance(command, TyperGroup) and words:
        name, found, words = command.resolve_command(typer.Context(command), words)
        assert isinstance(found, TyperCommand | TyperGroup), name
        names.append(str(found.name))
        command = found
    command.make_context(names[-1], words)
    return " ".join(names)
