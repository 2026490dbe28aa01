"""A host that speaks the console's protocol and drives nothing: `fake_host.py MODE [FILE]`.

`run` says where its desk is and leaves at the end of its standard input; `crash` does so once and dies, and
runs from its second start on (FILE counts the starts); `refuse` cannot start, as after a wrong setting;
`refuse-later` crashes, then cannot start, then runs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def say(**event: str) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def count_start(file: str) -> int:
    """Add this start to FILE, a process id a line; how many there were before."""
    if not file or file.startswith("-"):
        return 0
    before = Path(file).read_text() if Path(file).exists() else ""
    Path(file).write_text(f"{before}{os.getpid()}\n")
    return before.count("\n")


def main(mode: str, file: str = "", *options: str) -> int:
    starts = count_start(file)
    if mode == "refuse" or (mode == "refuse-later" and starts == 1):
        sys.stderr.write("noise\nunknown setting FMP_KEY; the name is FMP_API_KEY\n")
        return 2
    say(event="progress", message="starting the \x1b[31mdatabase")
    say(event="desk", desk="history", conninfo=f"host=/nonexistent port={os.getpid() % 60_000 + 1}")
    if mode in ("crash", "refuse-later") and starts == 0:
        sys.stderr.write("Traceback\nRuntimeError: the replay broke\n")
        return 1
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
