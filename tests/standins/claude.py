"""A stand-in for the Messages API on loopback: answers any schema, plays any failure, keeps its own bill.

    with ClaudeStandIn() as claude:
        claude.play("429", "ok")           # what the next calls get; then `ok` for ever
        ...                                # base_url = claude.url

    python -m tests.standins.claude --port 8787 [--scenario NAME]

A base_url of `.../s/NAME` plays one scenario for whoever uses it, whatever else is scripted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tests.standins.answers import answer_for
from tests.standins.http import HttpRequest, HttpResponse, InThread, json_response, serve

# Dollars a million tokens, read from the vendor's page and not from the library the desk uses.
PRICES = {
    "claude-haiku-5-5": ("0.10", "0.50", "0.125", "0.01"),
    "claude-sonnet-5-5": ("2", "10", "2.50", "0.10"),
}
LONG_PROMPT, LONG_TIMES = 100_000, 5  # Haiku's prices beyond it
LEAST_CACHED = 512  # tokens of a prefix
RETIRES = {"claude-haiku-5-5": "2027-10-07T00:00:00Z", "claude-sonnet-5-5": None}
THINKING = 60  # tokens

ERRORS = {
    "400": (400, "invalid_request_error", "messages: at least one message is required"),
    "400 limit": (400, "invalid_request_error", "You have reached your specified API usage limits."),
    "401": (401, "authentication_error", "invalid bearer token"),
    "402": (402, "billing_error", "your credit balance is too low"),
    "403": (403, "permission_error", "your key may not use this resource"),
    "404": (404, "not_found_error", "model: no such model"),
    "413": (413, "request_too_large", "request exceeds the maximum size"),
    "429": (429, "rate_limit_error", "slow down"),
    "429 1 s": (429, "rate_limit_error", "slow down"),
    "429 3600 s": (429, "rate_limit_error", "slow down"),
    "429 never": (429, "rate_limit_error", "acceleration limit"),
    "429 limit": (429, "rate_limit_error", "You have reached your API usage limits"),
    "500": (500, "api_error", "Internal server error"),
    "504": (504, "timeout_error", "the request timed out"),
    "529": (529, "overloaded_error", "Overloaded"),
}
ERROR_HEADERS = {
    "429 1 s": {"retry-after": "1"},
    "429 3600 s": {"retry-after": "3600"},
    "429 never": {"x-should-retry": "false"},
}
BODIES = {
    "502 HTML": HttpResponse(502, b"<html>bad gateway</html>", "text/html"),
    "not JSON": HttpResponse(200, b"not json at all"),
    "text": HttpResponse(200, b"hi", "text/plain"),
    "array": HttpResponse(200, b"[1, 2]"),
    "hang": HttpResponse(silent=True),
}
STOPS = {"tool use": "tool_use", "pause": "pause_turn", "new stop": "some_future_reason"}
MESSAGES = (
    "ok",
    "thinking",
    "bad JSON",
    "wrong JSON",
    "fenced",
    "cut",
    "refusal",
    "refusal in words",
    "no usage",
    "null usage",
    "negative usage",
    "plain usage",
    "more than bound",
    "connection cut",
    *STOPS,
)
SCENARIOS = (*MESSAGES, *ERRORS, *BODIES)


@dataclass
class ClaudeStandIn:
    """`asked` holds the bodies of all calls that came in; `bill` what they cost, in dollars.

    `lost` are calls that were billed though their answer never arrived, as a cut connection's.
    """

    scenario: str = "ok"
    models: tuple[str, ...] = tuple(PRICES)
    compatible: bool = False  # without counting, models, cache and schemas, as small local servers are
    polls: int = 1  # of a batch until it has ended
    asked: list[dict[str, Any]] = field(default_factory=list)
    requests: list[HttpRequest] = field(default_factory=list)
    bill: Decimal = Decimal(0)
    lost: Decimal = Decimal(0)
    batch_results: deque[str] = field(default_factory=deque)  # succeeded, errored, canceled, expired
    _script: deque[str] = field(default_factory=deque)
    _cached: set[tuple[str, str]] = field(default_factory=set)
    _batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    _count: int = 0
    _host: str = ""

    def __enter__(self) -> ClaudeStandIn:
        self._server = InThread(self.answer).__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._server.__exit__(*raised)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def play(self, *scenarios: str) -> None:
        """What the next calls get, one each. ValueError for a scenario nobody knows."""
        for name in scenarios:
            if name not in SCENARIOS:
                raise ValueError(f"expected one of {', '.join(SCENARIOS)}, was {name}")
        self._script.extend(scenarios)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        self._host = request.headers["host"]
        path, scenario = request.path, None
        if path.startswith("/s/"):
            _, _, name, rest = path.split("/", 3)
            path, scenario = f"/{rest}", name.replace("%20", " ")
        body = json.loads(request.body) if request.body else {}
        if path == "/v1/messages":
            self.asked.append(body)
            return self._message(
                body, scenario or (self._script.popleft() if self._script else self.scenario)
            )
        if self.compatible:
            return _error("404")
        if path == "/v1/messages/count_tokens":
            return json_response({"input_tokens": _tokens(body)})
        if path.startswith("/v1/messages/batches"):
            return self._batch(request, path.removeprefix("/v1/messages/batches").strip("/"), body)
        if path == "/v1/models":
            return json_response({"data": [_model(name) for name in self.models], "has_more": False})
        name = path.removeprefix("/v1/models/")
        return json_response(_model(name)) if name in self.models else _error("404")

    # -- messages --------------------------------------------------------------------------------------------

    def _message(self, body: Mapping[str, Any], scenario: str) -> HttpResponse:
        if any(name in body for name in ("temperature", "top_p", "top_k")):
            return _error("400")
        if body["model"] not in self.models:
            return _error("404")
        if scenario in ERRORS:
            return _error(scenario)
        if scenario in BODIES:
            return BODIES[scenario]
        message = self._said(body, scenario)
        answered = json.dumps(message).encode()
        headers = {"request-id": self._id("req")}
        cut = len(answered) // 2 if scenario == "connection cut" else None
        return HttpResponse(200, answered, headers=headers, cut_after=cut)

    def _said(self, body: Mapping[str, Any], scenario: str, *, batched: bool = False) -> dict[str, Any]:
        """A message, billed."""
        schema = body.get("output_config", {}).get("format", {}).get("schema")
        drawn = answer_for(schema, Random(json.dumps(body["messages"]))) if schema else None
        text = json.dumps(drawn) if schema else "Good evening."
        stop, details = "end_turn", None
        match scenario:
            case "bad JSON":
                text = text[:-1] + ", }"
            case "wrong JSON":
                text = json.dumps({"stance": "moon", "confidence": 7_000})
            case "fenced":
                text = f"Sure, here you are:\n```json\n{text}\n```"
            case "cut":
                text, stop = text[: len(text) // 2], "max_tokens"
            case "refusal" | "refusal in words":
                text = "" if scenario == "refusal" else "I cannot help with that."
                stop, details = "refusal", {"type": "refusal", "category": "cyber", "explanation": None}
            case name if name in STOPS:
                stop = STOPS[name]
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        if scenario in ("ok", "thinking") and content:
            content.insert(0, {"type": "thinking", "thinking": "", "signature": "c2ln"})
        usage = self._usage(body, text, scenario, batched=batched)
        self._charge(body["model"], usage, scenario, batched=batched)
        message = {
            "id": self._id("msg"),
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "stop_details": details,
            "usage": None if scenario == "null usage" else usage,
        }
        if scenario == "no usage":
            del message["usage"]
        return message

    def _usage(self, body: Mapping[str, Any], text: str, scenario: str, *, batched: bool) -> dict[str, Any]:
        prefix = _tokens({name: body.get(name) for name in ("tools", "system")})
        rest = _tokens({name: body.get(name) for name in ("messages", "output_config")})
        out = _tokens(text) + (THINKING if text else 0)
        if scenario == "more than bound":
            return {"input_tokens": 3_000_000, "output_tokens": 1_000_000}
        if scenario == "negative usage":
            return {"input_tokens": -1_000_000, "output_tokens": 5}
        if self.compatible or scenario == "plain usage":
            return {"input_tokens": prefix + rest, "output_tokens": out}
        wanted = any("cache_control" in block for block in body.get("system", []))
        key = (body["model"], json.dumps([body.get("tools"), body.get("system")]))
        cached = wanted and prefix >= LEAST_CACHED
        read = prefix if cached and key in self._cached else 0
        written = prefix if cached and key not in self._cached else 0
        if cached:
            self._cached.add(key)
        return {
            "input_tokens": rest if cached else prefix + rest,
            "output_tokens": out,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens_details": {"thinking_tokens": THINKING if text else 0},
            "service_tier": "batch" if batched else "standard",
            "inference_geo": "global",
        }

    def _charge(self, model: str, usage: Mapping[str, Any], scenario: str, *, batched: bool) -> None:
        if scenario in ("refusal", "negative usage") or model not in PRICES:
            return  # refused before any output is free; what is nonsense costs nothing
        price_in, price_out, price_write, price_read = (Decimal(price) for price in PRICES[model])
        written, read = usage.get("cache_creation_input_tokens", 0), usage.get("cache_read_input_tokens", 0)
        cost = usage["input_tokens"] * price_in + usage["output_tokens"] * price_out
        cost += written * price_write + read * price_read
        if model == "claude-haiku-5-5" and usage["input_tokens"] + written + read > LONG_PROMPT:
            cost *= LONG_TIMES
        cost = cost / 1_000_000 / (2 if batched else 1)
        if scenario in ("connection cut", "no usage", "null usage"):
            self.lost += cost
        else:
            self.bill += cost

    # -- batches ---------------------------------------------------------------------------------------------

    def _batch(self, request: HttpRequest, path: str, body: Mapping[str, Any]) -> HttpResponse:
        if not path and request.method == "POST":
            batch = self._id("msgbatch")
            self._batches[batch] = {"requests": body["requests"], "polls": 0, "results": None}
            self.asked += [one["params"] for one in body["requests"]]
            return json_response(self._described(batch))
        if not path:
            data = [self._described(batch) for batch in reversed(self._batches)]
            return json_response({"data": data, "has_more": False, "first_id": None, "last_id": None})
        batch, _, what = path.partition("/")
        if batch not in self._batches:
            return _error("404")
        if what == "results":
            return HttpResponse(200, self._results(batch), "application/x-jsonl")
        self._batches[batch]["polls"] += 1
        return json_response(self._described(batch))

    def _results(self, batch: str) -> bytes:
        kept = self._batches[batch]
        if kept["results"] is None:
            lines = [self._result(one) for one in reversed(kept["requests"])]  # in any order
            kept["results"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
        results: bytes = kept["results"]
        return results

    def _result(self, one: Mapping[str, Any]) -> dict[str, Any]:
        kind = self.batch_results.popleft() if self.batch_results else "succeeded"
        result: dict[str, Any] = {"type": kind}
        if kind == "succeeded":
            result["message"] = self._said(one["params"], self._next(), batched=True)
        elif kind == "errored":
            error = {"type": "invalid_request_error", "message": "the request was wrong"}
            result["error"] = {"type": "error", "error": error, "request_id": None}
        return {"custom_id": one["custom_id"], "result": result}

    def _described(self, batch: str) -> dict[str, Any]:
        kept = self._batches[batch]
        ended = kept["polls"] >= self.polls
        now = datetime.now(UTC)
        count = len(kept["requests"])
        return {
            "id": batch,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "created_at": now.isoformat(),
            "expires_at": (now + timedelta(hours=24)).isoformat(),
            "ended_at": now.isoformat() if ended else None,
            "request_counts": {
                "processing": 0 if ended else count,
                "succeeded": count if ended else 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "results_url": f"http://{self._host}/v1/messages/batches/{batch}/results" if ended else None,
        }

    def _next(self) -> str:
        return self._script.popleft() if self._script else self.scenario

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_standin{self._count}"


def _error(scenario: str) -> HttpResponse:
    status, kind, said = ERRORS[scenario]
    error: dict[str, Any] = {"type": kind, "message": said}
    if scenario == "429 limit":
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
    headers = {"request-id": f"req_{status}", **ERROR_HEADERS.get(scenario, {})}
    return json_response({"type": "error", "error": error, "request_id": f"req_{status}"}, status, headers)


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-10-07T00:00:00Z",
        "lifecycle": "active",
        "line": None,
        "deprecated_at": None,
        "retires_at": RETIRES.get(name),
    }


def _tokens(value: object) -> int:
    """About four bytes a token, as English is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return -(-len(text.encode()) // 4)


async def _forever(standin: ClaudeStandIn, port: int) -> None:
    server = await serve(standin.answer, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A stand-in for the Messages API on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scenario", default="ok", choices=SCENARIOS)
    options = parser.parse_args()
    asyncio.run(_forever(ClaudeStandIn(scenario=options.scenario), options.port))
