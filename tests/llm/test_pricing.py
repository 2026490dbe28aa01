"""Prices against the vendor's own page, and costs that are never rounded down."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.models import HAIKU, SONNET
from agents.llm.pricing import PriceOverride, Prices, UnknownPrice
from storage.spending import TokenCount

MILLION = 1_000_000
LISTED = Prices({})
OWN = PriceOverride.model_validate(
    {
        "input": "3",
        "output": "15",
        "cache_write_5m": "3.75",
        "cache_write_1h": "6",
        "cache_read": "0.3",
        "as_of": "2026-11-01",
        "source": "price page",
    }
)
COUNTS = st.builds(
    TokenCount,
    input=st.integers(0, 300_000),
    output=st.integers(0, 16_000),
    cache_write_5m=st.integers(0, 50_000),
    cache_write_1h=st.integers(0, 50_000),
    cache_read=st.integers(0, 50_000),
)


@pytest.mark.parametrize(
    ("model", "tokens", "dollars"),
    [
        (HAIKU, TokenCount(input=100_000), "0.01"),
        (HAIKU, TokenCount(input=100_001), "0.0500005"),
        (HAIKU, TokenCount(output=10_000), "0.005"),
        (HAIKU, TokenCount(cache_write_5m=10_000), "0.00125"),
        (HAIKU, TokenCount(cache_write_1h=10_000), "0.002"),
        (HAIKU, TokenCount(cache_read=10_000), "0.0001"),
        (SONNET, TokenCount(input=MILLION), "2"),
        (SONNET, TokenCount(output=MILLION), "10"),
        (SONNET, TokenCount(cache_write_5m=MILLION), "2.5"),
        (SONNET, TokenCount(cache_write_1h=MILLION), "4"),
        (SONNET, TokenCount(cache_read=MILLION), "0.1"),
        ("claude-opus-5-5", TokenCount(input=MILLION, output=MILLION), "24"),
    ],
)
def test_the_price_page(model: str, tokens: TokenCount, dollars: str) -> None:
    assert LISTED.cost(model, tokens) == Decimal(dollars)
    assert LISTED.cost(model, tokens, batched=True) == (Decimal(dollars) / 2).quantize(Decimal("1e-8"))


def test_inference_in_the_us_alone_costs_a_tenth_more() -> None:
    assert LISTED.cost(SONNET, TokenCount(input=MILLION), us_only=True) == Decimal("2.2")


def test_a_digit_below_the_last_is_rounded_up() -> None:
    assert LISTED.cost(HAIKU, TokenCount(cache_read=1), batched=True) == Decimal("0.00000001")


@given(tokens=COUNTS, model=st.sampled_from([HAIKU, SONNET, "own"]), batched=st.booleans())
def test_no_call_within_its_bound_costs_more_than_its_worst_case(
    tokens: TokenCount, model: str, batched: bool
) -> None:
    prices = Prices({"own": OWN})
    within = TokenCount(
        input=tokens.input,
        output=tokens.output,
        cache_write_5m=tokens.cache_write_5m,
        cache_read=tokens.cache_read,
    )
    whole = within.total - within.output
    worst = prices.worst(model, input_bytes=whole, max_tokens=tokens.output, batched=batched)
    assert prices.cost(model, within, batched=batched) <= worst


def test_an_own_price_wins_and_is_named() -> None:
    prices = Prices({HAIKU: OWN})
    assert prices.cost(HAIKU, TokenCount(input=MILLION, output=MILLION)) == 18
    assert (prices.source(HAIKU).name, str(prices.source(HAIKU).as_of)) == ("price page", "2026-11-01")
    assert LISTED.source(HAIKU).name.startswith("genai-prices 0.2.")


@pytest.mark.parametrize("model", ["claude-haiku-4-20250514", "qwen3", "", "../x"])
def test_an_unknown_price_is_an_error(model: str) -> None:
    with pytest.raises(UnknownPrice, match="QUORUM_LLM__PRICES"):
        LISTED.cost(model, TokenCount(input=1))


def test_a_prefix_is_cached_where_it_saves_more_than_a_dollar_a_million() -> None:
    assert LISTED.worth_caching(SONNET)
    assert not LISTED.worth_caching(HAIKU)
