"""Requests to the vendor: the key travels in a header alone, and comes back in no text."""

from __future__ import annotations

from collections.abc import Generator

import httpx
from pydantic import SecretStr

from agents.market import web
from agents.market.fmp.config import FMPConfig
from storage.errors import OperatorError


class _KeyHeader(httpx.Auth):
    """Adds the key as the request leaves, so that no client, request builder or repr holds it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["apikey"] = self._key.get_secret_value()
        yield request


class Wire:
    """The connection to the vendor."""

    def __init__(self, config: FMPConfig, key: SecretStr) -> None:
        """Raises OperatorError for a key that no header can carry."""
        secret = key.get_secret_value()
        if not secret or not all("!" <= letter <= "~" for letter in secret):
            raise OperatorError("FMP_API_KEY is no key", "copy it anew from the vendor's dashboard")
        self._config = config
        self._key = key
        self._http = web.plain_client(_KeyHeader(key))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, endpoint: str, params: dict[str, str]) -> web.Received:
        """The answer, whatever its status, with the key struck out. Raises `web.NoAnswer`, likewise."""
        secret = self._key.get_secret_value()
        try:
            received = await web.get(
                self._http,
                f"{self._config.base_url}/{endpoint}",
                params=params,
                timeout_s=self._config.timeout_s,
                max_bytes=self._config.max_bytes,
            )
        except web.NoAnswer as nothing:
            raise type(nothing)(str(nothing).replace(secret, "[key]"), nothing.wire_bytes) from None
        body = received.body.replace(secret.encode(), b"[key]")
        return web.Received(status=received.status, body=body, wire_bytes=received.wire_bytes)
