"""A receiver of notifications on this machine, as Apprise's json:// addresses speak to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Letter:
    title: str
    message: str
    type: str


@dataclass
class Letterbox:
    """What arrived; while `status` is not 200 it takes nothing."""

    port: int = 0
    status: int = 200
    letters: list[Letter] = field(default_factory=list)
    refused: int = 0

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/desk"


@contextmanager
def letterbox() -> Iterator[Letterbox]:
    """A receiver for as long as the context lasts."""
    box = Letterbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if box.status == 200:
                box.letters.append(Letter(body["title"], body["message"], body["type"]))
            else:
                box.refused += 1
            self.send_response(box.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the test reads the letters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
