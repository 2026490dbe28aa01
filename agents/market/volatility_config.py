"""Where the volatility index is read: settings alone, so that to read them costs no client."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class VolatilityConfig(BaseModel):
    """Where the public files of the volatility index lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cboe_url: str = Field(
        "https://cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv",
        description="Cboe's file of daily VIX prices",
    )
    fred_url: str = Field(
        "https://fred.stlouisfed.org/graph/fredgraph.csv?id=VIXCLS",
        description="FRED's file of daily VIX closes",
    )
    timeout_s: float = Field(20.0, ge=0.05, le=120, description="Seconds such a file may take")
    max_bytes: int = Field(4_000_000, ge=10_000, le=50_000_000, description="Longest such file, bytes")
