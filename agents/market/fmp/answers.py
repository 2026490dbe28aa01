"""What an answer is: rows, or one of the vendor's ways to refuse, told apart by its words.

The status alone decides nothing that the words can: three refusals share 402, two share 429, and errors have
been seen with 200. Words of a page of HTML are nobody's: it comes from a machine in between.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from storage.calls import CallFault
from storage.plain import shortened

NOTE_LENGTH = 160  # characters of the vendor's own words that are kept
MOST_WORDS = 4_000  # characters of a refusal that are looked at
MESSAGE_KEYS = ("Error Message", "error", "message")

_BLANKS = re.compile(r"\s+")
_HTML = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_VALUE_SET = re.compile(r"value set for '([a-z_]{1,30})'")
# In this order: "special endpoint" also stands in the refusal of a symbol, "limit reach" in bandwidth's.
_PHRASES: tuple[tuple[re.Pattern[str], CallFault], ...] = (
    (re.compile("legacy endpoint"), CallFault.LEGACY_ENDPOINT),
    (re.compile("account suspended"), CallFault.SUSPENDED),
    (
        re.compile("(?:restricted|exclusive|special) endpoint ?: ?this endpoint|exclusive endpoint"),
        CallFault.ENDPOINT_NOT_IN_PLAN,
    ),
    (re.compile("values for 'limit'"), CallFault.PARAMETER_NOT_IN_PLAN),
    (_VALUE_SET, CallFault.PARAMETER_NOT_IN_PLAN),
    (re.compile("bandwidth limit"), CallFault.BANDWIDTH_LIMIT),
    (re.compile("limit reach"), CallFault.DAILY_LIMIT),
    (re.compile("invalid api key"), CallFault.INVALID_KEY),
    (re.compile("invalid or missing query parameter"), CallFault.BAD_REQUEST),
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """No rows: which fault, the beginning of the words, and the parameter they name."""

    fault: CallFault
    note: str
    parameter: str | None = None


def read_answer(status: int, body: bytes, *, of_symbol: bool) -> list[object] | Refusal:
    """The rows of an answer, or why there are none; any status and any bytes give one of the two.

    `of_symbol` says that the call was about one symbol: a payment demanded in unknown words then concerns
    that symbol only, the smaller of the two consequences.
    """
    text = body.decode("utf-8", errors="replace")
    value = _parsed(text)
    if isinstance(value, list) and status == 200:
        return value
    words = _words(value, text)
    if words is not None:
        plain = _BLANKS.sub(" ", words).lower()
        for phrase, fault in _PHRASES:
            found = phrase.search(plain)
            if found:
                return _refusal(fault, found, words)
    return Refusal(fault=_by_status(status, text, of_symbol=of_symbol), note=_note(words, text))


class _NotJson:
    """Stands for a text that is no JSON value."""


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NotJson()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _words(value: object, text: str) -> str | None:
    """What the vendor says in place of rows; None for rows, for HTML and for an object without a message."""
    if isinstance(value, dict):
        for key in MESSAGE_KEYS:
            said = value.get(key)
            if isinstance(said, str):
                return said[:MOST_WORDS]
        return None
    if isinstance(value, str):
        return value[:MOST_WORDS]
    if (
        isinstance(value, _NotJson)
        and text.strip()
        and not _HTML.match(text)
        and text.lstrip()[0] not in "[{"
    ):
        return text[:MOST_WORDS]
    return None


def _refusal(fault: CallFault, found: re.Match[str], words: str) -> Refusal:
    parameter = None
    if found.re is _VALUE_SET:
        parameter = found.group(1)
        if parameter in ("symbol", "symbols"):
            fault = CallFault.SYMBOL_NOT_IN_PLAN
    elif fault is CallFault.PARAMETER_NOT_IN_PLAN:
        parameter = "limit"
    return Refusal(fault=fault, note=_note(words, words), parameter=parameter)


def _by_status(status: int, text: str, *, of_symbol: bool) -> CallFault:
    """The fault of an answer whose words say nothing."""
    if status == 401:
        return CallFault.INVALID_KEY
    if status == 429:
        return CallFault.DAILY_LIMIT  # the stricter of the two: never tried again at once
    if status >= 500 or status == 408 or _HTML.match(text):
        return CallFault.UNAVAILABLE
    if status == 402:
        return CallFault.SYMBOL_NOT_IN_PLAN if of_symbol else CallFault.ENDPOINT_NOT_IN_PLAN
    if status == 404:
        return CallFault.NOT_FOUND
    if status in (400, 405, 414):
        return CallFault.BAD_REQUEST
    return CallFault.GARBLED


def _note(words: str | None, text: str) -> str:
    if words is not None:
        return shortened(words, NOTE_LENGTH) or "nothing readable"
    if not text.strip():
        return "an empty answer"
    if _HTML.match(text):
        return "a page of HTML"
    return "no rows: " + shortened(text.strip(), 60)
