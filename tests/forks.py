"""Processes of their own, quickly: forks of this one, whose imports would take a new one two seconds.

What reaches a shell, and what a process does at its start, is for tests that start a new interpreter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from tempfile import TemporaryFile
from typing import ParamSpec

from app import cli

PATIENCE_S = 60.0
FORK = get_context("fork")
P = ParamSpec("P")


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def forked(work: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> ForkProcess:
    """Start `work` in a process of its own."""
    process = FORK.Process(target=work, args=arguments, kwargs=named)
    process.start()
    return process


def ended(process: ForkProcess, patience_s: float = PATIENCE_S) -> int:
    """Wait for its end; the exit code, below zero for the signal that killed it."""
    process.join(patience_s)
    if process.exitcode is None:
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def command(environment: Mapping[str, str], *arguments: str) -> Said:
    """`quorum` with these arguments, with signals, logs and an environment of its own."""
    with TemporaryFile() as out, TemporaryFile() as err:
        code = ended(forked(_quorum, environment, arguments, out.fileno(), err.fileno()))
        for file in (out, err):
            file.seek(0)
        return Said(code, out.read().decode(), err.read().decode())


def become(environment: Mapping[str, str], out: int, err: int) -> None:
    """In a fork: give this process an environment and streams of its own."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(environment)


def _quorum(environment: Mapping[str, str], arguments: tuple[str, ...], out: int, err: int) -> None:
    become(environment, out, err)
    sys.argv = ["quorum", *arguments]
    sys.exit(cli.main())
