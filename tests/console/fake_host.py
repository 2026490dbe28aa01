"""A host that speaks the console's protocol and drives nothing: `fake_host.py MODE [FILE]`.

`run` says where its desk is and leaves at the end of its standard input; `crash` does so once and dies, and
runs from its second start on (FILE counts the starts); `refuse` cannot start, as after a wrong setting.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def say(**event: str) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(mode: str, file: str = "", *options: str) -> int:
    if mode == "refuse":
        sys.stderr.write("noise\nunknown setting FMP_KEY; the name is FMP_API_KEY\n")
        return 2
    say(event="progress", message="starting the \x1b[31mdatabase")
    say(event="desk", desk="history", conninfo=f"host=/nonexistent port={os.getpid() % 60_000 + 1}")
    if file and not file.startswith("-"):
        starts = Path(file).read_text() if Path(file).exists() else ""
        Path(file).write_text(f"{starts}{os.getpid()}\n")
        if mode == "crash" and not starts:
            sys.stderr.write("Traceback\nRuntimeError: the replay broke\n")
            return 1
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
