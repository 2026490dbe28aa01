"""What an action is: something the operator can do by key, from the palette, or both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Where an action applies; the values are the headings of the help screen."""

    APP = "Everywhere"
    DESK = "On the desk"
    LIST = "In a list or a text"
    TABLE = "On a row"
    REVIEW = "In the review of an approval"
    CHANGE = "In the review of a proposed change"
    WHY = "In the funnel of an evening"
    EXCHANGE = "In the prompts and answers of a decision"
    HISTORY = "In the history of decisions"
    READING = "On the equity and the digest"
    PATTERNS = "When asking about past trades"
    NOTE = "When writing about a trade"
    HALT = "When halting a desk"
    POSITION = "When selling by hand or moving a stop"
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
