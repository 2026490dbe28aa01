"""The console's colours: a calm dark set, and a blue and orange one that colour-blind eyes tell apart."""

from __future__ import annotations

from textual.theme import Theme

STANDARD = Theme(
    name="quorum",
    primary="#5b9bd5",
    secondary="#8aa4bf",
    accent="#e0b050",
    success="#5fb97a",
    warning="#e0a040",
    error="#e06c6c",
    foreground="#c9d1d9",
    background="#0f1419",
    surface="#131a21",
    panel="#26313c",
    dark=True,
)
BLUE_ORANGE = Theme(
    name="quorum-blue-orange",
    primary="#56b4e9",
    secondary="#9fb6c8",
    accent="#f0e442",
    success="#56b4e9",
    warning="#f0e442",
    error="#ff9d2e",
    foreground="#d5dbe1",
    background="#0f1419",
    surface="#131a21",
    panel="#26313c",
    dark=True,
)
THEMES = (STANDARD, BLUE_ORANGE)
