"""How Financial Modeling Prep is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class FMPConfig(BaseModel):
    """Where the vendor answers, and how much of it is borne."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(
        "https://financialmodelingprep.com/stable",
        description="Address below which the vendor's endpoints lie; https, or http on this machine",
    )
    timeout_s: float = Field(
        20.0, ge=0.05, le=120, description="Seconds a call may take from first to last byte"
    )
    concurrent: int = Field(2, ge=1, le=2, description="Calls in flight at a time")
    per_second: float = Field(4.0, gt=0, le=1000, description="Calls begun a second")
    max_bytes: int = Field(
        8_000_000, ge=10_000, le=50_000_000, description="Longest answer that is read, unpacked, bytes"
    )

    @field_validator("base_url")
    @classmethod
    def _keeps_the_key_private(cls, url: str) -> str:
        """A key sent over plain http can be read by everyone on the way."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("expected an https address, or http on this machine")
        if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected an address of host and path alone")
        return url.rstrip("/")
