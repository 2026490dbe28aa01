"""What a host says to its console: JSON lines on standard output."""

from __future__ import annotations

import json
import sys


def say(event: str, **facts: str) -> None:
    """One line to the console; a console that is gone is noticed by its end of our input, not here."""
    try:
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return
