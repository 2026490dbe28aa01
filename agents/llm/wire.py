"""Messages as servers send them, read defensively: what it cost must be known before anything else is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.llm.outcome import Reply
from storage.plain import shortened
from storage.spending import TokenCount

WORD_LONGEST = 100
MODELS_MOST = 50
REASON_LONGEST = 300
TEXT_LONGEST = 200_000  # characters of an answer that are ever looked at

W = TypeVar("W", bound=BaseModel)

Tokens = Annotated[int, Field(ge=0, le=100_000_000)]  # a hundred times what a model reads


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a server says about a model; `lifecycle` is "" where it does not know the word."""

    lifecycle: str
    retires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """A batch at the server."""

    id: str
    ended: bool


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What became of one request of a batch: a message, or why there is none (errored, canceled, expired)."""

    custom_id: str
    reply: Reply | None
    reason: str
    billed: bool  # False only where that is sure


class Garbled(Exception):
    """A body that is no message, or one that does not say what it used."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _CacheWrites(_Wire):
    ephemeral_5m_input_tokens: Tokens = 0
    ephemeral_1h_input_tokens: Tokens = 0


class _OutputDetails(_Wire):
    thinking_tokens: Tokens | None = None


class _Usage(_Wire):
    input_tokens: Tokens
    output_tokens: Tokens
    cache_creation_input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation: _CacheWrites | None = None
    output_tokens_details: _OutputDetails | None = None
    inference_geo: str | None = None

    @property
    def counted(self) -> TokenCount:
        writes = self.cache_creation or _CacheWrites()
        hour = writes.ephemeral_1h_input_tokens
        details = self.output_tokens_details or _OutputDetails()
        return TokenCount(
            input=self.input_tokens,
            output=self.output_tokens,
            # Of two figures for the same writes the larger counts.
            cache_write_5m=max(
                (self.cache_creation_input_tokens or 0) - hour, writes.ephemeral_5m_input_tokens
            ),
            cache_write_1h=hour,
            cache_read=self.cache_read_input_tokens or 0,
            thinking=details.thinking_tokens or 0,
        )


class _Block(_Wire):
    type: str
    text: str | None = None


class _StopDetails(_Wire):
    category: str | None = None


class Message(_Wire):
    """A whole message."""

    content: tuple[_Block, ...]
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: _Usage

    def reply(self, request_id: str | None) -> Reply:
        text = "".join(block.text or "" for block in self.content if block.type == "text")
        category = self.stop_details.category if self.stop_details else None
        return Reply(
            text=text.encode("utf-8", "replace").decode().replace("\x00", "")[:TEXT_LONGEST],
            stop_reason=_word(self.stop_reason),
            empty=not self.content,
            tokens=self.usage.counted,
            us_only=self.usage.inference_geo == "us",
            request_id=_word(request_id),
            refusal=_word(category) or "",
        )


class _Model(_Wire):
    id: str
    lifecycle: str | None = None
    retires_at: datetime | None = None


class _Models(_Wire):
    data: tuple[_Model, ...]


class _Batch(_Wire):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    processing_status: str

    @property
    def facts(self) -> BatchFacts:
        return BatchFacts(id=self.id, ended=self.processing_status == "ended")


class _Batches(_Wire):
    data: tuple[_Batch, ...]


class _ResultBody(_Wire):
    type: str
    message: object = None
    error: dict[str, object] | None = None


class _Result(_Wire):
    custom_id: str
    result: _ResultBody


def read_reply(body: bytes, request_id: str | None) -> Reply:
    """Raises Garbled."""
    return _read(Message, body).reply(request_id)


def read_model(body: bytes) -> ModelFacts:
    """A server that describes its models otherwise is no fault: it only says less."""
    try:
        found = _Model.model_validate_json(body)
    except ValidationError:
        return ModelFacts(lifecycle="", retires_at=None)
    retires = found.retires_at
    if retires is not None and retires.tzinfo is None:
        retires = retires.replace(tzinfo=UTC)
    return ModelFacts(lifecycle=_word(found.lifecycle) or "", retires_at=retires)


def read_model_ids(body: bytes) -> tuple[str, ...]:
    try:
        listed = _Models.model_validate_json(body)
    except ValidationError:
        return ()
    return tuple(shortened(model.id, WORD_LONGEST) for model in listed.data[:MODELS_MOST])


def read_batch(body: bytes) -> BatchFacts:
    """Raises Garbled."""
    return _read(_Batch, body).facts


def read_batches(body: bytes) -> tuple[BatchFacts, ...]:
    """Raises Garbled."""
    return tuple(batch.facts for batch in _read(_Batches, body).data)


def read_batch_results(body: bytes) -> tuple[BatchResult, ...]:
    """One JSON object a line. Raises Garbled for a line that names no request: its cost would be lost."""
    return tuple(_batch_result(_read(_Result, line)) for line in body.splitlines() if line.strip())


def _batch_result(line: _Result) -> BatchResult:
    kind = line.result.type
    if kind != "succeeded":
        error = line.result.error or {}
        said = f"{kind}: {error.get('error', error)}" if error else kind
        never_billed = kind in ("errored", "canceled", "expired")
        return BatchResult(
            custom_id=line.custom_id,
            reply=None,
            reason=shortened(said, REASON_LONGEST),
            billed=not never_billed,
        )
    try:
        reply = Message.model_validate(line.result.message).reply(None)
    except ValidationError:
        return BatchResult(
            custom_id=line.custom_id, reply=None, reason="a message that cannot be read", billed=True
        )
    return BatchResult(custom_id=line.custom_id, reply=reply, reason="", billed=True)


def _read(kind: type[W], body: bytes) -> W:
    try:
        return kind.model_validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Garbled(f"not what was asked for: {where} {first['msg']}") from None


def _word(text: str | None) -> str | None:
    return None if text is None else shortened(text, WORD_LONGEST)
