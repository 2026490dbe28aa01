"""Where the loop's evidence comes from: a port, and its first form over a history of bars."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from agents.learning.runs import Simulator
from agents.learning.simulation import History, HistorySimulator

MOST_SESSIONS = 1260  # five years: what is older says little, and costs a night as much
LEAST_SESSIONS = 20


class EvidenceSource(Protocol):
    """Whoever can run rules over the desk's past: by its own functions, or a faster kernel that agrees."""

    def past(self, last: date) -> Simulator | None:
        """Everything up to the close of `last` that evidence may rest on; None where there is too little."""

    def since(self, first: date, last: date) -> Simulator:
        """The sessions from first to last, both included. ValueError where there are none."""


class HistoryEvidence:
    """Rules over a history by the very functions the desk trades by. Keeps what is known of its sessions."""

    def __init__(self, history: History, first: date) -> None:
        """`first` is the first session that may be decided on: a year of bars lies before it."""
        self._history = history
        self._first = first
        self._known: HistorySimulator | None = None

    def past(self, last: date) -> Simulator | None:
        sessions = self._history.sessions(self._first, last)[-MOST_SESSIONS:]
        if len(sessions) < LEAST_SESSIONS:
            return None
        return self.since(sessions[0], last)

    def since(self, first: date, last: date) -> Simulator:
        simulator = (
            HistorySimulator(self._history, first, last)
            if self._known is None
            else self._known.over(first, last)
        )
        self._known = simulator
        return simulator
