"""What the operator reads back: each in a thread, with a connection of its own, answered to who asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.message import Message

from app.console.commands import Commands, command_refused
from app.console.feed import DeskPort, first_line
from app.console.host import ROOT, host_environment
from app.console.messages import (
    BenchmarksRead,
    CommandTaken,
    CurveRead,
    DigestRead,
    ExchangesRead,
    FindingRow,
    PastRead,
    PatternsRead,
    ReplayRead,
)
from app.console.patterns import PatternTold

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from storage.curve import Curve
    from storage.digest import StoredDigest
    from storage.exchanges import Exchange
    from storage.history import Past, PastDecision
    from storage.records import CommandReceipt, Operator

Post = Callable[[Message], object]

COMMAND = (sys.executable, "-P", "-m", "app.cli")
PATIENCE_S = 60.0


class Readings(Commands):
    """The commands, and what is read back; `post` of each is the screen's that asked."""

    def read_past(self, post: Post, session: date | None, needle: str) -> None:
        """An evening's decisions."""
        self._run(lambda: self._read_past(post, session, needle))

    def read_words(self, post: Post, decision: PastDecision) -> None:
        """The calls to models behind a decision."""
        self._run(lambda: self._read_words(post, decision))

    def replay(self, post: Post, desk: str, decision: PastDecision) -> None:
        """Decide again. It needs the agents' code, which a console never loads: the command does it."""
        self._run(lambda: self._replay(post, desk, decision))

    def read_curve(self, post: Post) -> None:
        """The account close by close."""
        self._run(lambda: self._read_curve(post))

    def read_benchmarks(self, post: Post, desk: str) -> None:
        """What the same money could have bought, as `quorum performance` reckons it."""
        self._run(lambda: self._read_benchmarks(post, desk))

    def read_patterns(self, post: Post, desk: str, words: str) -> None:
        """What past trades of a kind came to. Grammar and statistics are the agents': the command does it."""
        self._run(lambda: self._read_patterns(post, desk, words))

    def read_digest(self, post: Post) -> None:
        """The last digest."""
        self._run(lambda: self._read_digest(post))

    def write_note(self, position_id: UUID, text: str) -> None:
        """Keep a note on a trade; words that begin with + or - are tags."""
        self._run(lambda: self._write_note(position_id, text))

    def _read_past(self, post: Post, session: date | None, needle: str) -> None:
        said = Refusal()
        found: Past | None = self._ask(lambda desk, _: desk.past(session, needle), said.note)
        post(PastRead(found, needle, said.problem))

    def _read_words(self, post: Post, decision: PastDecision) -> None:
        said = Refusal()

        def refused(message: str) -> tuple[Exchange, ...]:
            said.note(message)
            return ()

        calls = self._ask(lambda desk, _: desk.words(decision.id), refused)
        post(ExchangesRead(decision.symbol, calls, said.problem))

    def _read_curve(self, post: Post) -> None:
        said = Refusal()
        found: Curve | None = self._ask(lambda desk, _: desk.curve(), said.note)
        post(CurveRead(found, said.problem))

    def _read_digest(self, post: Post) -> None:
        said = Refusal()
        found: StoredDigest | None = self._ask(lambda desk, _: desk.digest(), said.note)
        post(DigestRead(found, said.problem))

    def _write_note(self, position_id: UUID, text: str) -> None:
        def tell(desk: DeskPort, operator: Operator) -> CommandReceipt:
            return desk.note(position_id, text, operator=operator)

        self._post(CommandTaken("note", self._ask(tell, command_refused)))

    def _replay(self, post: Post, desk: str, decision: PastDecision) -> None:
        words = ["history", "--desk", desk, "--session", str(decision.session), "--symbol", decision.symbol]
        told, problem = _command([*words, "--replay"])
        decisions: list[dict[str, Any]] = told.get("decisions", [])
        found: dict[str, Any] = decisions[0].get("replay", {}) if decisions else {}
        findings = tuple(
            FindingRow(
                part=str(row["part"]),
                then=str(row["then"]),
                now=str(row["now"]),
                sameness=str(row["sameness"]),
                note=str(row["note"]),
            )
            for row in found.get("findings", [])
        )
        post(ReplayRead(decision.id, str(found.get("sentence", "")), findings, problem))

    def _read_patterns(self, post: Post, desk: str, words: str) -> None:
        told, problem = _command(["patterns", "--desk", desk], typed=words)
        try:
            post(PatternsRead(words, None if problem else PatternTold.of(told), problem))
        except (KeyError, TypeError, ValueError) as error:
            post(PatternsRead(words, None, f"the command answered with something else: {first_line(error)}"))

    def _read_benchmarks(self, post: Post, desk: str) -> None:
        told, problem = _command(["performance", "--desk", desk])
        rows = tuple(
            (str(row["name"]), float(row["total_return"]), str(row["label"]))
            for row in told.get("benchmarks", [])
        )
        post(BenchmarksRead(rows, tuple(map(str, told.get("unknown", []))), problem))


class Refusal:
    """Why something could not be read."""

    def __init__(self) -> None:
        self.problem = ""

    def note(self, message: str) -> None:
        self.problem = message


def _command(words: list[str], *, typed: str | None = None) -> tuple[dict[str, Any], str]:
    """What a command answers as JSON, or why it does not; it inherits where this console's desk is.

    What an operator `typed` is its last word, and never an option.
    """
    last = [] if typed is None else ["--", typed]
    try:
        done = subprocess.run(
            [*COMMAND, *words, "--json", *last],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=ROOT,
            env=host_environment(os.environ),
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return {}, said[-1].removeprefix("quorum: ") if said else f"exit code {done.returncode}"
        told = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return {}, first_line(error)
    return (told, "") if isinstance(told, dict) else ({}, "the command answered with no object")
