"""Which model a role asks, and what the server says about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.llm.pricing import PriceOverride
from storage.records import AgentName
from storage.spending import SpendLimits

HAIKU = "claude-haiku-5-5"
SONNET = "claude-sonnet-5-5"

Effort = Literal["low", "medium", "high"]


class Provider(StrEnum):
    """Who answers: Anthropic, or a server that speaks its Messages API without its extras."""

    ANTHROPIC = "anthropic"
    COMPATIBLE = "compatible"


class RoleModel(BaseModel):
    """The model of a role that sorts and checks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(HAIKU, min_length=1, description="Model this role asks")
    effort: Effort = Field("low", description="How much it may think: low, medium or high")
    max_tokens: int = Field(
        3_000, ge=500, le=16_000, description="Most tokens of an answer, thinking included"
    )


class LargeRoleModel(RoleModel):
    """The model of a role that argues."""

    model: str = Field(SONNET, min_length=1, description="Model this role asks")
    max_tokens: int = Field(
        4_000, ge=500, le=16_000, description="Most tokens of an answer, thinking included"
    )


class Budget(BaseModel):
    """The most that models may cost; days and months are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_usd: Decimal = Field(
        Decimal("0.25"), gt=0, le=5, decimal_places=4, description="Most one call may cost, dollars"
    )
    agent_day_usd: Decimal = Field(
        Decimal("1.00"), gt=0, le=100, decimal_places=4, description="Most one agent may spend a day, dollars"
    )
    day_usd: Decimal = Field(
        Decimal("2.00"),
        ge=0,
        le=100,
        decimal_places=4,
        description="Most all may spend a day, dollars",
    )
    month_usd: Decimal = Field(
        Decimal("40.00"), ge=0, le=2_000, decimal_places=4, description="Most all may spend a month, dollars"
    )
    equity_share_year: Decimal = Field(
        Decimal("0.01"),
        gt=0,
        le=Decimal("0.1"),
        decimal_places=6,
        description="Most all may spend a year, fraction of equity; a day has 1/365 of it, a month 1/12",
    )

    @property
    def limits(self) -> SpendLimits:
        return SpendLimits(
            call_usd=self.call_usd,
            agent_day_usd=self.agent_day_usd,
            day_usd=self.day_usd,
            month_usd=self.month_usd,
            equity_share_year=self.equity_share_year,
        )


class ModelSettings(BaseModel):
    """Who is asked, how patiently, and for how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Provider = Field(
        Provider.ANTHROPIC,
        description="anthropic, or compatible: a server at ANTHROPIC_BASE_URL without its extras",
    )
    cheaper_model: str = Field(HAIKU, min_length=1, description="Model every role asks when money is short")
    timeout_s: float = Field(90.0, ge=1, le=600, description="Longest wait for an answer, retries included")
    tries: int = Field(3, ge=1, le=5, description="Attempts where the server is busy or away")
    max_wait_s: float = Field(
        20.0,
        ge=0,
        le=120,
        description="Longest wait between attempts, seconds; beyond it rules decide",
    )
    concurrency: int = Field(4, ge=1, le=32, description="Questions under way at once in one process")
    budget: Budget = Budget()
    regime: RoleModel = RoleModel()
    research: LargeRoleModel = LargeRoleModel()
    news: RoleModel = RoleModel()
    strategy: LargeRoleModel = LargeRoleModel()
    risk: RoleModel = RoleModel()
    learning: LargeRoleModel = LargeRoleModel()
    prices: dict[str, PriceOverride] = Field(
        {},
        description="Prices that win over the built-in ones, dollars a million tokens, as JSON: "
        '{"model": {"input": 0.1, "output": 0.5, "cache_write_5m": 0.125, "cache_write_1h": 0.2, '
        '"cache_read": 0.01, "as_of": "2026-10-07", "source": "price page"}}',
    )

    def of(self, agent: AgentName) -> RoleModel:
        role: RoleModel = getattr(self, agent.value)
        return role

    @property
    def configured(self) -> tuple[str, ...]:
        """Every model that may be asked, each once."""
        return tuple(dict.fromkeys([*(self.of(agent).model for agent in AgentName), self.cheaper_model]))


@dataclass(frozen=True, kw_only=True)
class ModelCheck:
    """What is known of a configured model. `usable` is None where the server would not say."""

    model: str
    agents: tuple[AgentName, ...]  # whose own model it is
    usable: bool | None
    lifecycle: str  # active, deprecated, retired, or nothing
    retires_at: datetime | None
    price_source: str  # "" where no price is known: it is never asked
    note: str
