"""The commands that show how a desk has done, and write beside its trades. Each imports what it needs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, MostOption, day_of, one_line
from storage.records import CashKind

views = typer.Typer(no_args_is_help=True)
history = typer.Typer(help="What was decided and what came of it; `history import` brings in packs.")

AmountArgument = Annotated[str, typer.Argument(help="Dollars and cents: 2500 or 2500.50.")]
WhyOption = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Names this payment: run twice with it, it is booked once.")
]
TradeArgument = Annotated[
    str, typer.Argument(metavar="TRADE", help="A symbol (its last trade) or SYMBOL@ENTRY-SESSION.")
]


@history.callback(invoke_without_command=True)
@one_line
def decisions(
    context: typer.Context,
    desk: MainDeskOption = None,
    session: Annotated[
        datetime | None, typer.Option("--session", formats=["%Y-%m-%d"], help="The evening, else the last.")
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Every decision about it.")] = None,
    most: MostOption = 50,
    replay: Annotated[
        bool, typer.Option("--replay", help="Decide again from stored answers, at no cost, and compare.")
    ] = False,
    words: Annotated[bool, typer.Option("--words", help="What models were sent and said, whole.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what was decided: votes, checks, the human's verdict, fill, outcome; replay it for nothing."""
    if context.invoked_subcommand is not None:
        return
    from app.commands.history import HistoryWanted, print_history

    wanted = HistoryWanted(session=day_of(session), symbol=symbol, most=most, replay=replay, words=words)
    print_history(desk, wanted, as_object=as_json)


@views.command()
@one_line
def digest(
    desk: MainDeskOption = None,
    session: Annotated[
        datetime | None, typer.Option("--session", formats=["%Y-%m-%d"], help="The day, else the last.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the day as the desk summed it up at 18:45 New York."""
    from app.commands.digest import print_digest

    print_digest(desk, day_of(session), as_object=as_json)


@views.command()
@one_line
def report(
    desk: MainDeskOption = None,
    week: Annotated[
        datetime | None,
        typer.Option("--week", formats=["%Y-%m-%d"], help="Any day of the week, else the last settled."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file, else one in the folder `reports` of QUORUM_HOME.")
    ] = None,
) -> None:
    """Write a week of the desk as one HTML file and print its path."""
    from app.commands.digest import make_report

    make_report(desk, day_of(week), to)


@views.command()
@one_line
def deposit(
    amount: AmountArgument,
    reason: WhyOption,
    desk: MainDeskOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pay money in: booked on the next session to settle, neither a gain nor a loss."""
    from app.commands.cash import pay

    pay(desk, CashKind.DEPOSIT, amount, reason, key, as_object=as_json)


@views.command()
@one_line
def withdraw(
    amount: AmountArgument,
    reason: WhyOption,
    desk: MainDeskOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take money out: of the settled cash that no approved entry needs."""
    from app.commands.cash import pay

    pay(desk, CashKind.WITHDRAWAL, amount, reason, key, as_object=as_json)


@views.command()
@one_line
def note(
    trade: TradeArgument,
    text: Annotated[str | None, typer.Argument(help="What to keep; without it, what was written.")] = None,
    desk: MainDeskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a note on a trade, or read what was written about it."""
    from app.commands.notes import note_trade

    note_trade(desk, trade, text, as_object=as_json)


@views.command(context_settings={"ignore_unknown_options": True})
@one_line
def tag(
    trade: TradeArgument,
    tags: Annotated[
        list[str], typer.Argument(metavar="+TAG|-TAG ...", help="+late puts on, -fomo takes off.")
    ],
    desk: MainDeskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put tags on a trade and take others off."""
    from app.commands.notes import tag_trade

    tag_trade(desk, trade, tags, as_object=as_json)
