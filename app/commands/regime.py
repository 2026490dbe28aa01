"""`quorum regime`: the regime rule over a history, one line a session."""

from __future__ import annotations

from datetime import date

import typer

from agents.market.history import find_pack, load_pack
from agents.market.regime import read_regime
from app.runtime.founding import sessions_of
from app.settings import load_settings
from storage.errors import OperatorError


def print_regimes(history: str, first: date | None, last: date | None, *, csv: bool) -> None:
    """Each session's reading sees nothing later than its close; sessions before the 200th close have none."""
    pack = load_pack(find_pack(history, load_settings().library))
    readings = [read_regime(pack.view(session)) for session in sessions_of(pack, first or pack.first, last)]
    if all(reading is None for reading in readings):
        raise OperatorError(
            "no session has 200 index closes before it", "choose a later --to, or a pack with SPY or ^GSPC"
        )
    if csv:
        typer.echo("date,direction,volatility,probability")
    for reading in readings:
        if reading is None:
            continue
        if csv:
            typer.echo(
                f"{reading.session},{reading.direction},{reading.volatility},{reading.bear_probability:.4f}"
            )
        else:
            typer.echo(
                f"{reading.session}  {reading.direction:<8}  {reading.volatility:<10}  "
                f"P(BEAR) {reading.bear_probability:.2f}  {reading.index_symbol} "
                f"{reading.distance:+.1%} from its 200-session average, "
                f"{reading.volatility_source} {reading.volatility_value:.1f}%"
            )
