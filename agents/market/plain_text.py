"""Pages and articles of strangers as plain text."""

from __future__ import annotations

import html
import re

from storage.plain import clean

MOST_MARKUP = 50_000  # characters of one article that are ever looked at

_HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*(?:>|$)")
_BLANKS = re.compile(r"\s+")


def plain_text(markup: str, longest: int) -> str:
    """HTML as one line of text: no tags, scripts, comments, control or invisible characters.

    What is left of a tag that was written to survive this is only text: nobody reads it as markup.
    """
    text = _TAG.sub(" ", _HIDDEN.sub(" ", markup[:MOST_MARKUP]))
    line = _BLANKS.sub(" ", clean(_BLANKS.sub(" ", html.unescape(text)).strip())).strip()
    return line if len(line) <= longest else line[: longest - 3] + "..."
