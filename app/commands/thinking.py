"""`quorum interactions`, `quorum adjustments`, `quorum agents show`: the desk's thinking and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import typer

from app.commands.agents import agent_named
from app.commands.desks import open_desk, recall
from storage.errors import OperatorError
from storage.learning_records import AdjustmentStatus
from storage.memory import AdjustmentRow, AgentDay, AgentMemory, InteractionRow, Measurement, ModelSpend
from storage.plain import as_json, clean, shortened

DAYS_SHOWN = 20
FIGURES_SHOWN = 40
AT_ONCE = 4_000  # characters that are made harmless in one go
TEXT_SHOWN = 70  # characters of an outside text


@dataclass(frozen=True, kw_only=True)
class _Card:
    days: Sequence[AgentDay]
    figures: Sequence[Measurement]
    spend: ModelSpend


def print_interactions(
    desk: str | None, agent: str | None, most: int, *, failed: bool, as_object: bool
) -> None:
    """The last model calls, latest first, and what all of them cost."""
    of = None if agent is None else agent_named(agent)

    async def ask(memory: AgentMemory) -> tuple[Sequence[InteractionRow], ModelSpend]:
        calls = await memory.interactions(agent=of, failed=failed, most=most)
        return calls, await memory.model_spend(agent=of)

    name, (calls, spend) = recall(desk, ask)
    if as_object:
        typer.echo(json.dumps({"desk": name, "interactions": as_json(calls), "spend": as_json(spend)}))
        return
    for call in calls:
        typer.echo(clean(_call(call)))
    typer.echo(f"desk {name}: {spend.calls} model calls, {spend.cost_usd:,.4f} dollars in all")


def print_exchange(desk: str | None, call: str, *, as_object: bool) -> None:
    """One call word for word. Raises OperatorError for an id nobody knows."""
    with open_desk(desk) as opened:
        try:
            found = opened.desk.exchange(UUID(call))
        except ValueError:
            found = None
    if found is None:
        raise OperatorError(
            f"there is no model call {call[:40]!r}", "`quorum interactions --json` lists them with their ids"
        )
    if as_object:
        values = as_json(found)
        assert isinstance(values, dict)
        typer.echo(json.dumps({"desk": opened.name, **values}))
        return
    version = f", prompt v{found.prompt_version}" if found.prompt_version else ""
    typer.echo(
        clean(f"{found.agent} {found.symbol} {found.model}{version} {found.at:%Y-%m-%d %H:%M}Z {found.state}")
    )
    if found.error:
        typer.echo(clean(f"  {found.error}"))
    for heading, text in found.parts:
        typer.echo(f"{heading.upper()}")
        for own in text.splitlines():
            for start in range(0, len(own), AT_ONCE):
                typer.echo(f"  {clean(own[start : start + AT_ONCE])}")


def print_adjustments(desk: str | None, status: str | None, most: int, *, as_object: bool) -> None:
    """The last proposed changes, latest first, and what became of them."""
    of = None if status is None else _status_named(status)
    name, found = recall(desk, lambda memory: memory.adjustments(status=of, most=most))
    if as_object:
        typer.echo(json.dumps({"desk": name, "adjustments": as_json(found)}))
        return
    if not found:
        typer.echo(f"desk {name}: no change of a parameter has been proposed")
    for row in found:
        for line in _adjustment(row):
            typer.echo(clean(line))


def _status_named(status: str) -> AdjustmentStatus:
    try:
        return AdjustmentStatus(status)
    except ValueError:
        raise OperatorError(
            f"there is no status {status!a}", f"one of {', '.join(AdjustmentStatus)}"
        ) from None


def print_agent(agent: str, desk: str | None, *, as_object: bool) -> None:
    """An agent's sessions and the figures logged for it, latest first."""
    of = agent_named(agent)

    async def ask(memory: AgentMemory) -> _Card:
        return _Card(
            days=await memory.agent_days(of, most=DAYS_SHOWN),
            figures=await memory.measurements(of, most=FIGURES_SHOWN),
            spend=await memory.model_spend(agent=of),
        )

    name, card = recall(desk, ask)
    if as_object:
        values = as_json(card)
        assert isinstance(values, dict)
        typer.echo(json.dumps({"desk": name, "agent": of.value, **values}))
        return
    for line in _agent(card):
        typer.echo(clean(line))


def _call(row: InteractionRow) -> str:
    took = "" if row.latency_ms is None else f" in {row.latency_ms:,} ms"
    about = f" on {shortened(row.symbol, 12)}" if row.symbol else ""
    fault = f": {shortened(row.error, TEXT_SHOWN)}" if row.error else ""
    ended = {True: "ok", False: "FAILED", None: row.state}[row.success]
    return (
        f"{row.created_at:%Y-%m-%d %H:%M}Z  {row.agent:<9}{shortened(row.model, 28):<29}"
        f"{row.tokens:>8,} tokens {row.cost_usd:>9,.4f} dollars{took}{about}  {ended}{fault}"
    )


def _adjustment(row: AdjustmentRow) -> Iterator[str]:
    decided = f" by {shortened(row.decided_by, 20)}" if row.decided_by else ""
    yield (
        f"{row.created_at:%Y-%m-%d}  {shortened(row.parameter, 40)}: {shortened(row.old_value, 20)} to "
        f"{shortened(row.new_value, 20)}  {row.status}{decided}, {row.outcome}, "
        f"confidence {row.confidence:.0f}"
    )
    yield f"    {shortened(row.reasoning, 160)}"
    if row.measured_at is not None:
        yield (
            f"    win rate {_rate(row.win_rate_before)} to {_rate(row.win_rate_after)}, Sharpe "
            f"{_number(row.sharpe_before)} to {_number(row.sharpe_after)}, "
            f"measured {row.measured_at:%Y-%m-%d}"
        )


def _agent(card: _Card) -> Iterator[str]:
    if not card.days and not card.figures:
        yield "it has not worked on this desk yet"
        return
    yield (
        f"{'session':<12}{'done':>5}{'silent':>7}{'answered':>9}{'confidence':>11}{'ms':>9}{'pnl':>11}"
        f"{'models':>9}"
    )
    for day in card.days:
        confidence = "-" if day.confidence is None else f"{day.confidence:.0f}"
        took = "-" if day.latency_ms is None else f"{day.latency_ms:,.1f}"
        yield (
            f"{day.session!s:<12}{day.tasks:>5}{day.abstained:>7}{_rate(day.success_rate):>9}{confidence:>11}"
            f"{took:>9}{day.pnl:>11,.2f}{day.model_usd:>9,.4f}"
        )
    for figure in card.figures:
        yield f"{figure.session!s:<12}{shortened(figure.name, 40)} {figure.value:.4g}"
    yield f"{card.spend.calls} model calls, {card.spend.cost_usd:,.4f} dollars in all"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
