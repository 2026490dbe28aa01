"""The process that drives the desk: started beside the console, kept alive, let go with the console.

Its standard input is a lifeline: it leaves when it reads the end of it, so also when the console is killed.
Its standard output says in JSON lines what it is doing and then where the desk is.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from textual.message import Message

from app.console.messages import HostDied, HostProgressed, HostReady, HostRefused
from storage.plain import clean

ROOT = Path(__file__).resolve().parents[2]
REFUSED = 2  # exit code of a command that needs the operator to put something right
BACKOFF_S = (0.5, 10.0)
GRACE_S = 3.0


def host_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The inherited environment with the repository's root on the import path."""
    path = [str(ROOT), *filter(None, environ.get("PYTHONPATH", "").split(":"))]
    return {**environ, "PYTHONPATH": ":".join(dict.fromkeys(path))}


def resuming(command: Sequence[str], desk: str) -> list[str]:
    """The command that goes on with a desk: begun anew is only once, and by name from then on."""
    kept = [word for word in command if word != "--fresh"]
    return kept if "--desk" in kept else [*kept, "--desk", desk]


class Host:
    """Starts the host, reads what it says, and starts it again when it dies."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], post: Callable[[Message], bool]
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._post = post
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: deque[str] = deque(maxlen=20)
        self._thread = threading.Thread(target=self._keep, name="desk-host", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The running host's process id."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self, wait_s: float = GRACE_S) -> None:
        """Let go of the lifeline and give the host up to `wait_s`; after that it leaves by itself."""
        self._closing.set()
        with self._lock:
            process = self._process
        if process is None:
            return
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        if wait_s > 0:
            self._thread.join(wait_s)

    def _keep(self) -> None:
        delay = BACKOFF_S[0]
        once_ready = False
        while not self._closing.is_set():
            ready, code = self._run()
            if self._closing.is_set():
                return
            reason = self._last_error() or f"exit code {code}"
            once_ready = once_ready or ready
            if code == REFUSED and not once_ready:  # later it is a fault of the moment, such as the database
                self._post(HostRefused(reason))
                return
            if ready:
                delay = BACKOFF_S[0]
            self._post(HostDied(reason, delay))
            self._closing.wait(delay)
            delay = min(delay * 2, BACKOFF_S[1])

    def _run(self) -> tuple[bool, int]:
        """One life of the host: whether it said where the desk is, and its exit code."""
        self._errors.clear()
        with self._lock:
            if self._closing.is_set():
                return False, 0
            process = self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        assert process.stdout is not None and process.stderr is not None and process.stdin is not None
        errors = threading.Thread(target=self._drain, args=(process.stderr,), daemon=True)
        errors.start()
        ready = False
        for text in process.stdout:
            ready = self._heard(text) or ready
        code = process.wait()
        errors.join(1.0)
        with self._lock:
            for pipe in (process.stdin, process.stdout):
                pipe.close()
        return ready, code

    def _drain(self, stream: IO[str]) -> None:
        """Read standard error to its end, so that the host never blocks on it; the last lines are kept."""
        with stream:
            for text in stream:
                if text.strip():
                    self._errors.append(text.strip())

    def _last_error(self) -> str:
        return clean(self._errors[-1]) if self._errors else ""

    def _heard(self, text: str) -> bool:
        """Pass on one line; True when it says where the desk is."""
        try:
            event = json.loads(text)
        except ValueError:
            self._post(HostProgressed(clean(text).strip()))
            return False
        match event:
            case {"event": "desk", "desk": str(desk), "conninfo": str(conninfo)}:
                self._command = resuming(self._command, desk)
                self._post(HostReady(desk, conninfo))
                return True
            case {"event": "progress", "message": str(note)}:
                self._post(HostProgressed(clean(note)))
            case _:
                self._post(HostProgressed(clean(text).strip()))
        return False
