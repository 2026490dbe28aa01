"""The signs the console draws with: two sets, so that a terminal without UTF-8 stays legible."""

from __future__ import annotations

import locale
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Glyphs:
    """One set of signs; every state has a word beside its sign, so no meaning hangs on either alone."""

    up: str
    down: str
    flat: str
    cursor: str
    ellipsis: str
    bullet: str
    dash: str
    arrow: str
    held: str
    pending: str
    passed: str
    failed: str
    stale: str
    idle: str
    working: str
    paused: str
    rule: str
    bar_full: str
    bar_empty: str
    spark: str  # lowest to highest


UNICODE = Glyphs(
    up="▲",
    down="▼",
    flat="=",
    cursor="▌",
    ellipsis="…",
    bullet="·",
    dash="–",  # noqa: RUF001
    arrow="→",
    held="●",
    pending="●",
    passed="✓",
    failed="✗",
    stale="~",
    idle="·",
    working="▸",
    paused="║",
    rule="─",
    bar_full="█",
    bar_empty="░",
    spark="▁▂▃▄▅▆▇█",
)
ASCII = Glyphs(
    up="^",
    down="v",
    flat="=",
    cursor=">",
    ellipsis="~",
    bullet="|",
    dash="-",
    arrow="->",
    held="*",
    pending="*",
    passed="+",
    failed="x",
    stale="~",
    idle=".",
    working=">",
    paused="=",
    rule="-",
    bar_full="#",
    bar_empty=".",
    spark="_.-~=*#@",
)


def glyphs_for_locale() -> Glyphs:
    """ASCII unless the locale itself says UTF-8: Python's UTF-8 mode says nothing about the terminal."""
    return UNICODE if locale.getencoding().lower().replace("-", "") == "utf8" else ASCII
