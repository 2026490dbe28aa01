"""The first version of each role's words; later ones live in the database, where these are loaded once.

A file holds the system text and, under a line of three dashes, the template. Neither has placeholders: what
a question is about comes as data (`agents.llm.questions`).
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
    system, _, template = (FOLDER / f"{agent.value}.md").read_text(encoding="utf-8").partition("\n---\n")
    return Words(system.strip(), template.strip())
