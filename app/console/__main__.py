"""`python -m app.console [ARGUMENTS OF THE HOST]`: the console beside a host that it starts.

What stands before `import textual` is kept small on purpose: the screen paints first.
"""

from __future__ import annotations

import os
import sys
import warnings

# textual asks platformdirs for a folder it does not use; without XDG_RUNTIME_DIR that warns onto the screen.
warnings.filterwarnings("ignore", message=".*XDG_RUNTIME_DIR.*", category=RuntimeWarning)

import select  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from types import FrameType  # noqa: E402

from app.console.app import ConsoleApp, HostPort, Post  # noqa: E402
from app.console.host import GRACE_S, REFUSED, Host, host_environment  # noqa: E402
from app.operator import this_operator  # noqa: E402

DEADLINE_S = 2.0
WATCH_MS = 60_000
HOST_COMMAND = (sys.executable, "-P", "-m", "app.cli", "host")


class Leaving:
    """Ends the app when the terminal or the system asks for it, with a deadline the app cannot overrun."""

    def __init__(self, app: ConsoleApp) -> None:
        self.signal = 0
        self._app = app
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, self._leave)
        threading.Thread(target=self._watch_terminal, name="terminal", daemon=True).start()

    def _watch_terminal(self) -> None:
        """Notice a terminal that is gone without a SIGHUP to us: Textual would spin on it for ever."""
        terminal = select.poll()
        terminal.register(sys.stdin.fileno(), 0)  # a hang-up is reported without being asked for
        while not terminal.poll(WATCH_MS):
            continue
        os.kill(os.getpid(), signal.SIGHUP)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            return
        self.signal = number
        # A terminal that is gone can block the app's writer for ever: this thread needs no terminal.
        timer = threading.Timer(DEADLINE_S, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()
        self._app.leave()


def main(arguments: Sequence[str], command: Sequence[str] = HOST_COMMAND) -> int:
    """Run the console beside a host; the exit code is 0, 2 if the host refused to work, or 128 + a signal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # Textual reads the one and draws on the other
        sys.stderr.write("quorum: the console needs a terminal; without one use `quorum replay --headless`\n")
        return REFUSED

    def host(post: Post) -> HostPort:
        return Host([*command, *arguments], host_environment(os.environ), post)

    app = ConsoleApp(operator=this_operator, host=host)
    leaving = Leaving(app)
    app.run()
    if leaving.signal:
        app.host.close(wait_s=0)
        return 128 + leaving.signal
    if app.refusal:
        sys.stderr.write(f"{app.refusal}\n")
        return app.return_code or 0
    if app.return_code == 0:
        sys.stdout.write(f"{app.parting}\n")
        sys.stdout.flush()
    app.host.close(wait_s=GRACE_S)
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
