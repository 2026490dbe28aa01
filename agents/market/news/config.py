"""Where the news are read, and how often: settings alone, so that reading them costs no client."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agents.market.fmp.config import LOOPBACK
from storage.plain import shortened


class NewsConfig(BaseModel):
    """Which feeds are read, and how much of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feeds: tuple[str, ...] = Field(
        (), description="Addresses of RSS or Atom feeds, as a JSON list; https, or http on this machine"
    )
    articles: int = Field(20, ge=0, le=100, description="Articles of the vendor a look, 0 for none")
    every_minutes: float = Field(30.0, ge=5, le=1440, description="Minutes before a feed is asked again")
    timeout_s: float = Field(15.0, ge=0.05, le=120, description="Seconds a feed may take")
    max_bytes: int = Field(1_000_000, ge=10_000, le=10_000_000, description="Longest feed, unpacked, bytes")

    @field_validator("feeds")
    @classmethod
    def _are_addresses(cls, feeds: tuple[str, ...]) -> tuple[str, ...]:
        for url in feeds:
            parts = urlsplit(url)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
                raise ValueError(f"expected an https address, was {shortened(url, 60)}")
            if not parts.hostname:
                raise ValueError("expected an address with a host")
        return feeds
