"""The one registry of what an operator can do: bindings, footer, help and palette are all read from here."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from app.console.action import Action, Scope
from app.console.registry import ON_THE_DESK
from app.console.registry_changes import CHANGES
from app.console.registry_dialogs import IN_DIALOGS
from app.console.registry_reading import READING

__all__ = ["REGISTRY", "Action", "Scope", "actions_for", "bindings_for", "footer_actions", "palette_actions"]

REGISTRY: tuple[Action, ...] = (*ON_THE_DESK, *READING, *IN_DIALOGS, *CHANGES)


# Taken before whatever has the focus sees the key: a list has its own use for home and end.
FIRST = frozenset({"quit", "first_evening", "last_evening"})


def actions_for(scope: Scope) -> tuple[Action, ...]:
    """The actions of one scope, in reading order."""
    return tuple(action for action in REGISTRY if action.scope is scope)


def bindings_for(*scopes: Scope) -> list[BindingType]:
    """Textual's bindings for the scopes; an action whose keys differ in meaning is told the key."""
    return [
        Binding(
            key,
            f"{action.id}('{key}')" if action.id in {"pane", "scroll", "reject_for"} else action.id,
            action.label,
            show=action.footer > 0,
            key_display=action.shown,
            tooltip=action.help,
            id=f"{action.scope.name.lower()}.{action.id}.{key}",
            priority=action.id in FIRST,
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
