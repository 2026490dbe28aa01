"""The first version of each role's words; later ones live in the database, where these are loaded once.

A file holds the system text and, under a line of three dashes, the template. Neither has placeholders: what
a question is about comes as data (`agents.llm.questions`). `patterns.md` alone is no role's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.records import AgentName

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Words:
    """What a role is told: what it is, and what to do."""

    system: str
    template: str


def first_version(agent: AgentName) -> Words:
    """The words the code brings."""
    return _words(agent.value)


def for_patterns() -> Words:
    """What whoever reads a question about past trades is told: no role's words, so the code's alone."""
    return _words("patterns")


def _words(name: str) -> Words:
    system, _, template = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition("\n---\n")
    return Words(system.strip(), template.strip())
