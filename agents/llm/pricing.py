"""What tokens cost: an operator's own table first, then genai-prices; a model in neither is never asked."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_UP, Decimal
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict, Field

from storage.spending import TokenCount

MILLION = Decimal(1_000_000)
SMALLEST = Decimal("0.00000001")  # the ledger's last digit
BATCH_SHARE = Decimal("0.5")
US_ONLY = Decimal("1.1")  # inference_geo "us": every token class


class PriceOverride(BaseModel):
    """One model's prices, dollars a million tokens, and where they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0, le=1_000)
    output: Decimal = Field(ge=0, le=1_000)
    cache_write_5m: Decimal = Field(ge=0, le=1_000)
    cache_write_1h: Decimal = Field(ge=0, le=1_000)
    cache_read: Decimal = Field(ge=0, le=1_000)
    as_of: date
    source: str = Field(min_length=1, max_length=100)


@dataclass(frozen=True)
class PriceSource:
    """Where a price was read. `as_of` is None where the source does not date it."""

    name: str
    as_of: date | None


class UnknownPrice(Exception):
    """No price is known for a model; its text says what to do."""


class Prices:
    """Costs in dollars, rounded up to the ledger's last digit. genai-prices is imported when first asked."""

    def __init__(self, overrides: Mapping[str, PriceOverride]) -> None:
        self._overrides = dict(overrides)

    async def ready(self) -> None:
        """Import genai-prices off the event loop: it takes half a second."""
        await asyncio.to_thread(importlib.import_module, "genai_prices")

    def source(self, model: str) -> PriceSource:
        """Raises UnknownPrice."""
        own = self._overrides.get(model)
        if own is not None:
            return PriceSource(own.source, own.as_of)
        self._listed(model, TokenCount(), batched=False)
        return PriceSource(f"genai-prices {version('genai-prices')}", None)

    def cost(
        self, model: str, tokens: TokenCount, *, batched: bool = False, us_only: bool = False
    ) -> Decimal:
        """What these tokens cost today. Raises UnknownPrice."""
        own = self._overrides.get(model)
        if own is None:
            dollars = self._listed(model, tokens, batched=batched)
        else:
            dollars = _by(own, tokens) * (BATCH_SHARE if batched else 1)
        return (dollars * (US_ONLY if us_only else 1)).quantize(SMALLEST, rounding=ROUND_UP)

    def worst(self, model: str, *, input_bytes: int, max_tokens: int, batched: bool = False) -> Decimal:
        """The most a request of so many bytes may cost. Raises UnknownPrice.

        A byte-level tokenizer makes no more tokens than bytes; each may have to be written to the cache.
        """
        plain = TokenCount(input=input_bytes, output=max_tokens)
        written = TokenCount(cache_write_5m=input_bytes, output=max_tokens)
        return max(self.cost(model, tokens, batched=batched) for tokens in (plain, written))

    def worth_caching(self, model: str) -> bool:
        """Whether reading a prefix again saves more than a dollar a million tokens."""
        million = 1_000_000
        fresh = self.cost(model, TokenCount(input=million))
        return fresh - self.cost(model, TokenCount(cache_read=million)) > 1

    def _listed(self, model: str, tokens: TokenCount, *, batched: bool) -> Decimal:
        from genai_prices import Usage, calc_price

        written = tokens.cache_write_5m + tokens.cache_write_1h
        usage = Usage(
            input_tokens=tokens.input + written + tokens.cache_read,
            output_tokens=tokens.output,
            cache_write_tokens=written,
            cache_write_1h_tokens=tokens.cache_write_1h,
            cache_read_tokens=tokens.cache_read,
        )
        try:
            found = calc_price(
                usage,
                model,
                provider_id="anthropic",
                genai_request_timestamp=datetime.now(UTC),
                price_context={"processing": "batch"} if batched else None,
            )
        except LookupError as unknown:
            raise UnknownPrice(
                f"no price is known for {model}; name it in QUORUM_LLM__PRICES, or choose another model"
            ) from unknown
        return found.total_price


def _by(price: PriceOverride, tokens: TokenCount) -> Decimal:
    return (
        tokens.input * price.input
        + tokens.output * price.output
        + tokens.cache_write_5m * price.cache_write_5m
        + tokens.cache_write_1h * price.cache_write_1h
        + tokens.cache_read * price.cache_read
    ) / MILLION
