"""Whatever a server sends, it is a value: nothing is raised, and what may have been billed is said to be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agents.llm.claude import Claude
from agents.llm.models import Provider
from agents.llm.outcome import Fault, Reply
from agents.llm.retries import LONGEST_PARK_S, Again, GiveUp, RetryPolicy
from tests.standins.http import HttpRequest, HttpResponse, InThread

from .desk import KEY

BODY = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
USAGES = st.fixed_dictionaries(
    {"input_tokens": st.integers() | Json, "output_tokens": st.integers() | Json},
    optional={
        "cache_creation_input_tokens": st.integers() | Json,
        "cache_read_input_tokens": st.integers() | Json,
        "cache_creation": Json,
        "output_tokens_details": Json,
        "inference_geo": Json,
    },
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("message") | Json,
        "content": Json | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})),
        "stop_reason": st.sampled_from(["end_turn", "refusal"]) | Json,
        "stop_details": Json,
        "usage": USAGES | Json,
    },
)
ERROR = st.fixed_dictionaries({}, optional={"type": Json, "message": Json, "details": Json})
ERRORS = st.fixed_dictionaries({}, optional={"error": ERROR})
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.sampled_from(
            ["", "0", "-5", "nan", "inf", "1e300", "soon", "Wed, 25 Nov 2026 20:00:00 GMT", "9" * 400]
        ),
        "x-should-retry": st.sampled_from(["true", "false", "perhaps"]),
        "request-id": st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300),
    },
)


class Server:
    """Answers each call with `response`; the client and its loop live as long as it does."""

    def __init__(self) -> None:
        self.response = HttpResponse()
        self._runner = asyncio.Runner()
        self._http = InThread(self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        return self.response

    def __enter__(self) -> Server:
        self._http.__enter__()
        url = f"http://127.0.0.1:{self._http.port}"
        self._claude = Claude(SecretStr(KEY), base_url=url, provider=Provider.ANTHROPIC)
        return self

    def __exit__(self, *raised: object) -> None:
        self._runner.run(self._claude.close())
        self._runner.close()
        self._http.__exit__(None, None, None)

    def send(self, response: HttpResponse) -> Reply | Fault:
        self.response = response
        return self._runner.run(self._claude.send(BODY, timeout_s=20))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@given(
    status=st.sampled_from([200, 200, 200, 201, 204, 400, 401, 404, 409, 418, 429, 451, 500, 503, 529, 599]),
    body=st.one_of(NEARLY.map(json.dumps), ERRORS.map(json.dumps), Json.map(json.dumps), st.text()),
    kind=st.sampled_from(["application/json", "text/plain", "text/html", "application/octet-stream"]),
    headers=HEADERS,
)
@settings(max_examples=100, deadline=None)
def test_any_response_is_a_reply_or_a_fault(
    server: Server, status: int, body: str, kind: str, headers: dict[str, str]
) -> None:
    sent = b"" if status == 204 else body.encode("utf-8", "surrogatepass")
    said = server.send(HttpResponse(status, sent, kind, headers))
    if isinstance(said, Reply):
        tokens = said.tokens
        assert 200 <= status < 300
        assert min(tokens.input, tokens.output, tokens.cache_read, tokens.cache_write_5m) >= 0
        assert "\x00" not in said.text + (said.request_id or "") + (said.stop_reason or "")
        return
    assert said.billed is (status < 400)
    assert said.reason.isprintable()
    assert len(said.reason) <= 300
    follows = RetryPolicy(tries=3, max_wait_s=20, jitter=lambda: 0.5).after(said, tried=1, left_s=60)
    if isinstance(follows, Again):
        assert not said.billed
        assert 0 <= follows.wait_s <= 20
    else:
        assert isinstance(follows, GiveUp)
        assert follows.park_s is None or 0 < follows.park_s <= LONGEST_PARK_S


def test_a_fault_that_names_the_key_does_not_repeat_it(server: Server) -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": f"{KEY} is no key"}}
    said = server.send(HttpResponse(401, json.dumps(error).encode()))
    assert isinstance(said, Fault)
    assert said.reason == "HTTP 401: [key] is no key"
