"""Financial Modeling Prep on loopback: its plans, quota, words of refusal, and faults on request.

`with FmpStandIn(...) as vendor:` serves from a thread; `python -m tests.standins.fmp --port N` as a process,
whose clock, faults, splits and counts are reached under /_standin/. Public files lie under /public/.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from agents.market.fmp.free_plan import FREE_INDICES, FREE_SYMBOLS
from tests.standins import fmp_data
from tests.standins import fmp_words as words
from tests.standins.fmp_words import Fault, FaultKind, Reply
from tests.standins.market import StandInMarket

STATEMENTS = frozenset({"key-metrics", "ratios", "income-statement"})
OF_A_SYMBOL = STATEMENTS | {
    "quote",
    "aftermarket-quote",
    "historical-price-eod/full",
    "historical-price-eod/light",
    "profile",
    "key-metrics-ttm",
    "ratios-ttm",
    "earnings",
    "dividends",
    "splits",
}
FREE_FOR_ALL = frozenset(
    {
        "fmp-articles",
        "biggest-gainers",
        "biggest-losers",
        "most-actives",
        "sector-performance-snapshot",
        "search-symbol",
        "search-name",
    }
)
PAID = frozenset({"company-screener", "news/stock", "batch-quote", "stock-list"})


@dataclass(frozen=True, kw_only=True)
class Served:
    """One request as it was answered."""

    at: datetime
    endpoint: str
    params: dict[str, str]
    status: int

    @property
    def symbol(self) -> str | None:
        return self.params.get("symbol") or self.params.get("symbols")


class FmpStandIn:
    """The vendor as a server on loopback. Attributes may be changed while it serves.

    `calls_a_day` within a day that begins at `reset_hour` UTC, `bytes_in_30_days` of bodies; every call with
    a good key counts, refused ones too. `allowed` are the plan's symbols, None for all and all endpoints.
    """

    def __init__(
        self,
        *,
        key: str = "standin-key",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        calls_a_day: int = 250,
        bytes_in_30_days: int = 500_000_000,
        reset_hour: int = 0,
        allowed: frozenset[str] | None = frozenset((*FREE_SYMBOLS, *FREE_INDICES)),
        market: StandInMarket | None = None,
        port: int = 0,
    ) -> None:
        self.key = key
        self.now = now
        self.calls_a_day = calls_a_day
        self.bytes_in_30_days = bytes_in_30_days
        self.reset_hour = reset_hour
        self.allowed = allowed
        self.market = market or StandInMarket()
        self.faults: list[Fault] = []
        self.served: list[Served] = []
        self.slow_s = 5.0
        self.redirect_to = "http://127.0.0.1:9/elsewhere"
        self._sizes: list[tuple[datetime, int]] = []
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        """What FMP_BASE_URL is set to."""
        return f"{self.root}/stable"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def calls_today(self) -> int:
        """Calls since the last reset that were counted."""
        now = self.now()
        reset = now.replace(hour=self.reset_hour, minute=0, second=0, microsecond=0)
        since = reset if reset <= now else reset - timedelta(days=1)
        return sum(call.at >= since and call.status not in (401, 429) for call in self.served)

    def bytes_served(self) -> int:
        """Bytes of bodies in the trailing 30 days."""
        since = self.now() - timedelta(days=30)
        return sum(size for at, size in self._sizes if at > since)

    def reply(self, path: str, params: dict[str, str], key: str | None) -> Reply:
        """The answer to one request, counted."""
        with self._lock:
            endpoint = path.removeprefix("/stable/")
            reply = self._judged(path, endpoint, params, key)
            self.served.append(Served(at=self.now(), endpoint=endpoint, params=params, status=reply.status))
            self._sizes.append((self.now(), len(reply.body)))
        return reply

    def _judged(self, path: str, endpoint: str, params: dict[str, str], key: str | None) -> Reply:
        if path.startswith("/api/"):
            return words.error(403, words.LEGACY)
        if key != self.key:
            return words.error(401, words.WRONG_KEY)
        if self.calls_today() >= self.calls_a_day:
            return words.error(429, words.DAILY_LIMIT)
        if self.bytes_served() >= self.bytes_in_30_days:
            return words.error(429, words.BANDWIDTH_LIMIT)
        fault = self._next_fault(endpoint, params)
        if fault is not None:
            return self._spoiled(fault, endpoint, params)
        return self._planned(endpoint, params)

    def _planned(self, endpoint: str, params: dict[str, str]) -> Reply:
        """The plan's word first, then the data."""
        if endpoint not in OF_A_SYMBOL | FREE_FOR_ALL | PAID:
            return words.rows([], 404)
        symbol = params.get("symbol", "AAPL")
        if self.allowed is not None:
            if endpoint in PAID:
                return words.text(402, words.RESTRICTED)
            if endpoint in OF_A_SYMBOL - {"profile"} and symbol not in self.allowed:
                return words.text(402, words.value_set("symbol"))
            if endpoint in STATEMENTS and int(params.get("limit", "5")) > 5:
                return words.text(402, words.LIMIT_OVER_5)
            if endpoint in STATEMENTS and params.get("period") == "quarter":
                return words.text(402, words.value_set("period"))
        return words.rows(fmp_data.rows(self.market, endpoint, symbol, params, self.now()))

    def _next_fault(self, endpoint: str, params: dict[str, str]) -> Fault | None:
        for fault in self.faults:
            if fault.endpoint in (None, endpoint) and fault.symbol in (None, params.get("symbol")):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _spoiled(self, fault: Fault, endpoint: str, params: dict[str, str]) -> Reply:
        match fault.kind:
            case FaultKind.DAILY_LIMIT:
                return words.error(429, words.DAILY_LIMIT)
            case FaultKind.BANDWIDTH_LIMIT:
                return words.error(429, words.BANDWIDTH_LIMIT)
            case FaultKind.SERVER_ERROR:
                return Reply(status=500, body=words.HTML.encode(), kind="text/html")
            case FaultKind.BAD_GATEWAY:
                return Reply(status=502, body=words.HTML.encode(), kind="text/html")
            case FaultKind.HTML_200:
                return Reply(status=200, body=words.HTML.encode(), kind="text/html")
            case FaultKind.ERROR_200:
                return words.error(200, words.DAILY_LIMIT)
            case FaultKind.EMPTY_200:
                return Reply(status=200, body=b" \n")
            case FaultKind.EMPTY_ROWS:
                return words.rows([])
            case FaultKind.REDIRECT:
                return Reply(status=302, body=b"", headers={"Location": self.redirect_to})
        whole = self._planned(endpoint, params)
        if fault.kind is FaultKind.SLOW:
            return replace(whole, delay_s=self.slow_s)
        if fault.kind is FaultKind.CUT:
            return Reply(status=200, body=whole.body, cut=True)
        if fault.kind is FaultKind.TRUNCATED:
            return Reply(status=200, body=whole.body[: len(whole.body) // 2])
        return words.rows([words.spoil(row, fault.kind) for row in json.loads(whole.body)])

    def control(self, path: str, body: bytes) -> Reply:
        """What a process of its own is told and asked over HTTP."""
        told = json.loads(body or b"null")
        if path == "/_standin/faults":
            self.faults.extend(Fault(**{**one, "kind": FaultKind(one["kind"])}) for one in told)
        elif path == "/_standin/clock":
            self.now = scaled(datetime.fromisoformat(told["now"]), float(told.get("speed", 1)))
        elif path == "/_standin/splits":
            for one in told:
                ex_date = datetime.fromisoformat(one["ex_date"]).date()
                self.market.splits.setdefault(one["symbol"], []).append((ex_date, float(one["ratio"])))
        counts: dict[str, int] = {}
        for call in self.served:
            counts[f"{call.endpoint} {call.status}"] = counts.get(f"{call.endpoint} {call.status}", 0) + 1
        state = {
            "now": self.now().isoformat(),
            "today": self.calls_today(),
            "total": len(self.served),
            "bytes": self.bytes_served(),
            "by_endpoint": counts,
        }
        return Reply(status=200, body=json.dumps(state).encode())


def scaled(start: datetime, speed: float) -> Callable[[], datetime]:
    """A clock that shows `start` now and runs `speed` times as fast."""
    anchor = time.monotonic()
    return lambda: start + timedelta(seconds=(time.monotonic() - anchor) * speed)


def _handler(vendor: FmpStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every answer waits 40 ms for the client's acknowledgement

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            params = dict(parse_qsl(url.query, keep_blank_values=True))
            if url.path.startswith("/_standin/"):
                self._send(vendor.control(url.path, b""))
            elif url.path.startswith("/public/"):
                kind, text = fmp_data.public_file(vendor.market, url.path, vendor.now())
                self._send(Reply(status=200 if text else 404, body=text.encode(), kind=kind))
            else:
                self._send(vendor.reply(url.path, params, self.headers.get("apikey", params.get("apikey"))))

        def do_POST(self) -> None:
            self._send(vendor.control(self.path, self.rfile.read(int(self.headers["Content-Length"]))))

        def _send(self, reply: Reply) -> None:
            vendor.stopped.wait(reply.delay_s)
            body = reply.body
            etag = f'W/"{len(body):x}-{b64encode(hashlib.sha1(body).digest()).decode()[:27]}"'
            status = reply.status
            if status == 200 and self.headers.get("If-None-Match") == etag:
                status, body = 304, b""
            packed = bool(body) and "gzip" in self.headers.get("Accept-Encoding", "")
            if packed:
                body = gzip.compress(body, 5)
            self.send_response(status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Etag", etag)
            self.send_header("Content-Length", str(len(body)))
            if packed:
                self.send_header("Content-Encoding", "gzip")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.cut:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the client has hung up, which is its right
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: what was served is in `served`."""

    return Handler


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Financial Modeling Prep on loopback, for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="standin-key")
    parser.add_argument("--start", type=datetime.fromisoformat, help="what its clock shows, with a zone")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast its clock runs")
    parser.add_argument("--calls", type=int, default=250, help="calls a day")
    told = parser.parse_args()
    now = scaled(told.start or datetime.now(UTC), told.speed)
    with FmpStandIn(key=told.key, now=now, calls_a_day=told.calls, port=told.port) as vendor:
        sys.stdout.write(f"{vendor.base_url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
