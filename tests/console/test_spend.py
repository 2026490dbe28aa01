"""The dollars to models on the screen: against their caps, with what is uncertain and what is waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.console.panes.quota import spend_lines
from app.console.state import ConsoleState, View
from app.console.strip import strip_lines
from storage.records import AgentName
from storage.snapshot import AgentSpendRow, ModelCallRow, ModelSpendRow, ParkRow, SpendRow
from storage.spending import CallState, Caps, Standing

from .desks import NOW, a_desk

CAPS = Caps(call_usd=Decimal("0.25"), agent_day_usd=Decimal(1), day_usd=Decimal(2), month_usd=Decimal(40))
HOSTILE = "\x1b[2J[red]all is well[/red]\u202e"


def spend(today: str, month: str, **changes: object) -> SpendRow:
    standing = Standing(at=NOW, caps=CAPS, today_usd=Decimal(today), month_usd=Decimal(month))
    row = SpendRow(
        today_usd=Decimal(today),
        month_usd=Decimal(month),
        total_usd=Decimal(month),
        calls=9,
        standing=standing,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def text(row: SpendRow, width: int = 60) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in spend_lines(row, width))


def test_the_pane_tells_everything_that_counts() -> None:
    call = ModelCallRow(
        at=NOW,
        agent=AgentName.NEWS,
        model="claude-haiku-5-5",
        state=CallState.UNCERTAIN,
        cost_usd=Decimal("0.0018"),
        error="timeout: no answer within 90 s",
        price_source="price page",
        price_date=date(2026, 10, 7),
    )
    row = spend(
        "0.42",
        "3.10",
        held_usd=Decimal("0.0300"),
        uncertain_usd=Decimal("0.1200"),
        over_reported=1,
        agents=(
            AgentSpendRow(
                agent=AgentName.NEWS, calls=7, today_usd=Decimal("0.0021"), month_usd=Decimal("0.09")
            ),
        ),
        models=(
            ModelSpendRow(model="claude-sonnet-5-5", calls=2, month_usd=Decimal("3.01"), cache_share=0.412),
        ),
        parks=(ParkRow(until=NOW + timedelta(hours=1), model="", because="HTTP 401: no such key"),),
        last=call,
    )
    assert text(row).splitlines() == [
        "MODEL SPEND",
        "today UTC  $0.42 of $2.00, 21%",
        "month UTC  $3.10 of $40.00, 8%",
        f"           ${row.projected_usd:.2f} at this pace",
        "ladder     full: each role its own model",
        "held       $0.03 for calls under way",
        "uncertain  $0.12 perhaps billed, counted as spent",
        "beyond     1 cost more than their worst case",
        "waits      every model until 15:03:22Z",
        "           HTTP 401: no such key",
        "news       $0.0021 today 7 calls this month",
        "claude-sonnet-5-5 $3.01 this month, 41% of the input cached",
        "last call  14:03:22Z news uncertain $0.0018",
        "           timeout: no answer within 90 s",
        "prices     price page of 2026-10-07",
    ]


@pytest.mark.parametrize(
    ("today", "month", "says"),
    [
        ("0.10", "1", "full: each role its own model"),
        ("1.40", "2", "cheaper model for every role"),
        ("1.90", "2", "rules: no model is asked until 03-03 00:00Z"),
        ("0.10", "40", "stop: no model is asked until 04-01 00:00Z"),
    ],
)
def test_the_rung_is_told_and_until_when(today: str, month: str, says: str) -> None:
    assert says in text(spend(today, month))


def test_without_caps_it_says_so() -> None:
    assert "no cap is set" in text(spend("0.10", "0.10", standing=None))


def test_a_model_that_was_never_called_is_told_in_words() -> None:
    assert "no model was called" in text(
        SpendRow(today_usd=Decimal(0), month_usd=Decimal(0), total_usd=Decimal(0), calls=0)
    )


def test_a_servers_words_stay_words() -> None:
    park = ParkRow(until=NOW, model=HOSTILE, because=HOSTILE)
    shown = text(spend("0.10", "1", parks=(park,)))
    assert "[red]all is well[/red]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_strip_holds_the_day_against_its_cap() -> None:
    snapshot = replace(a_desk(), spend=spend("0.42", "3.10"))
    view = View(state=ConsoleState(snapshot=snapshot), now=NOW)
    first = "".join(piece.text for piece in strip_lines(view, 200)[0])
    assert "LLM $0.42/2.00" in first
