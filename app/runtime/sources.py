"""What a desk that runs by the clock knows of the market, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from agents.market.actions import Actions
from agents.market.bars import MarketView
from agents.market.earnings import EarningsCalendar
from app.runtime.slots import SLOTS, Need
from storage.records import Slot


class MarketSource(Protocol):
    """Settled bars of the desk's universe."""

    @property
    def last(self) -> date:
        """The last session there will be bars of, for as long as this process lives."""

    @property
    def actions(self) -> Actions:
        """The corporate actions the source knows of; none where it knows of no such thing."""

    def view(self, session: date) -> MarketView:
        """Everything known at the close of a session, and of nothing later."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """`lacking`: one sentence for each need the desk cannot meet."""

    market: MarketSource | None
    lacking: Mapping[Need, str]
    earnings: EarningsCalendar | None = None  # None: no source knows when companies report

    def lacks(self, slot: Slot, session: date | None = None) -> str:
        """Why a slot cannot be run, or nothing."""
        need = SLOTS[slot].needs
        if need is None:
            return ""
        if need in self.lacking:
            return self.lacking[need]
        if need is Need.BARS and session is not None and self.market and session > self.market.last:
            return f"lacks {need}: they end on {self.market.last}"
        return ""

    @property
    def actions(self) -> Actions | None:
        """The corporate actions of the market; None when the desk has no source of them."""
        if self.market is None or Need.CORPORATE_ACTIONS in self.lacking:
            return None
        return self.market.actions

    def view(self, session: date) -> MarketView:
        """The market as of a session's close; empty for a desk that has no market data."""
        return self.market.view(session) if self.market else MarketView(session, {}, {})
