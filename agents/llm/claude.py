"""The client itself: the one module that imports anthropic, and where all its errors become values.

The SDK's retries are off and its parsing is not used: it loses the usage of what it cannot parse.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from http.client import responses
from math import isfinite
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from agents.llm.models import Provider
from agents.llm.outcome import Fault, Reply, Why
from agents.llm.wire import (
    BatchFacts,
    BatchResult,
    Garbled,
    ModelFacts,
    read_batch,
    read_batch_results,
    read_batches,
    read_model,
    read_model_ids,
    read_reply,
)
from storage.plain import shortened
from storage.spending import ParkScope

T = TypeVar("T")

CONNECT_S = 5.0
REASON_LONGEST = 300
ACCOUNT_LIMITS = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
_BY_STATUS: dict[int, Why] = {
    HTTPStatus.BAD_REQUEST: Why.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: Why.KEY_REFUSED,
    HTTPStatus.PAYMENT_REQUIRED: Why.SPEND_LIMIT,
    HTTPStatus.FORBIDDEN: Why.KEY_REFUSED,
    HTTPStatus.NOT_FOUND: Why.NO_MODEL,
    HTTPStatus.REQUEST_TIMEOUT: Why.OVERLOADED,
    HTTPStatus.CONFLICT: Why.OVERLOADED,
    HTTPStatus.TOO_MANY_REQUESTS: Why.THROTTLED,
}
_SCOPES = {
    Why.SPEND_LIMIT: ParkScope.KEY,
    Why.KEY_REFUSED: ParkScope.KEY,
    Why.UNREACHABLE: ParkScope.KEY,
    Why.NO_MODEL: ParkScope.MODEL,
    Why.THROTTLED: ParkScope.MODEL,
    Why.OVERLOADED: ParkScope.MODEL,
    Why.TIMEOUT: ParkScope.MODEL,
}


class Claude:
    """A server that speaks the Messages API. Never shows its key."""

    def __init__(self, key: SecretStr, *, base_url: str | None, provider: Provider) -> None:
        """`base_url` has no /v1 at its end; None: Anthropic's own."""
        self._key = key
        self._base_url = base_url
        self.provider = provider
        self.key_fingerprint = hashlib.sha256(key.get_secret_value().encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Claude(provider={self.provider.value}, key={self.key_fingerprint})"

    async def ready(self) -> None:
        """Import the SDK off the event loop: it takes seconds on a busy machine."""
        await asyncio.to_thread(importlib.import_module, "anthropic")

    async def send(self, body: Mapping[str, Any], *, timeout_s: float) -> Reply | Fault:
        """One attempt, at most `timeout_s` seconds in all."""
        await self.ready()
        received = await self._received(
            self._client.messages.with_raw_response.create(**body, timeout=self._timeout(timeout_s)),
            timeout_s,
        )
        if isinstance(received, Fault):
            return received
        content, request_id = received
        try:
            return read_reply(content, request_id)
        except Garbled as garbled:
            return Fault(
                why=Why.GARBLED,
                reason=self._said(str(garbled)),
                billed=True,
                again=False,
                request_id=request_id,
            )

    async def model(self, model: str, *, timeout_s: float) -> ModelFacts | Fault:
        """What the server says about a model."""
        await self.ready()
        received = await self._received(
            self._client.models.with_raw_response.retrieve(model, timeout=self._timeout(timeout_s)), timeout_s
        )
        if isinstance(received, Fault):
            return received
        return read_model(received[0])

    async def model_ids(self, *, timeout_s: float) -> tuple[str, ...] | Fault:
        """The models the server has."""
        await self.ready()
        received = await self._received(
            self._client.models.with_raw_response.list(limit=1000, timeout=self._timeout(timeout_s)),
            timeout_s,
        )
        if isinstance(received, Fault):
            return received
        return read_model_ids(received[0])

    async def create_batch(
        self, bodies: Mapping[str, Mapping[str, Any]], *, timeout_s: float
    ) -> BatchFacts | Fault:
        """Hand in requests, each under an id of ours."""
        await self.ready()
        requests = [{"custom_id": name, "params": dict(body)} for name, body in bodies.items()]
        batches = self._client.messages.batches.with_raw_response
        sent = batches.create(requests=requests, timeout=self._timeout(timeout_s))
        return self._read(await self._received(sent, timeout_s), read_batch)

    async def batch(self, batch_id: str, *, timeout_s: float) -> BatchFacts | Fault:
        """How far a batch has come."""
        await self.ready()
        batches = self._client.messages.batches.with_raw_response
        sent = batches.retrieve(batch_id, timeout=self._timeout(timeout_s))
        return self._read(await self._received(sent, timeout_s), read_batch)

    async def batches(self, *, timeout_s: float) -> tuple[BatchFacts, ...] | Fault:
        """The latest batches of the key."""
        await self.ready()
        batches = self._client.messages.batches.with_raw_response
        sent = batches.list(limit=100, timeout=self._timeout(timeout_s))
        return self._read(await self._received(sent, timeout_s), read_batches)

    async def batch_results(self, batch_id: str, *, timeout_s: float) -> tuple[BatchResult, ...] | Fault:
        """What became of each request of a batch that has ended, in any order."""
        await self.ready()
        # Not the address the server gives for them: the key goes nowhere but where it was meant to go.
        sent = self._client.get(
            f"/v1/messages/batches/{batch_id}/results",
            cast_to=importlib.import_module("httpx2").Response,
            options={"timeout": self._timeout(timeout_s)},
        )
        return self._read(await self._received(sent, timeout_s), read_batch_results)

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.close()

    @cached_property
    def _sdk(self) -> Any:
        return importlib.import_module("anthropic")

    @cached_property
    def _client(self) -> Any:
        host = urlsplit(self._base_url or "").hostname
        local = host in ("localhost", "127.0.0.1", "::1")
        return self._sdk.AsyncAnthropic(
            api_key=self._key.get_secret_value(),
            base_url=self._base_url,
            max_retries=0,
            # A proxy of the environment cannot reach this machine's own servers.
            http_client=self._sdk.DefaultAsyncHttpxClient(trust_env=False) if local else None,
        )

    def _timeout(self, timeout_s: float) -> Any:
        return importlib.import_module("httpx2").Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))

    async def _received(self, sent: Any, timeout_s: float) -> tuple[bytes, str | None] | Fault:
        """The body and its request id. Everything but a cancellation is a value."""
        sdk, httpx2 = self._sdk, importlib.import_module("httpx2")
        try:
            async with asyncio.timeout(timeout_s):
                response = await sent
                whole = isinstance(response, httpx2.Response)
                body = response.content if whole else await response.read()
                return body, response.headers.get("request-id")
        except (TimeoutError, sdk.APITimeoutError, httpx2.TimeoutException) as late:
            if isinstance(late.__cause__, httpx2.ConnectTimeout):
                return self._unreachable("no connection in time", billed=False)
            return Fault(
                why=Why.TIMEOUT,
                reason=f"no answer within {timeout_s:.0f} s",
                billed=True,
                again=False,
                scope=ParkScope.MODEL,
            )
        except sdk.APIStatusError as refused:
            return self._refused(refused)
        except (sdk.APIConnectionError, httpx2.HTTPError) as lost:
            cause = lost.__cause__ or lost
            never_sent = isinstance(cause, httpx2.ConnectError)
            return self._unreachable(f"{type(cause).__name__}: {cause}", billed=not never_sent)
        except sdk.AnthropicError as failed:
            return self._unreachable(f"{type(failed).__name__}: {failed}", billed=True)

    def _read(self, received: tuple[bytes, str | None] | Fault, reader: Callable[[bytes], T]) -> T | Fault:
        if isinstance(received, Fault):
            return received
        try:
            return reader(received[0])
        except Garbled as garbled:
            return Fault(why=Why.GARBLED, reason=self._said(str(garbled)), billed=True, again=False)

    def _unreachable(self, reason: str, *, billed: bool) -> Fault:
        return Fault(
            why=Why.UNREACHABLE,
            reason=self._said(reason),
            billed=billed,
            again=not billed,  # what was sent may be billed: asked again it is billed twice
            scope=ParkScope.KEY,
        )

    def _refused(self, error: Any) -> Fault:
        """An answer with an error status: not billed."""
        status: int = error.status_code
        said = str(error.api_message or responses.get(status, "an error without words"))
        why = _BY_STATUS.get(status)
        if why is None:
            why = Why.OVERLOADED if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Why.BAD_REQUEST
        limit = error.error_code in ACCOUNT_LIMITS
        if limit or (why is Why.BAD_REQUEST and "usage limit" in said.lower()):
            why = Why.SPEND_LIMIT
        headers = error.response.headers
        return Fault(
            why=why,
            reason=self._said(f"HTTP {status}: {said}"),
            billed=False,
            again=why in (Why.THROTTLED, Why.OVERLOADED) and headers.get("x-should-retry") != "false",
            retry_after_s=_retry_after(headers.get("retry-after"), datetime.now(UTC)),
            scope=_SCOPES.get(why),
            request_id=error.request_id and shortened(error.request_id, REASON_LONGEST),
        )

    def _said(self, text: str) -> str:
        """A server's words, harmless and without the key."""
        return shortened(text.replace(self._key.get_secret_value(), "[key]"), REASON_LONGEST)


def _retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds a server asks to wait: a number or an HTTP date; None for anything else."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0) if isfinite(seconds) else None
