"""The commands that read what a desk remembers. Each imports what it needs when it runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from app.cli_options import FromOption, JsonOption, MainDeskOption, MostOption, ToOption, day_of, one_line
from storage.records import Direction, ExitReason, SetupType, Volatility

memory = typer.Typer(no_args_is_help=True)


@memory.command()
@one_line
def why(
    desk: MainDeskOption = None,
    session: Annotated[
        datetime | None,
        typer.Option("--session", formats=["%Y-%m-%d"], help="The evening, else the last."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how far an evening's candidates came, and what stopped each of them."""
    from app.commands.why import print_why

    print_why(desk, day_of(session), as_object=as_json)


@memory.command()
@one_line
def trades(
    desk: MainDeskOption = None,
    most: MostOption = 50,
    tag: Annotated[str | None, typer.Option("--tag", help="Only those a human has tagged so.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List closed trades: result, R, fees, slippage, dividends, model costs, tags."""
    from app.commands.trades import print_trades

    print_trades(desk, most, tag=tag, as_object=as_json)


@memory.command()
@one_line
def performance(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Compare what a desk has earned with what the same money could have bought."""
    from app.commands.performance import print_performance

    print_performance(desk, as_object=as_json)


@memory.command()
@one_line
def patterns(
    words: Annotated[
        str | None,
        typer.Argument(metavar="WORDS", help='Such as "oversold bounces in bear markets since 2008".'),
    ] = None,
    desk: MainDeskOption = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="By what was known that evening, else now."),
    ] = None,
    setup: Annotated[SetupType | None, typer.Option("--setup")] = None,
    regime: Annotated[Direction | None, typer.Option("--regime", case_sensitive=False)] = None,
    volatility: Annotated[Volatility | None, typer.Option("--volatility", case_sensitive=False)] = None,
    sector: Annotated[str | None, typer.Option("--sector", help="As the desk's trades name it.")] = None,
    rsi: Annotated[str | None, typer.Option("--rsi", help="RSI(14) at the signal: LOW-HIGH.")] = None,
    vix: Annotated[str | None, typer.Option("--vix", help="VIX at the signal's close: LOW-HIGH.")] = None,
    exit_reason: Annotated[ExitReason | None, typer.Option("--exit")] = None,
    first: FromOption = None,
    last: ToOption = None,
    like: Annotated[
        str | None, typer.Option("--like", help="Show the trades nearest to this symbol's last signal.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how past trades of a kind ended: filter, n, shrunk win rate and R, by market, analogues."""
    from app.commands.pattern_lookup import Asked, options_of, span_of
    from app.commands.patterns import print_patterns

    options = options_of(
        setup=setup,
        regime=regime,
        volatility=volatility,
        sector=sector,
        rsi=span_of("--rsi", rsi),
        vix=span_of("--vix", vix),
        exit_reason=exit_reason,
        entered_from=day_of(first),
        entered_to=day_of(last),
    )
    asked = Asked(words=words or "", options=options, as_of=day_of(as_of), like=like)
    print_patterns(desk, asked, as_object=as_json)


@memory.command()
@one_line
def screens(
    desk: MainDeskOption = None, first: FromOption = None, last: ToOption = None, as_json: JsonOption = False
) -> None:
    """Tell what screened symbols did afterwards, by setup and score."""
    from app.commands.screens import print_screens

    print_screens(desk, day_of(first), day_of(last), as_object=as_json)


@memory.command()
@one_line
def adjustments(
    desk: MainDeskOption = None,
    status: Annotated[str | None, typer.Option("--status", help="proposed, applied, ...")] = None,
    most: MostOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List proposed changes of parameters and what became of them."""
    from app.commands.thinking import print_adjustments

    print_adjustments(desk, status, most, as_object=as_json)


@memory.command()
@one_line
def interactions(
    desk: MainDeskOption = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only this agent's.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    most: MostOption = 20,
    show: Annotated[
        str | None,
        typer.Option("--show", metavar="ID", help="One call word for word: what was sent and said."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List model calls: who asked which model, tokens, cost, how it ended."""
    from app.commands.thinking import print_exchange, print_interactions

    if show is not None:
        print_exchange(desk, show, as_object=as_json)
        return
    print_interactions(desk, agent, most, failed=failed, as_object=as_json)
