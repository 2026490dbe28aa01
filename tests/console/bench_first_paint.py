"""How long `./quorum` takes to its first frame beside a bare Textual app.

Run `python -m tests.console.bench_first_paint`. A benchmark, not a test: both are started as processes in a
pseudo-terminal of 120x40, in turns, and timed from the start of the process until their first frame is on the
terminal. The gate is a ratio of 1.5.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from select import select
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 11
GATE = 1.5
BARE = """
from textual.app import App
from textual.widgets import DataTable, Footer, Header, Input

class Bare(App):
    def compose(self):
        yield Header()
        yield DataTable()
        yield Input(placeholder="FIRST-FRAME")
        yield Footer()

Bare().run()
"""


def first_frame(command: list[str], mark: bytes) -> float:
    """Seconds from the start of the process until `mark` is on its terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_RUNTIME_DIR": "/tmp"}
    began = perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    seen = b""
    try:
        while mark not in seen:
            if not select([master], [], [], 20)[0]:
                raise TimeoutError(f"{mark!r} not seen in {seen[-500:]!r}")
            seen += os.read(master, 65_536)
        return perf_counter() - began
    finally:
        process.kill()
        process.wait()
        os.close(master)


def main() -> None:
    bare_times: list[float] = []
    console_times: list[float] = []
    for _ in range(ROUNDS):
        bare_times.append(first_frame([sys.executable, "-c", BARE], b"FIRST-FRAME"))
        console_times.append(first_frame([str(ROOT / "quorum")], b"QUORUM"))
    bare, console = median(bare_times), median(console_times)
    verdict = "within" if console <= GATE * bare else "OVER"
    sys.stdout.write(
        f"bare {bare * 1000:.0f} ms, console {console * 1000:.0f} ms, "
        f"ratio {console / bare:.2f}, {verdict} the gate of {GATE}\n"
    )


if __name__ == "__main__":
    main()
