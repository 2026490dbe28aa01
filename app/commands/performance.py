"""`quorum performance`: what a desk has earned, beside what the same money could have bought."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import typer

from app.commands.desks import open_desk
from app.runtime.performance import Performance, read_performance
from storage.plain import as_json, clean


def print_performance(desk: str | None, *, as_object: bool) -> None:
    """Return, drawdown, costs and benchmarks from the first settled close to the last."""
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, connect_timeout=10) as connection:
            found = read_performance(connection)
    if as_object:
        values = as_json(found)
        assert isinstance(values, dict)
        typer.echo(json.dumps({"desk": opened.name, **values, "net_equity": as_json(found.net_equity)}))
        return
    for line in _lines(opened.name, found):
        typer.echo(clean(line))


def _lines(name: str, found: Performance) -> Iterator[str]:
    if not found.sessions:
        yield f"desk {name}: no session has settled yet"
        return
    yield f"desk {name}: {found.first_session} to {found.last_session}, n = {found.sessions} sessions"
    paid_in = f", {found.paid_in:+,.2f} paid in" if found.paid_in else ""
    yield _row("equity", f"{found.start_equity:,.2f} to {found.final_equity:,.2f} dollars{paid_in}")
    yield _row(
        "models", f"{found.model_usd:,.2f} dollars for {found.model_calls} calls; net {found.net_equity:,.2f}"
    )
    yield _row("return", f"{found.total_return:+.2%} time-weighted, worst drawdown {found.max_drawdown:.2%}")
    exposure = "-" if found.exposure is None else f"{found.exposure:.0%}"
    yield _row("exposure", f"{exposure} of equity on average; dividends {found.dividends:,.2f}")
    yield _row("trades", _trades(found))
    for other in found.benchmarks:
        yield _row("against", f"{other.total_return:+.2%} {other.name}: {other.label}")
    for words in found.unknown:
        yield _row("not known", words)


def _trades(found: Performance) -> str:
    r = found.r
    if r.mean is None:
        return "none has closed yet"
    interval = f", 95% {r.low:+.2f} to {r.high:+.2f}" if r.low is not None and r.high is not None else ""
    return f"n = {found.trades}, {found.wins} won, mean {r.mean:+.3f} R{interval}"


def _row(label: str, text: str) -> str:
    return f"{label:<11}{text}"
