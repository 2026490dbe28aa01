"""`quorum patterns`: how past trades of a kind ended, with n and intervals, and examples of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import typer

from agents.patterns import Pattern, levels_of, pattern
from agents.statistics import Tally
from agents.trading.outcomes import state_vector
from app.commands.desks import recall
from app.runtime.step import technicals_from_json
from storage.errors import OperatorError
from storage.memory import AgentMemory, PastTrade, PatternFilter
from storage.plain import as_json, clean

EXAMPLES = 10

Bucket = TypeVar("Bucket", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class _Found:
    pattern: Pattern
    examples: Sequence[PastTrade]
    before: datetime


def print_patterns(desk: str | None, wanted: PatternFilter, like: str | None, *, as_object: bool) -> None:
    """Win rates level by level, and the last trades or those nearest to a symbol's last signal.

    With `like`, only trades closed before that signal count. Raises OperatorError when the symbol was never
    argued over.
    """
    name, found = recall(desk, lambda memory: _ask(memory, wanted, like))
    if as_object:
        typer.echo(
            json.dumps(
                {
                    "desk": name,
                    "filter": as_json(wanted),
                    "before": as_json(found.before),
                    "levels": as_json(found.pattern.levels),
                    "r": as_json(found.pattern.r),
                    "examples": as_json(found.examples),
                }
            )
        )
        return
    for line in _lines(found, like):
        typer.echo(clean(line))


def bucket(buckets: type[Bucket], text: str | None) -> Bucket | None:
    """The bucket an option names. Raises OperatorError when there is none of that name."""
    if text is None:
        return None
    if text not in list(buckets):
        raise OperatorError(f"{text!r} is no range", f"name one of: {', '.join(buckets)}")
    return buckets(text)


async def _ask(memory: AgentMemory, wanted: PatternFilter, like: str | None) -> _Found:
    before, state = datetime.now(UTC), None
    if like is not None:
        signal = await memory.last_deliberation(like)
        if signal is None:
            raise OperatorError(
                f"{like!r} has never been argued over", "name a symbol that `quorum why` shows"
            )
        before = signal.created_at
        state = state_vector(technicals_from_json(signal.technical_snapshot))
    tallies: list[tuple[str, Tally]] = []
    r: tuple[float, ...] = ()
    for level, narrower in levels_of(wanted):
        results = await memory.past_results(narrower, before=before)
        tallies.append((level, Tally(results.wins, results.trades)))
        r = results.r
    return _Found(
        pattern=pattern(tallies, r),
        examples=await memory.past_trades(wanted, before=before, most=EXAMPLES, like=state),
        before=before,
    )


def _lines(found: _Found, like: str | None) -> Iterator[str]:
    yield f"{'':<17}{'n':>5}{'won':>5}{'shrunk':>8}  95% of the bare rate"
    for level in found.pattern.levels:
        tally = level.tally
        yield (
            f"{level.name:<17}{tally.trades:>5}{tally.wins:>5}{level.rate:>8.1%}  "
            f"{level.low:.1%} to {level.high:.1%}"
        )
    r = found.pattern.r
    if r.mean is not None:
        interval = f", 95% {r.low:+.2f} to {r.high:+.2f}" if r.low is not None and r.high is not None else ""
        yield f"mean result {r.mean:+.3f} R, n = {r.n}{interval}"
    if not found.examples:
        yield "no trade of this kind has closed"
        return
    what = f"nearest to {like}'s last signal" if like else "the latest"
    yield f"examples, {what}; they illustrate, the rates above count:"
    for trade in found.examples:
        near = "" if trade.distance is None else f"  distance {trade.distance:.2f}"
        yield (
            f"  {trade.symbol:<8}{trade.entry_session!s:<12}{trade.exit_session!s:<12}"
            f"{trade.setup_type:<16}{trade.market_regime:<10}{trade.r_multiple:>+6.2f} R  "
            f"{trade.exit_reason.replace('_', ' ')}{near}"
        )
