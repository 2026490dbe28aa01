"""What a night of learning is handed, and the small tools its stages share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from agents.learning.space import DeskRules
from agents.market.calendar import next_session
from agents.trading.costs import Costs
from storage.memory import AgentMemory
from storage.models import ParameterVersion

T = TypeVar("T")

Transactions = Callable[[], AbstractAsyncContextManager[AgentMemory]]


@dataclass(frozen=True, kw_only=True)
class Tonight:
    """One night: the session that is over, the rules in force and their version.

    `now` is the desk's clock, `wall_now` the wall's; `expires_at` is when a proposal nobody answers is gone,
    by the wall's clock, None where the desk itself waits.
    """

    session: date
    now: datetime
    wall_now: datetime
    rules: DeskRules
    costs: Costs
    version: int
    expires_at: datetime | None

    @property
    def ends_week(self) -> bool:
        """Whether no session of this week is left."""
        following = next_session(self.session)
        return following.isocalendar()[:2] != self.session.isocalendar()[:2]


def rules_of(version: ParameterVersion) -> DeskRules:
    """What of a version learning may change; ValidationError for one the desk could not trade by."""
    parameters: dict[str, Any] = dict(version.parameters)
    return DeskRules.model_validate(
        {
            "setups": parameters["setups"],
            "screen": version.screen,
            "regime_policy": parameters["regime_policy"],
            "limits": version.limits,
            "pool": parameters["consensus"]["pool"],
        }
    )


async def aside(work: Coroutine[Any, Any, T]) -> T:
    """Compute in a thread of its own, so that the process goes on giving signs of life."""
    return await asyncio.to_thread(asyncio.run, work)
