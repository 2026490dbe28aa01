"""`quorum models`, and what a runtime says at its start: each configured model as its server knows it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import typer

from agents.gateway import Gateway, check_models
from agents.llm.models import ModelCheck
from app.settings import load_settings
from app.wiring import claude_of
from storage.plain import as_json, clean, shortened

log = logging.getLogger(__name__)

SOON = timedelta(days=60)  # the notice a retirement is given
NOTE_SHOWN = 200  # characters


def print_models(*, as_object: bool) -> None:
    """One line a model, or one JSON object."""
    settings = load_settings()

    async def ask() -> tuple[ModelCheck, ...]:
        claude = claude_of(settings)
        try:
            return await check_models(claude, settings.llm)
        finally:
            if claude is not None:
                await claude.close()

    checks = asyncio.run(ask())
    if as_object:
        typer.echo(json.dumps({"models": as_json(checks)}))
        return
    for check in checks:
        typer.echo(clean(line_of(check)))


async def tell_models(gateway: Gateway | None) -> None:
    """Log what is known of the models of a desk that asks any."""
    if gateway is None:
        return
    for check in await gateway.check_models():
        level = logging.INFO if check.usable and not _retires_soon(check) else logging.WARNING
        log.log(level, "%s", clean(line_of(check)))


def line_of(check: ModelCheck) -> str:
    return f"{check.model:<20} {', '.join(_said(check))}"


def _said(check: ModelCheck) -> Iterator[str]:
    yield {True: "can be asked", False: "CANNOT be asked", None: "not known"}[check.usable]
    if check.agents:
        yield f"by {' '.join(check.agents)}"
    if check.lifecycle not in ("", "active"):
        yield check.lifecycle.upper()
    if check.retires_at is not None:
        soon = "SOON, " if _retires_soon(check) else ""
        yield f"retires {soon}on {check.retires_at:%Y-%m-%d}"
    yield f"priced by {check.price_source}" if check.price_source else "no price"
    if check.note:
        yield shortened(check.note, NOTE_SHOWN)


def _retires_soon(check: ModelCheck) -> bool:
    return check.retires_at is not None and check.retires_at - datetime.now(UTC) < SOON
