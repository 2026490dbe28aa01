"""One request over HTTP: the key in a header alone, no redirect followed, bounded in time and size."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from agents.market.fmp.config import FMPConfig
from storage.errors import OperatorError

# At its finest httpcore writes down the headers of every answer, and an answer may repeat the key.
logging.getLogger("httpcore").setLevel(logging.INFO)

HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "quorum"}


@dataclass(frozen=True, kw_only=True)
class Received:
    """An answer: its status, its body unpacked, and how many bytes came over the wire."""

    status: int
    body: bytes
    wire_bytes: int


class NoAnswer(Exception):
    """Nothing usable came: what happened, and how many bytes did come."""

    def __init__(self, why: str, wire_bytes: int = 0) -> None:
        super().__init__(why)
        self.wire_bytes = wire_bytes


class AnswerTooLong(NoAnswer):
    """More bytes than an answer may have."""


class _KeyHeader(httpx.Auth):
    """Adds the key as the request leaves, so that no client, request builder or repr holds it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["apikey"] = self._key.get_secret_value()
        yield request


class Wire:
    """The connection to the vendor. Close it, or use it as an async context."""

    def __init__(self, config: FMPConfig, key: SecretStr) -> None:
        """Raises OperatorError for a key that no header can carry."""
        secret = key.get_secret_value()
        if not secret or not all("!" <= letter <= "~" for letter in secret):
            raise OperatorError("FMP_API_KEY is no key", "copy it anew from the vendor's dashboard")
        self._config = config
        self._key = key
        # The environment is not read: a proxy or a .netrc there would see or change what carries the key.
        self._http = httpx.AsyncClient(
            auth=_KeyHeader(key), headers=HEADERS, timeout=None, follow_redirects=False, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, endpoint: str, params: dict[str, str]) -> Received:
        """The answer, whatever its status. Raises NoAnswer; its text never holds the key."""
        received = bytearray()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                async with self._http.stream(
                    "GET", f"{self._config.base_url}/{endpoint}", params=params
                ) as response:
                    async for chunk in response.aiter_raw():
                        received += chunk
                        if len(received) > self._config.max_bytes:
                            raise AnswerTooLong("an answer that does not end", len(received))
        except TimeoutError:
            raise NoAnswer(f"nothing whole within {self._config.timeout_s:g} s", len(received)) from None
        except httpx.HTTPError as error:
            # Not chained: the original holds the request, and the request's headers hold the key.
            raise NoAnswer(f"{type(error).__name__}: {self.without_key(str(error))}", len(received)) from None
        packed = response.headers.get("content-encoding", "").strip().lower()
        body = self._unpacked(bytes(received), packed)
        return Received(status=response.status_code, body=body, wire_bytes=len(received))

    def without_key(self, text: str) -> str:
        """The text with the key, should the vendor repeat it, struck out."""
        return text.replace(self._key.get_secret_value(), "[key]")

    def without_key_bytes(self, body: bytes) -> bytes:
        """The same of a body as it was received."""
        return body.replace(self._key.get_secret_value().encode(), b"[key]")

    def _unpacked(self, received: bytes, encoding: str) -> bytes:
        if encoding in ("", "identity") or not received:
            return received
        if encoding not in ("gzip", "x-gzip"):
            raise NoAnswer("an encoding that was not asked for", len(received))
        unpacker = zlib.decompressobj(wbits=31)
        try:
            body = unpacker.decompress(received, self._config.max_bytes + 1)
        except zlib.error:
            raise NoAnswer("gzip that cannot be unpacked", len(received)) from None
        if len(body) > self._config.max_bytes:
            raise AnswerTooLong("an answer that unpacks beyond all measure", len(received))
        if not unpacker.eof:
            raise NoAnswer("gzip that was cut off", len(received))
        return body
