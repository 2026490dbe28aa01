"""The commands about what is held: positions, selling by hand, stops, book against broker."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, one_line

DIFFERS = 1  # exit code of `quorum reconcile` while something is unexplained

trading = typer.Typer()

SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as AAPL.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


@trading.command()
@one_line
def positions(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """List what is held: R, distance to the stop, heat, what protects it at the broker."""
    from app.commands.positions import print_positions

    print_positions(desk, as_object=as_json)


@trading.command()
@one_line
def close(
    symbol: SymbolArgument,
    desk: MainDeskOption = None,
    reason: ReasonOption = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was asked of it.")] = False,
) -> None:
    """Sell all of a position at the next open, or at the close while the session trades."""
    from app.commands.positions import close_position, take_back

    if undo:
        take_back(symbol, desk)
    else:
        close_position(symbol, reason, desk)


@trading.command("move-stop")
@one_line
def move_stop_command(
    symbol: SymbolArgument,
    price: Annotated[str, typer.Argument(metavar="PRICE", help="Dollars a share.")],
    desk: MainDeskOption = None,
) -> None:
    """Move the stop of a position: up freely, down only with the trade's id typed, never below its first."""
    from app.commands.positions import move_stop

    move_stop(symbol, price, desk)


@trading.command()
@one_line
def flatten(desk: MainDeskOption = None, reason: ReasonOption = "") -> None:
    """Sell everything at the next open, or at the close while the session trades; also while halted."""
    from app.commands.positions import flatten_desk

    flatten_desk(reason, desk)


@trading.command()
@one_line
def reconcile(
    desk: MainDeskOption = None,
    adopt: Annotated[int | None, typer.Option(help="Let the book take the broker's.")] = None,
    ignore: Annotated[int | None, typer.Option(help="Explain it: entries wait for it no longer.")] = None,
    correct: Annotated[int | None, typer.Option(help="Let a cash event close the gap.")] = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Tell where book and broker differ, or settle one difference by its number.

    Exit code 0: they agree. 1: something is unexplained, and no entry is sent.
    """
    from app.commands.reconcile import Saying, print_differences, settle_difference

    asked = {Saying.ADOPT: adopt, Saying.IGNORE: ignore, Saying.CORRECT: correct}
    chosen = {saying: number for saying, number in asked.items() if number is not None}
    if chosen:
        settle_difference(chosen, reason, desk)
    elif not print_differences(desk, as_object=as_json):
        raise typer.Exit(DIFFERS)
