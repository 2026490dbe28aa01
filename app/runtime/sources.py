"""What a desk that runs by the clock knows of the market, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from agents.market.actions import Actions
from agents.market.bars import MarketView
from agents.market.earnings import EarningsCalendar
from agents.market.history import HistoryPack
from agents.market.news.sources import News
from app.runtime.slots import AGENTS_OFF, ORCHESTRATED, SLOTS, Need
from storage.models.base import Json
from storage.records import Slot


@dataclass(frozen=True, kw_only=True)
class PriceNow:
    """What a symbol trades at, in dollars: the last trade in the session, bid and ask before the open.

    A side nobody quotes is None.
    """

    as_of: datetime
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Market:
    """The market as one run may know it: nothing in it is past its lifetime.

    `missing` says, a sentence each, what the run does without; `figures` how much of what it has is how old,
    and until when it is good.
    """

    view: MarketView
    actions: Actions | None = None  # None: the source does not know of any, or not of all that is held
    earnings: EarningsCalendar | None = None  # None: no source knows when companies report
    prices: Mapping[str, PriceNow] = field(default_factory=dict)
    news: News | None = None
    fundamentals: Mapping[str, Json] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    figures: Json = field(default_factory=dict)


class MarketNotReady(Exception):
    """A run that must not go without what is missing; it is tried again."""


class MarketSource(Protocol):
    """Where the market of a desk's runs comes from."""

    @property
    def last(self) -> date:
        """The last session there will be bars of, for as long as this process lives."""

    async def put_in_force(self) -> None:
        """Put this process's rules of asking in force for all; for whoever leads the desk."""

    async def gap(self, slot: Slot) -> str:
        """Why the source cannot serve a slot now whatever is tried, or nothing."""

    async def ready(self, slot: Slot, session: date) -> Market:
        """Fetch what the slot wants, and tell the market as of its session. Raises MarketNotReady.

        Whatever is written for it is committed before this returns.
        """


class PackMarket:
    """A history pack as a rehearsal's source: everything is there."""

    def __init__(self, pack: HistoryPack) -> None:
        self._pack = pack

    @property
    def last(self) -> date:
        return self._pack.last

    async def put_in_force(self) -> None:
        """A pack has no rules."""

    async def gap(self, slot: Slot) -> str:
        return ""

    async def ready(self, slot: Slot, session: date) -> Market:
        return Market(view=self._pack.view(session), actions=self._pack.actions)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """`lacking`: one sentence for each need the desk cannot meet. `agents`: whether any are scheduled."""

    market: MarketSource | None
    lacking: Mapping[Need, str]
    agents: bool = True

    def lacks(self, slot: Slot, session: date | None = None) -> str:
        """Why a slot cannot be run by this desk's settings, or nothing."""
        if not self.agents and slot in ORCHESTRATED:
            return AGENTS_OFF
        need = SLOTS[slot].needs
        if need is None:
            return ""
        if need in self.lacking:
            return self.lacking[need]
        if need is Need.BARS and session is not None and self.market and session > self.market.last:
            return f"lacks {need}: they end on {self.market.last}"
        return ""

    async def lacks_now(self, slot: Slot, session: date | None = None) -> str:
        """Why a slot cannot be run now: by the settings, or by what the source is refused."""
        need = SLOTS[slot].needs
        if (lacks := self.lacks(slot, session)) or need is None or self.market is None:
            return lacks
        gap = await self.market.gap(slot)
        return f"lacks {need}: {gap}" if gap else ""

    async def ready(self, slot: Slot, session: date) -> Market:
        """The market of a run; empty for a desk that has no market data. Raises MarketNotReady."""
        if self.market is None:
            return Market(view=MarketView(session, {}, {}))
        found = await self.market.ready(slot, session)
        if Need.CORPORATE_ACTIONS in self.lacking:
            return replace(found, actions=None)
        return found
