"""Becoming the console: nothing of the command line is imported for it that it would not need."""

from __future__ import annotations

import os
import sys

from app.commands.replay_order import ReplayOrder


def open_console(order: ReplayOrder) -> None:
    """Replace this process by a console whose host carries out the order."""
    given = {
        "--history": order.history,
        "--from": order.first,
        "--to": order.last,
        "--desk": order.desk,
        "--verdicts": order.verdicts,
        "--speed": order.speed,
        "--ask-timeout": order.ask_timeout_s,
        "--loop": "on" if order.loop else None,
    }
    arguments = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    exec_console([*arguments, *(["--fresh"] if order.fresh else [])])


def exec_console(arguments: list[str]) -> None:
    """Replace this process by the console, so that nothing of the command line stays in its memory."""
    os.execv(sys.executable, [sys.executable, "-I", "-m", "app.console", *arguments])
