"""The one registry of what an operator can do: bindings, footer, help and palette are all read from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action applies; the values are the headings of the help screen."""

    APP = "Everywhere"
    DESK = "On the desk"
    LIST = "In a list or a text"
    TABLE = "On a row"
    REVIEW = "In the review of an approval"
    WHY = "In the funnel of an evening"
    QUIT = "When leaving a desk that keeps running"


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something the operator can do, by key, from the palette, or both."""

    id: str  # the method `action_<id>` of the widget, screen or app that its scope names
    keys: tuple[str, ...]
    shown: str  # the keys as help and footer print them; "" for the palette only
    label: str
    help: str
    scope: Scope
    footer: int = 0  # place in the footer, 1 kept longest; 0 never there
    palette: bool = False


REGISTRY: tuple[Action, ...] = (
    Action(
        id="help",
        keys=("question_mark", "f1"),
        shown="?",
        label="help",
        help="What every key does (also F1)",
        scope=Scope.APP,
        footer=1,
        palette=True,
    ),
    Action(
        id="command_palette",
        keys=("colon", "ctrl+p"),
        shown=":",
        label="command",
        help="Every action by name (also ctrl+p)",
        scope=Scope.APP,
        footer=4,
    ),
    Action(
        id="refresh_desk",
        keys=("R",),
        shown="R",
        label="refresh",
        help="Read the desk again now",
        scope=Scope.DESK,
        footer=11,
        palette=True,
    ),
    Action(
        id="next_theme",
        keys=(),
        shown="",
        label="colours",
        help="Change the colours: standard, or blue and orange for colour-blind eyes",
        scope=Scope.APP,
        palette=True,
    ),
    Action(
        id="quit",
        keys=("ctrl+q",),
        shown="ctrl+q",
        label="quit",
        help="Leave: a replay pauses until the next start, a desk that is led goes on; twice leaves at once",
        scope=Scope.APP,
        footer=2,
        palette=True,
    ),
    Action(
        id="pane",
        keys=("1", "2", "3", "4", "5", "6", "7", "8"),
        shown="1-8",
        label="panes",
        help="Go to a pane: watch, approvals, positions, regime, quota, agents, log, detail",
        scope=Scope.DESK,
        footer=6,
    ),
    Action(
        id="next_pane",
        keys=("tab",),
        shown="tab",
        label="next pane",
        help="Go to the next pane",
        scope=Scope.DESK,
        footer=7,
    ),
    Action(
        id="previous_pane",
        keys=("shift+tab",),
        shown="shift+tab",
        label="previous pane",
        help="Go to the previous pane",
        scope=Scope.DESK,
    ),
    Action(
        id="next_pending",
        keys=("n",),
        shown="n",
        label="next approval",
        help="Go to the next approval that waits for a verdict",
        scope=Scope.DESK,
        footer=3,
        palette=True,
    ),
    Action(
        id="previous_pending",
        keys=("N",),
        shown="N",
        label="previous approval",
        help="Go to the previous approval that waits for a verdict",
        scope=Scope.DESK,
        palette=True,
    ),
    Action(
        id="undo",
        keys=("u",),
        shown="u",
        label="undo",
        help="Take back the last verdict while its time to undo runs",
        scope=Scope.DESK,
        footer=8,
        palette=True,
    ),
    Action(
        id="why",
        keys=("w",),
        shown="w",
        label="why",
        help="Why there was no trade: how far the last evening's candidates came, and what stopped them",
        scope=Scope.DESK,
        footer=13,
        palette=True,
    ),
    Action(
        id="pause_agent",
        keys=("p",),
        shown="p",
        label="pause agent",
        help="Pause the chosen agent or let it go on: paused, it abstains and its own slots are skipped",
        scope=Scope.DESK,
        footer=9,
        palette=True,
    ),
    Action(
        id="run_agent",
        keys=("t",),
        shown="t",
        label="run again",
        help="Run the chosen agent's last slot again now, if it failed or was skipped",
        scope=Scope.DESK,
        footer=10,
        palette=True,
    ),
    Action(
        id="filter",
        keys=("slash",),
        shown="/",
        label="filter",
        help="Filter the watchlist by symbol, name, sector or thesis; esc clears",
        scope=Scope.DESK,
        footer=5,
        palette=True,
    ),
    Action(
        id="zoom",
        keys=("f",),
        shown="f",
        label="zoom",
        help="Give the pane the whole screen, or put it back",
        scope=Scope.DESK,
        footer=12,
        palette=True,
    ),
    Action(
        id="banner",
        keys=("x",),
        shown="x",
        label="hide the note",
        help="Hide or show the note above the panes",
        scope=Scope.DESK,
        palette=True,
    ),
    Action(
        id="back",
        keys=("escape",),
        shown="esc",
        label="back",
        help="Close, clear the filter, leave the zoom; never a verdict",
        scope=Scope.DESK,
    ),
    Action(
        id="cursor_up",
        keys=("up", "k"),
        shown="up k",
        label="up",
        help="One row up",
        scope=Scope.LIST,
    ),
    Action(
        id="cursor_down",
        keys=("down", "j"),
        shown="down j",
        label="down",
        help="One row down",
        scope=Scope.LIST,
    ),
    Action(
        id="page_up",
        keys=("pageup",),
        shown="pgup",
        label="page up",
        help="One page up",
        scope=Scope.LIST,
    ),
    Action(
        id="page_down",
        keys=("pagedown",),
        shown="pgdn",
        label="page down",
        help="One page down",
        scope=Scope.LIST,
    ),
    Action(
        id="first",
        keys=("g", "home"),
        shown="g",
        label="first",
        help="First row",
        scope=Scope.LIST,
    ),
    Action(
        id="last",
        keys=("G", "end"),
        shown="G",
        label="last",
        help="Last row",
        scope=Scope.LIST,
    ),
    Action(
        id="open",
        keys=("enter",),
        shown="enter",
        label="open",
        help="Review the approval, or show the row's detail",
        scope=Scope.TABLE,
    ),
    Action(
        id="reject",
        keys=("r",),
        shown="r",
        label="reject",
        help="Reject (enter too: the focus starts on Reject)",
        scope=Scope.REVIEW,
        footer=1,
    ),
    Action(
        id="approve",
        keys=("a",),
        shown="a",
        label="approve",
        help="Approve a low-risk card; on a risky one go to the field for its id",
        scope=Scope.REVIEW,
        footer=2,
    ),
    Action(
        id="defer",
        keys=("escape",),
        shown="esc",
        label="decide later",
        help="Close the card without a verdict",
        scope=Scope.REVIEW,
        footer=3,
    ),
    Action(
        id="next_field",
        keys=("tab",),
        shown="tab",
        label="field",
        help="Go from Reject to the field for the id, to Approve",
        scope=Scope.REVIEW,
        footer=5,
    ),
    Action(
        id="previous_field",
        keys=("shift+tab",),
        shown="shift+tab",
        label="field back",
        help="Go the other way",
        scope=Scope.REVIEW,
    ),
    Action(
        id="nudge",
        keys=("y",),
        shown="y",
        label="nothing",
        help="Only beeps: a habit must not decide",
        scope=Scope.REVIEW,
    ),
    Action(
        id="scroll",
        keys=("up", "down", "pageup", "pagedown", "j", "k"),
        shown="up down",
        label="scroll",
        help="Scroll the card",
        scope=Scope.REVIEW,
        footer=4,
    ),
    Action(
        id="next_part",
        keys=("tab",),
        shown="tab",
        label="to and fro",
        help="Go from the rungs to what stopped candidates there, and back",
        scope=Scope.WHY,
    ),
    Action(
        id="close_why",
        keys=("escape", "w", "q"),
        shown="esc",
        label="close",
        help="Close the funnel",
        scope=Scope.WHY,
    ),
    Action(
        id="leave",
        keys=("enter",),
        shown="enter",
        label="leave",
        help="Leave it running (the focus starts there; ctrl+q too)",
        scope=Scope.QUIT,
        footer=1,
    ),
    Action(
        id="stop_too",
        keys=("s",),
        shown="s",
        label="stop it too",
        help="Ask the desk to finish what it is doing and stop, then leave",
        scope=Scope.QUIT,
        footer=2,
    ),
    Action(
        id="stay",
        keys=("escape",),
        shown="esc",
        label="go back",
        help="Stay in the console",
        scope=Scope.QUIT,
        footer=3,
    ),
)


def actions_for(scope: Scope) -> tuple[Action, ...]:
    """The actions of one scope, in reading order."""
    return tuple(action for action in REGISTRY if action.scope is scope)


def bindings_for(*scopes: Scope) -> list[BindingType]:
    """Textual's bindings for the scopes; an action whose keys differ in meaning is told the key."""
    return [
        Binding(
            key,
            f"{action.id}('{key}')" if action.id in {"pane", "scroll"} else action.id,
            action.label,
            show=action.footer > 0,
            key_display=action.shown,
            tooltip=action.help,
            id=f"{action.scope.name.lower()}.{action.id}.{key}",
            priority=action.id == "quit",
        )
        for scope in scopes
        for action in actions_for(scope)
        for key in action.keys
    ]


def footer_actions(*scopes: Scope) -> tuple[Action, ...]:
    """What the footer shows, most important first."""
    shown = [action for action in REGISTRY if action.scope in scopes and action.footer]
    return tuple(sorted(shown, key=lambda action: action.footer))


def palette_actions() -> tuple[Action, ...]:
    """What the command palette offers."""
    return tuple(action for action in REGISTRY if action.palette)
