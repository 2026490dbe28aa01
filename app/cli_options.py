"""What the groups of the command line share: options that mean the same everywhere, and how errors end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from functools import wraps
from typing import Annotated, ParamSpec

import typer

from storage.errors import OperatorError


class Switch(StrEnum):
    """What an option that is on or off is told."""

    ON = "on"
    OFF = "off"


P = ParamSpec("P")

REFUSED = 2  # exit code of everything the operator can put right

FromOption = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")]
ToOption = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")]
MainDeskOption = Annotated[str | None, typer.Option("--desk", help="Name of the desk, `paper` without it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object with every number.")]
MostOption = Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many, latest first.")]


def one_line(command: Callable[P, None]) -> Callable[P, None]:
    """What the operator can put right is one line on stderr and exit code 2, never a traceback."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except OperatorError as error:
            typer.echo(f"quorum: {error}", err=True)
            raise typer.Exit(REFUSED) from error

    return guarded


def day_of(moment: datetime | None) -> date | None:
    """The day an option named."""
    return moment.date() if moment else None
