"""What becomes of a question: an answer, or none and why. Nothing a server does is an exception."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from agents.llm.answers import AnswerModel
from storage.spending import ParkScope, TokenCount

T = TypeVar("T", bound=AnswerModel)


class Why(StrEnum):
    """Why there is no answer."""

    NO_KEY = "no key"
    NO_PRICE = "no price"  # what cannot be priced is not asked
    BUDGET = "budget"
    PARKED = "parked"  # the server refused before, and it is too early to ask again
    THROTTLED = "throttled"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    SPEND_LIMIT = "spend limit"  # the account's own, at the provider
    KEY_REFUSED = "key refused"
    NO_MODEL = "no such model"
    BAD_REQUEST = "bad request"
    REFUSED = "refused"  # the model would not; with news that is a suspicion
    TRUNCATED = "truncated"
    INVALID = "invalid"  # an answer that does not keep to its schema, also when asked again
    GARBLED = "garbled"  # no message at all, or one without its usage


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[T]):
    """A valid answer. Cost, latency and interactions are those of all attempts it took."""

    value: T
    model: str
    prompt_version: int
    interaction_id: UUID  # the call that answered
    interactions: tuple[UUID, ...]  # made now, oldest first; none where the answer was on record
    cost_usd: Decimal
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """No answer, and what it cost all the same. `resumes_at` is when asking again may help."""

    why: Why
    reason: str
    resumes_at: datetime | None = None
    interactions: tuple[UUID, ...] = ()
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A message as it came, with what it used."""

    text: str
    stop_reason: str | None
    empty: bool  # it holds no block at all
    tokens: TokenCount
    us_only: bool  # billed at the price of inference inside the US
    request_id: str | None
    refusal: str  # the category a refusal names, or nothing

    @property
    def whole(self) -> bool:
        """Whether the model said all it wanted to say."""
        return self.stop_reason in ("end_turn", "stop_sequence")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A call that brought no message. `billed` is False only where that is sure."""

    why: Why
    reason: str
    billed: bool
    again: bool  # whether the same request may succeed in a moment
    retry_after_s: float | None = None
    scope: ParkScope | None = None  # who has to wait when it is not tried again
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A retry that is being waited for; its text is shown to the operator."""

    agent: str
    model: str
    until: datetime
    because: str

    def __str__(self) -> str:
        return f"{self.agent} waits until {self.until:%H:%M:%S}Z for {self.model}: {self.because}"
