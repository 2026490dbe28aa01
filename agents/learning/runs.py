"""The port between evidence and whatever can say what rules would have traded over a history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Protocol

from agents.learning.space import DeskRules
from agents.trading.costs import Costs
from storage.records import Direction, ExitReason, SetupType, Volatility


class Key(NamedTuple):
    """An opportunity: the session on whose close it showed, and the symbol."""

    session: date
    symbol: str


@dataclass(frozen=True, kw_only=True)
class SimulatedTrade:
    """One trade from signal to exit; prices in dollars a share, `r` net of all costs.

    `shares` are those bought; a split changes what is sold. `stop` is the first one, which R is measured to.
    """

    key: Key
    setup: SetupType
    direction: Direction
    volatility: Volatility
    entered: date
    shares: int
    entry_price: Decimal
    stop: Decimal
    target: Decimal
    exited: date
    exit_price: Decimal
    exit_reason: ExitReason
    r: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one set of rules made of a history: its trades by opportunity, in the order of the signals.

    `open_ended` trades did not end in it; `still_open` are their opportunities. `index_return` is the index
    bought at the first close and held to the last, a fraction; None without an index on both.
    """

    sessions: tuple[date, ...]
    trades: Mapping[Key, SimulatedTrade]
    open_ended: int
    still_open: frozenset[Key] = frozenset()
    index_symbol: str | None = None
    index_return: float | None = None


class Simulator(Protocol):
    """Whoever can say what rules would have traded: simulation.py, or a faster kernel that agrees."""

    @property
    def sessions(self) -> Sequence[date]:
        """The sessions on whose close there is something to decide."""

    async def run(self, rules: DeskRules, costs: Costs) -> Run:
        """The trades of the rules, one at a time in a symbol; the same for the same rules."""


def doubled(costs: Costs) -> Costs:
    """The same costs twice: what a change must survive to be believed. Cut off at what Costs allows."""
    most = {"market_bps": 100.0, "stop_bps": 200.0}
    twice = {name: min(2 * getattr(costs, name), bound) for name, bound in most.items()}
    commission = min(2 * costs.commission_usd, Decimal(50))
    return costs.model_copy(update={**twice, "commission_usd": commission})


def longest_hold(*rules: DeskRules) -> int:
    """The most sessions from a signal to the end of its trade under any of these rules."""
    setups = [one.setups for one in rules]
    return 1 + max(
        max(some.oversold_bounce.max_hold, some.momentum.max_hold, some.breakout.max_hold) for some in setups
    )
