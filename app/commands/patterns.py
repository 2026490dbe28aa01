"""`quorum patterns`: how past trades of a kind ended, with n and intervals, and the nearest of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import typer

from agents.learning.claims import CELL, TradeStatistics
from agents.market.calendar import NEW_YORK
from agents.statistics import SHRINKAGE
from app.commands.desks import open_desk
from app.commands.pattern_lookup import Asked, Found, asked_of_a_model, look_up, moment_of
from app.settings import load_settings
from storage.plain import as_json, clean


def print_patterns(desk: str | None, asked: Asked, *, as_object: bool) -> None:
    """Filter, figures, markets and analogues, by what was known at the moment asked about.

    Raises OperatorError for words of which nothing is understood, words and options that disagree, a moment
    the desk has not come to, a symbol that was never argued over.
    """
    with open_desk(desk) as opened:
        header = opened.snapshot().header
        moment = moment_of(asked.as_of, header.desk_time)
        helper = partial(asked_of_a_model, load_settings(), header.kind, opened.conninfo())
        found = opened.recall(lambda memory: look_up(memory, asked, moment, helper))
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "words": asked.words, **told(found)}))
        return
    for line in _lines(found):
        typer.echo(clean(line))


def told(found: Found) -> dict[str, object]:
    """The answer as JSON values: rates are fractions, results in R, intervals pairs."""
    understood, like = found.understood, found.like
    return {
        "as_of": as_json(found.moment),
        "filter": understood.filter.model_dump(mode="json", exclude_none=True),
        "filter_text": str(understood.filter),
        "not_understood": list(understood.left),
        "read_by": understood.read_by,
        "note": understood.note,
        "cost_usd": as_json(understood.cost_usd),
        "chosen_by_outcome": understood.filter.asks_how_it_ended,
        **_figures(found.pattern.statistics),
        "by_regime": [
            {"regime": one.direction.value, **_figures(one.statistics)} for one in found.pattern.by_regime
        ],
        "like": None
        if like is None
        else {"symbol": like.symbol, "session": as_json(like.session), "setup": like.setup_type.value},
        "analogues": as_json(list(found.analogues)),
    }


def _figures(of: TradeStatistics) -> dict[str, object]:
    return {
        "n": of.n,
        "wins": of.wins,
        "win_rate": of.win_rate,
        "interval": as_json(of.interval),
        "expected_rate": of.expected_rate,
        "mean_r": of.mean_r,
        "mean_r_interval": as_json(of.r_interval),
        "expected_r": of.expected_r,
        "plain_mean_r": None if of.is_thin else of.results.mean,
    }


def _lines(found: Found) -> Iterator[str]:
    understood, of = found.understood, found.pattern.statistics
    yield f"filter: {understood.filter}"
    yield (
        f"  read by {understood.read_by}"
        + (f", ${understood.cost_usd:.4f}" if understood.cost_usd else "")
        + f"; as of {found.moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"
    )
    if understood.left:
        yield f"  not understood: {'; '.join(understood.left)}"
    if understood.note:
        yield f"  {understood.note}"
    if understood.filter.asks_how_it_ended:
        yield "  chosen by how they ended: the figures describe these trades and foretell nothing"
    yield f"n = {of.n}, won {of.wins}" + (f" (fewer than {CELL}: thin)" if of.is_thin else "")
    low, high = of.interval
    yield (
        f"win rate {of.win_rate:.1%} shrunk, to be expected was {of.expected_rate:.1%}; "
        f"95% of the bare rate {low:.1%} to {high:.1%}"
    )
    yield f"mean result {of.mean_r:+.3f} R shrunk, to be expected was {of.expected_r:+.3f} R{_around(of)}"
    yield f"shrunk: {SHRINKAGE:.0f} trades' weight of what it is a part of (its regime, setup, all trades)"
    yield f"{'market':<10}{'n':>5}{'won':>5}{'win rate':>10}  {'95%':<18}{'mean R':>8}  95%"
    for row in found.pattern.by_regime:
        yield _row(row.direction.value, row.statistics)
    yield from _examples(found)


def _around(of: TradeStatistics) -> str:
    return "" if of.r_interval is None else f"; 95% {of.r_interval[0]:+.3f} to {of.r_interval[1]:+.3f}"


def _row(name: str, of: TradeStatistics) -> str:
    rate = f"{of.interval[0]:.1%} to {of.interval[1]:.1%}"
    spread = "" if of.r_interval is None else f"  {of.r_interval[0]:+.2f} to {of.r_interval[1]:+.2f}"
    return f"{name:<10}{of.n:>5}{of.wins:>5}{of.win_rate:>10.1%}  {rate:<18}{of.mean_r:>+8.2f}{spread}"


def _examples(found: Found) -> Iterator[str]:
    if not found.analogues:
        yield "no trade of this kind had closed"
        return
    like = found.like
    what = "the latest" if like is None else f"nearest to {like.symbol} as it was on {like.session}"
    yield f"analogues, {what}; they illustrate, the figures above count:"
    for trade in found.analogues:
        near = "" if trade.distance is None else f"  distance {trade.distance:.2f}"
        yield (
            f"  {trade.symbol:<8}{trade.entry_session!s:<12}{trade.exit_session!s:<12}"
            f"{trade.setup_type:<16}{trade.market_regime:<10}{trade.r_multiple:>+6.2f} R  "
            f"{trade.exit_reason.replace('_', ' ')}{near}"
        )
