"""`quorum spend`: what models have cost, against the caps, and what the budget still allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import typer

from app.commands.desks import open_desk
from storage.plain import as_json, clean, shortened
from storage.snapshot import SpendRow

REASON_SHOWN = 80  # characters


def print_spend(desk: str | None, *, as_object: bool) -> None:
    """Some lines, or one JSON object with every number; days and months are UTC."""
    with open_desk(desk) as opened:
        spend = opened.snapshot().spend
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, **_object(spend)}))
        return
    for label, text in _rows(spend):
        typer.echo(clean(f"{label:<11}{text}"))


def _rows(spend: SpendRow) -> Iterator[tuple[str, str]]:
    standing = spend.standing
    caps = standing.caps if standing else None
    yield "today", _against(spend.today_usd, caps.day_usd if caps else None)
    pace = f", {spend.projected_usd:,.2f} at this pace" if spend.projected_usd is not None else ""
    yield "month", _against(spend.month_usd, caps.month_usd if caps else None) + pace
    yield "calls", f"{spend.calls:,} in all, {spend.over_reported} of this month's beyond their worst case"
    yield "held", f"{spend.held_usd:,.4f} dollars for calls under way"
    yield "uncertain", f"{spend.uncertain_usd:,.4f} dollars perhaps billed, counted as spent"
    if standing is None:
        yield "ladder", "no caps are set: a runtime of this desk sets them when it leads"
    else:
        yield "ladder", f"{standing.rung}, more again at {standing.resumes_at:%Y-%m-%d %H:%M} UTC"
    for park in spend.parks:
        until = f"until {park.until:%Y-%m-%d %H:%M:%S} UTC"
        yield "waits", f"{park.model or 'every model'} {until}: {shortened(park.because, REASON_SHOWN)}"
    for agent in spend.agents:
        yield agent.agent, f"{agent.today_usd:,.4f} today, {agent.month_usd:,.4f} in {agent.calls} calls"
    for model in spend.models:
        share = f", {model.cache_share:.0%} of the input from caches" if model.cache_share else ""
        yield "model", f"{model.model}: {model.month_usd:,.4f} in {model.calls} calls{share}"
    if (last := spend.last) is not None:
        how = f", {shortened(last.error, REASON_SHOWN)}" if last.error else ""
        yield "last call", f"{last.at:%Y-%m-%d %H:%M:%S} UTC, {last.agent}, {last.model}, {last.state}{how}"
        dated = f" of {last.price_date}" if last.price_date else ""
        yield "prices", f"{last.price_source}{dated}"


def _against(spent: Decimal, cap: Decimal | None) -> str:
    return f"{spent:,.4f} dollars" + (f" of {cap:,.2f}" if cap is not None else ", no cap is set")


def _object(spend: SpendRow) -> dict[str, object]:
    """Everything the lines show, dollars as numbers."""
    standing, told = spend.standing, as_json(spend)
    assert isinstance(told, dict)
    return {
        **told,
        "projected_usd": as_json(spend.projected_usd),
        "rung": standing.rung.value if standing else None,
        "resumes_at": as_json(standing.resumes_at) if standing else None,
    }
