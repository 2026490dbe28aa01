"""Messages as servers send them, read defensively: what it cost must be known before anything else is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.llm.outcome import Reply
from storage.plain import shortened
from storage.spending import TokenCount

WORD_LONGEST = 100
MODELS_MOST = 50
TEXT_LONGEST = 200_000  # characters of an answer that are ever looked at

Tokens = Annotated[int, Field(ge=0, le=1_000_000_000)]


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a server says about a model; `lifecycle` is "" where it does not know the word."""

    lifecycle: str
    retires_at: datetime | None


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


def read_reply(body: bytes, request_id: str | None) -> Reply:
    """Raises Garbled."""
    try:
        message = Message.model_validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Garbled(f"no message: {where} {first['msg']}") from None
    return message.reply(request_id)


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


def _word(text: str | None) -> str | None:
    return None if text is None else shortened(text, WORD_LONGEST)
