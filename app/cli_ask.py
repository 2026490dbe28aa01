"""The commands that ask one agent by hand. Each imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_options import JsonOption, MainDeskOption, one_line
from storage.records import AgentName

asking = typer.Typer(no_args_is_help=True)
ask = typer.Typer(
    help="Ask one agent by hand, on what a desk has stored by its last close. What a model costs is counted.",
    no_args_is_help=True,
)
asking.add_typer(ask, name="ask")

SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="A symbol the desk has bars of.")]


def _put(role: AgentName, symbol: str | None, desk: str | None, as_json: bool) -> None:
    from app.commands.ask import print_answer

    print_answer(role, symbol, desk, as_object=as_json)


@asking.command("research")
@one_line
def research_alias(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Ask the research agent: thesis, confidence, key metrics, reasoning, cost (as `ask research`)."""
    _put(AgentName.RESEARCH, symbol, desk, as_json)


@ask.command("research")
@one_line
def ask_research(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """A thesis on a symbol: bullish, bearish or neutral, with confidence and figures."""
    _put(AgentName.RESEARCH, symbol, desk, as_json)


@ask.command("news")
@one_line
def ask_news(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """What was written about a symbol, and which way it leans."""
    _put(AgentName.NEWS, symbol, desk, as_json)


@ask.command("regime")
@one_line
def ask_regime(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """The regime by the rule, and what a model remarks on it."""
    _put(AgentName.REGIME, None, desk, as_json)


@ask.command("strategy")
@one_line
def ask_strategy(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Which setup a symbol shows tonight, with the prices of the trade."""
    _put(AgentName.STRATEGY, symbol, desk, as_json)


@ask.command("risk")
@one_line
def ask_risk(symbol: SymbolArgument, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """What the risk manager says of the trade that the rules would propose tonight."""
    _put(AgentName.RISK, symbol, desk, as_json)
