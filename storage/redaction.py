"""Text without secrets: for logs and for whatever else outlives the moment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SHORTEST = 6  # characters; a shorter "secret" is a placeholder, and hiding it would blacken every line

_NAMED = re.compile(
    r"(?i)((?:api[-_]?key|x-api-key|token|password|passwd|secret|authorization)[\"']?\s*[=:]\s*"
    r"[\"']?(?:(?:bearer|basic)\s+)?)([^\s\"'&,;)}\]]+)"
)
_IN_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/@:]*):([^\s/]+)@")
_CLAUDE_KEY = re.compile(r"sk-ant-[\w-]+")


class Redaction:
    """Hides the secrets it was given wherever they stand, and what looks like one by its name."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST}
        forms = {form for secret in known for form in (secret, quote(secret, safe=""), quote_plus(secret))}
        ordered = sorted(forms, key=len, reverse=True)  # a secret that holds another goes first
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text with each secret replaced."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _CLAUDE_KEY.sub(HIDDEN, text)
        text = _IN_ADDRESS.sub(rf"\1\2:{HIDDEN}@", text)
        return _NAMED.sub(rf"\1{HIDDEN}", text)

    def value(self, value: object) -> object:
        """The same all through a JSON-like value; what is none is looked at as its text."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(str(value))
