"""What `quorum doctor` says of each thing it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    OK = "ok"
    WARNING = "warning"  # the desk works without it
    FAILED = "FAILED"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at. What is not OK has a remedy."""

    what: str
    finding: Finding
    text: str
    remedy: str = ""
