"""Outside text breaks nothing, the registry holds everything together, imports stay light."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import replace

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from app.console.actions import REGISTRY, Scope, actions_for, bindings_for, footer_actions, palette_actions
from app.console.app import ConsoleApp
from app.console.host import ROOT
from app.console.screens.change import ChangeScreen
from app.console.screens.desk import DeskScreen
from app.console.screens.equity import EquityScreen
from app.console.screens.exchange import ExchangeScreen
from app.console.screens.halt import HaltScreen
from app.console.screens.help import HelpScreen, help_lines
from app.console.screens.history import HistoryScreen
from app.console.screens.note import NoteScreen
from app.console.screens.patterns import PatternsScreen
from app.console.screens.position import PositionScreen
from app.console.screens.quit import QuitScreen
from app.console.screens.review import ReviewScreen
from app.console.screens.why import WhyScreen
from app.console.widgets.lines import LinesView
from app.console.widgets.table import Table

from .desks import FakeDesk, a_desk, approval_row, watch_row
from .running import running

HOSTILE = (
    "[/x]",
    "[bold red]boom[/]",
    "[bold",
    "\x1b[31mred\x1b]0;title\x07\x07\x9b2J",
    "y" * 5_000,
    "שלום \u202eabc\u202c עולם",
    "🚀👩‍👩‍👧 ﷽ é",
    "line\nbreak\ttab\x00nul\ud800",
)
OWNERS: dict[Scope, type[DOMNode]] = {
    Scope.APP: ConsoleApp,
    Scope.DESK: DeskScreen,
    Scope.LIST: LinesView,
    Scope.TABLE: Table,
    Scope.REVIEW: ReviewScreen,
    Scope.CHANGE: ChangeScreen,
    Scope.WHY: WhyScreen,
    Scope.EXCHANGE: ExchangeScreen,
    Scope.QUIT: QuitScreen,
    Scope.HALT: HaltScreen,
    Scope.POSITION: PositionScreen,
    Scope.HISTORY: HistoryScreen,
    Scope.READING: EquityScreen,
    Scope.PATTERNS: PatternsScreen,
    Scope.NOTE: NoteScreen,
}
NEVER_IMPORTED = {
    "alembic",
    "anthropic",
    "apscheduler",
    "numba",
    "numpy",
    "pandas",
    "procrastinate",
    "pydantic_settings",
    "sqlalchemy",
    "talib",
    "typer",
}


@pytest.mark.long
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_is_shown_and_obeyed_nowhere(text: str) -> None:
    watched = replace(watch_row(1), symbol=text[:40], name=text, sector=text, reasoning=text, source=text)
    card = approval_row(1, risky=True)
    card = replace(
        card,
        terms=replace(card.terms, symbol=text[:40]),
        reasoning=text,
        risky_reasons=(text,),
        facts=((text, text),),
        votes=tuple(replace(vote, reason=text, source=text) for vote in card.votes),
        checks=(replace(card.checks[0], name=text),),
    )
    calm = a_desk()
    snapshot = replace(
        calm,
        watch=(watched,),
        approvals=(card, replace(approval_row(3), short_id=text, order_note=text, decided_by=text)),
        header=replace(calm.header, history_title=text),
        agents=tuple(replace(row, last_result=text, source=text) for row in calm.agents),
        runs=tuple(replace(row, summary=text) for row in calm.runs),
    )
    desk = FakeDesk(snapshot, refuses=text)
    async with running(desk, size=(200, 60)) as console:
        await console.open_review()
        assert "\x1b" not in console.text and "\u202e" not in console.text
        await console.press("r")
        await console.until(lambda: console.app.state.verdict is not None)
        await console.press("escape", "7", "1", "8")
        assert "\x1b" not in console.text and "\x00" not in console.text


async def test_a_desk_that_raises_hostile_text_is_shown_too() -> None:
    desk = FakeDesk(a_desk(), away="[/x] \x1b[2J password")
    async with running(desk) as console:
        await console.until(lambda: "[/x]  password" in console.text or "[/x] password" in console.text)
        assert "\x1b" not in console.text


def test_every_action_of_the_registry_exists_and_every_key_is_in_the_registry() -> None:
    for action in REGISTRY:
        method = getattr(OWNERS[action.scope], f"action_{action.id}", None)
        assert callable(method), f"{action.id} has no method"
        assert action.label and action.help.isprintable()
        assert bool(action.keys) == bool(action.shown)
    for scope, owner in OWNERS.items():
        ours = {b.key for b in bindings_for(scope) if isinstance(b, Binding)}
        declared = {b.key for b in owner.BINDINGS if isinstance(b, Binding)}
        assert declared >= ours
        assert declared == ours or owner in (ReviewScreen, ChangeScreen)


def test_no_key_means_two_things_where_both_apply() -> None:
    for scopes in (
        (Scope.APP, Scope.DESK, Scope.LIST, Scope.TABLE),
        (Scope.REVIEW,),
        (Scope.CHANGE,),
        (Scope.WHY,),
        (Scope.EXCHANGE,),
        (Scope.QUIT,),
        (Scope.HALT,),
        (Scope.POSITION,),
        (Scope.HISTORY,),
        (Scope.READING,),
        (Scope.PATTERNS, Scope.LIST),
        (Scope.NOTE,),
    ):
        keys = [key for scope in scopes for action in actions_for(scope) for key in action.keys]
        assert len(keys) == len(set(keys))


def test_help_footer_and_palette_come_from_the_registry() -> None:
    text = "\n".join("".join(piece.text for piece in line) for line in help_lines(200))
    for action in REGISTRY:
        assert action.help in text
    assert {action.id for action in footer_actions(*Scope)} <= {action.id for action in REGISTRY}
    for action in palette_actions():
        method = getattr(OWNERS[action.scope], f"action_{action.id}")
        assert len(inspect.signature(method).parameters) == 1, "the palette gives no arguments"


async def test_help_and_palette_open_and_close() -> None:
    async with running(FakeDesk(a_desk())) as console:
        await console.press("question_mark")
        await console.until(
            lambda: isinstance(console.app.screen, HelpScreen) and "Everywhere" in console.text
        )
        await console.press("escape", "colon")
        await console.until(lambda: "Take back the last verdict" in console.text)
        await console.press(*"colour")
        await console.until(lambda: "colour-blind eyes" in console.text)
        await console.press("enter")
        await console.until(lambda: console.app.theme == "quorum-blue-orange")


def test_importing_the_console_imports_nothing_heavy_and_no_database() -> None:
    code = "import sys, app.console.__main__; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & (NEVER_IMPORTED | {"psycopg", "pydantic"})
    assert "storage.desk" not in done.stdout.split()
