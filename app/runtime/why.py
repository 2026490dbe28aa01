"""Why there was no trade: the funnel of an evening counted from its rows; agents who decide otherwise now."""

from __future__ import annotations

from datetime import date
from typing import cast

from agents.drift import DriftReading, DriftRules, read_drift
from agents.trading.funnel import Answered, Deliberated, Funnel, Ordered, ScreenCounts, funnel
from storage.memory import AgentMemory
from storage.models.base import Json


async def evening_funnel(memory: AgentMemory, session: date) -> Funnel | None:
    """How far everything came that this evening looked at; None when it was not screened."""
    rows = await memory.evening(session)
    if rows is None:
        return None
    figures = rows.screened
    failures = cast("dict[str, int]", figures["failures"])
    return funnel(
        session,
        ScreenCounts(
            universe=int(str(figures["universe"])),
            with_data=int(str(figures["with_data"])),
            passed=int(str(figures["passed"])),
            selected=rows.selected,
            failures=tuple(failures.items()),
        ),
        [Deliberated(row.symbol, row.denied_by) for row in rows.argued],
        [Answered(row.symbol, row.approval) for row in rows.argued if row.approval is not None],
        [
            Ordered(row.symbol, row.order, row.note.split(":")[0] or None)
            for row in rows.argued
            if row.order is not None
        ],
    )


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
