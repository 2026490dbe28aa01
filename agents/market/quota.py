"""What the operator's plan with the market-data vendor allows."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from storage.quota_rules import QuotaRules

FREE_DAILY_CALLS = 250
FREE_BANDWIDTH_MB = 500


class FmpPlan(StrEnum):
    FREE = "free"
    PAID = "paid"


class FmpQuota(BaseModel):
    """The desk's share of the plan; on the free plan it can only be made smaller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: FmpPlan = Field(FmpPlan.FREE, description="The plan of FMP_API_KEY: free or paid")
    daily_calls: int = Field(
        FREE_DAILY_CALLS,
        gt=0,
        le=100_000,
        description=f"Most calls in any 24 hours; on the free plan at most {FREE_DAILY_CALLS}",
    )
    exits_reserve: int = Field(15, ge=5, le=200, description="Calls of them that only exits may use")
    bandwidth_mb: int = Field(
        FREE_BANDWIDTH_MB,
        ge=50,
        le=1_000_000,
        description=f"Most megabytes in any 30 days; on the free plan at most {FREE_BANDWIDTH_MB}",
    )

    @field_validator("daily_calls", "bandwidth_mb")
    @classmethod
    def _within_the_plan(cls, value: int, info: ValidationInfo) -> int:
        most = FREE_DAILY_CALLS if info.field_name == "daily_calls" else FREE_BANDWIDTH_MB
        if info.data.get("plan") is FmpPlan.FREE and value > most:
            raise ValueError(f"the free plan allows at most {most}; set QUORUM_FMP__PLAN=paid on a paid one")
        return value

    @field_validator("exits_reserve")
    @classmethod
    def _leaves_something(cls, value: int, info: ValidationInfo) -> int:
        daily = info.data.get("daily_calls")
        if daily is not None and value >= daily:
            raise ValueError(f"it leaves none of the {daily} calls a day to anything but exits")
        return value

    @property
    def rules(self) -> QuotaRules:
        """As the ledger counts by them."""
        return QuotaRules(
            daily_calls=self.daily_calls,
            exits_reserve=self.exits_reserve,
            bandwidth_bytes=self.bandwidth_mb * 1_000_000,
        )
