"""The commands about the market-data vendor: its quota, one look at it, the watchlist, what is amiss."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, one_line

FAILED = 1  # exit code of `quorum doctor` where something must be put right

vendor = typer.Typer()
fmp = typer.Typer(help="The market-data vendor: look at it, and what the key may ask.", no_args_is_help=True)
watch = typer.Typer(help="The symbols the desk follows.")

SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as AAPL.")]
SymbolsArgument = Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Such as AAPL.")]
WordOption = Annotated[str | None, typer.Option(help="Only companies of it.")]
NumberOption = Annotated[float | None, typer.Option(help="Only companies beyond it.")]


@vendor.command()
@one_line
def quota(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Tell which vendor calls were made, by whom, what is left, when it runs dry, what is planned."""
    from app.commands.quota import print_quota

    print_quota(desk, as_object=as_json)


@fmp.command("entitlements")
@one_line
def fmp_entitlements(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """List what the key may ask and what the vendor has refused, as it was learned."""
    from app.commands.quota import print_entitlements

    print_entitlements(desk, as_object=as_json)


@fmp.command("forget")
@one_line
def fmp_forget(
    what: Annotated[str, typer.Argument(metavar="SYMBOL|ENDPOINT", help="What was refused.")],
    desk: MainDeskOption = None,
) -> None:
    """Ask for a symbol or an endpoint again as if it had never been refused."""
    from app.commands.quota import forget_refusal

    forget_refusal(what, desk)


@fmp.command("unblock")
@one_line
def fmp_unblock(desk: MainDeskOption = None) -> None:
    """Try a key again that the vendor has refused, suspended or called used up."""
    from app.commands.quota import unblock_vendor

    unblock_vendor(desk)


@fmp.command("quote")
@one_line
def fmp_quote(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Look at the last trade of a symbol, and say what it cost."""
    from app.commands.fmp import print_quote

    print_quote(symbol, desk, as_object=as_json)


@fmp.command("metrics")
@one_line
def fmp_metrics(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Look at the key metrics and ratios of a company, and say what it cost."""
    from app.commands.fmp import print_metrics

    print_metrics(symbol, desk, as_object=as_json)


@fmp.command("screener")
@one_line
def fmp_screener(
    sector: WordOption = None,
    industry: WordOption = None,
    market_cap_more: NumberOption = None,
    market_cap_less: NumberOption = None,
    price_more: NumberOption = None,
    price_less: NumberOption = None,
    beta_less: NumberOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most companies.")] = 25,
    desk: MainDeskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for companies, and say what it cost; on the free plan among the profiles that are kept."""
    from agents.market.fmp.queries import Screener
    from app.commands.fmp import print_screener

    criteria = Screener(
        sector=sector,
        industry=industry,
        market_cap_more_than=market_cap_more,
        market_cap_lower_than=market_cap_less,
        price_more_than=price_more,
        price_lower_than=price_less,
        beta_lower_than=beta_less,
        limit=limit,
    )
    print_screener(criteria, desk, as_object=as_json)


@watch.callback(invoke_without_command=True)
@one_line
def watch_main(context: typer.Context, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """The symbols the desk follows."""
    if context.invoked_subcommand is not None:
        context.obj = desk  # `watch --desk NAME add SYMBOL` means that desk too
        return
    from app.commands.watch import print_watchlist

    print_watchlist(desk, as_object=as_json)


@watch.command("list")
@one_line
def watch_list(context: typer.Context, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Name the symbols, how far their bars reach, what the vendor refuses of them."""
    from app.commands.watch import print_watchlist

    print_watchlist(desk or context.obj, as_object=as_json)


@watch.command("add")
@one_line
def watch_add(
    context: typer.Context,
    symbols: SymbolsArgument,
    desk: MainDeskOption = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Though calls for it may be wasted.")] = False,
) -> None:
    """Follow symbols from now on."""
    from app.commands.watch import add_symbols

    add_symbols(symbols, desk or context.obj, anyway=anyway)


@watch.command("remove")
@one_line
def watch_remove(context: typer.Context, symbols: SymbolsArgument, desk: MainDeskOption = None) -> None:
    """Follow symbols no longer; what is held is followed all the same."""
    from app.commands.watch import remove_symbols

    remove_symbols(symbols, desk or context.obj)


@vendor.command()
@one_line
def doctor(
    desk: MainDeskOption = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the vendor once and read the public files and feeds.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at everything a paper desk needs, and tell the remedy of what is amiss.

    Exit code 0: nothing must be put right. 1: something must.
    """
    from app.commands.doctor import print_findings

    if not print_findings(desk, online=online, as_object=as_json):
        raise typer.Exit(FAILED)
