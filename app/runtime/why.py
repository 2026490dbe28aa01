"""Agents who decide otherwise now, and the funnel of an evening as its digest keeps it."""

from __future__ import annotations

from datetime import date

from agents.drift import DriftReading, DriftRules, read_drift
from storage.funnel import Funnel
from storage.memory import AgentMemory
from storage.models.base import Json


async def drift_readings(memory: AgentMemory, session: date) -> list[DriftReading]:
    """Each agent's mix of answers tonight against its last evenings."""
    rules = DriftRules()
    answers = await memory.answers(session, rules.evenings + rules.sessions)
    return [read_drift(agent, evenings, rules) for agent, evenings in sorted(answers.items())]


def rungs(found: Funnel) -> list[Json]:
    """The funnel as the digest keeps it."""
    return [
        {
            "rung": rung.name.value,
            "in": rung.entered,
            "out": rung.left,
            "denials": [
                {"reason": denial.reason, "count": denial.count, "symbols": list(denial.symbols)}
                for denial in rung.denials
            ],
        }
        for rung in found.rungs
    ]
