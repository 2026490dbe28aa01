"""`quorum quota` and `quorum fmp`: what the vendor's key has used, may ask and will be asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby

import typer

from agents.market.calendar import NEW_YORK
from agents.market.planner import forecast
from app.commands.desks import OpenDesk, open_desk
from app.operator import this_operator
from storage.desk import Desk
from storage.errors import OperatorError
from storage.plain import as_json, clean, shortened, span
from storage.quota_rules import BLOCK_WORDS, EntitlementState
from storage.quota_snapshot import CallCount, EntitlementRow, PlannedSlotRow, QuotaRow, QuotaUse
from storage.records import CommandReceipt, Operator

COUNTS_SHOWN = 12  # jobs and endpoints
NAMES_SHOWN = 60  # characters of a slot's symbols
LABEL = 11


def print_quota(desk: str | None, *, as_object: bool) -> None:
    """Calls used and left, by whom, when they run dry, what is planned; or one JSON object of it."""
    with open_desk(desk) as opened:
        quota, use = _quota(opened), opened.desk.quota_use()
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, **_object(quota, use)}))
        return
    for text in _lines(opened.name, quota, use):
        typer.echo(clean(text))


def print_entitlements(desk: str | None, *, as_object: bool) -> None:
    """What the key may ask, as the vendor last answered: refusals one by one, the rest by endpoint."""
    with open_desk(desk) as opened:
        _quota(opened)
        rows = opened.desk.entitlements()
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "entitlements": as_json(rows)}))
        return
    if not rows:
        typer.echo("nothing is known yet: the vendor has answered no call")
    for text in _entitlements(rows):
        typer.echo(clean(text))


def forget_refusal(what: str, desk: str | None) -> None:
    """Ask for a symbol or an endpoint again as if it had never been refused."""
    _act(desk, lambda opened, operator: opened.forget_refusal(what, operator=operator))


def unblock_vendor(desk: str | None) -> None:
    """Try a blocked key again, whatever the vendor said of it."""
    _act(desk, lambda opened, operator: opened.unblock_vendor(operator=operator))


def quota_line(quota: QuotaRow | None) -> str:
    """The quota in one line."""
    if quota is None:
        return "no vendor"
    blocked = f"; {BLOCK_WORDS[quota.blocks[0].fault]}" if quota.blocks else ""
    return f"{quota.used} of {quota.limit} calls in 24 h, {quota.left} left{blocked}"


def _act(desk: str | None, act: Callable[[Desk, Operator], CommandReceipt]) -> None:
    with open_desk(desk) as opened:
        receipt = act(opened.desk, this_operator())
    if not receipt.accepted:
        problem, _, remedy = receipt.message.partition("; ")
        raise OperatorError(clean(problem), remedy or "`quorum quota` shows how the key stands")
    typer.echo(clean(receipt.message))


def _quota(opened: OpenDesk) -> QuotaRow:
    quota = opened.snapshot().quota
    if quota is None:
        raise OperatorError(
            f"desk {opened.name} has asked no vendor yet", "set FMP_API_KEY and start its runtime: quorum run"
        )
    return quota


def _object(quota: QuotaRow, use: QuotaUse) -> dict[str, object]:
    numbers = as_json(quota)
    assert isinstance(numbers, dict)
    return {
        **numbers,
        "remaining": quota.left,
        "by_priority": _counts(quota.by_priority),
        "by_job": _counts(use.by_job),
        "by_endpoint": _counts(use.by_endpoint),
        "forecast": _forecast(quota),
        "tomorrow": as_json(_next_day(quota)),
    }


def _lines(name: str, quota: QuotaRow, use: QuotaUse) -> Iterator[str]:
    yield f"desk {name}: FMP key {quota.key_fingerprint}, as of {_at(quota.as_of)}"
    yield _row("used", f"{quota.used} of {quota.limit} calls in 24 h, {quota.last_hour} in the last hour")
    held = f", {quota.held} more reserved by jobs" if quota.held else ""
    yield _row("left", f"{quota.left}, besides {quota.reserve_left} that only exits may use{held}")
    for block in quota.blocks:
        until = (
            f"one call tries again {_at(block.until)}" if block.until else "`quorum fmp unblock` tries again"
        )
        yield _row("BLOCKED", f"{BLOCK_WORDS[block.fault]} {_at(block.refused_at)}: {until}")
    if quota.next_free_at is not None:
        yield _row("next free", _at(quota.next_free_at))
    planned = f", as planned {_at(quota.planned_at)}" if quota.planned_at else ""
    yield _row("forecast", f"{_forecast(quota) or 'nothing is planned yet'}{planned}")
    learned = f", learned {quota.reset_learned_at:%Y-%m-%d}" if quota.reset_learned_at else ""
    yield _row("reset", f"{quota.reset_hour or 'at an hour not found out yet'}{learned}")
    yield _row("bytes", f"{quota.received_bytes / 1e6:,.1f} of {quota.bytes_limit / 1e6:,.0f} MB in 30 days")
    refused = f"{quota.refused_symbols} symbols and {quota.refused_endpoints} endpoints refused"
    yield _row("asks", f"{quota.allowed} known to be answered; {refused}: `quorum fmp entitlements`")
    oldest = ""
    if quota.oldest_fresh_at is not None:
        oldest = f", the oldest {span((quota.as_of - quota.oldest_fresh_at).total_seconds())} old"
    yield _row("cache", f"{quota.cached_fresh} fresh answers{oldest}, {quota.cached_stale} stale")
    for label, counts in (
        ("priority", quota.by_priority),
        ("job", use.by_job),
        ("endpoint", use.by_endpoint),
    ):
        for number, counted in enumerate(counts[:COUNTS_SHOWN]):
            yield _row(label if number == 0 else "", f"{counted.calls:>4}  {counted.name}")
    for number, row in enumerate(_next_day(quota)):
        yield _row("tomorrow" if number == 0 else "", _slot(row))


def _slot(row: PlannedSlotRow) -> str:
    oldest = f", the oldest {span(row.oldest_served_s)} old" if row.oldest_served_s is not None else ""
    parts = [
        f"{_at(row.due_at)}  {row.slot} ({row.priority}): {row.calls} calls",
        f"{row.served} from the cache{oldest}",
        f"{row.deferred} deferred ({row.why})" if row.deferred else "",
        shortened(" ".join(row.endpoints), NAMES_SHOWN),
        shortened(" ".join(row.symbols), NAMES_SHOWN),
    ]
    return "; ".join(filter(None, parts))


def _next_day(quota: QuotaRow) -> tuple[PlannedSlotRow, ...]:
    """The slots of the first day after today for which something is planned."""
    today = quota.as_of.astimezone(NEW_YORK).date()
    later = [row for row in quota.planned if row.due_at.astimezone(NEW_YORK).date() > today]
    days = groupby(later, key=lambda row: row.due_at.astimezone(NEW_YORK).date())
    return next((tuple(rows) for _, rows in days), ())


def _entitlements(rows: Sequence[EntitlementRow]) -> Iterator[str]:
    for row in rows:
        if row.state is EntitlementState.REFUSED and row.ask_again_at is not None:
            what = f"{row.endpoint} for {row.symbol}" if row.symbol else f"{row.endpoint} for every symbol"
            times = f", {row.times} times in a row" if row.times > 1 else ""
            yield (
                f"refused  {what}: {row.fault} since {row.learned_at:%Y-%m-%d}{times}, "
                f"asked again from {row.ask_again_at:%Y-%m-%d}"
            )
    allowed = [row for row in rows if row.state is EntitlementState.ALLOWED]
    for endpoint, found in groupby(allowed, key=lambda row: row.endpoint):
        symbols = [row.symbol for row in found if row.symbol]
        yield f"allowed  {endpoint}{f' for {len(symbols)}: ' if symbols else ''}{' '.join(symbols)}"


def _forecast(quota: QuotaRow) -> str | None:
    return forecast(quota.planned_at, quota.dry_at) if quota.planned_at is not None else None


def _counts(counts: Sequence[CallCount]) -> dict[str, int]:
    return {counted.name: counted.calls for counted in counts}


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%m-%d %H:%M} New York"


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"
