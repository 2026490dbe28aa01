"""A step of a session: what it is handed and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from agents.base import EVERYBODY, Attendance
from agents.brokers.paper import Tape
from agents.brokers.port import Broker
from agents.consensus import ConsensusRules
from agents.learning.source import EvidenceSource
from agents.market.actions import Actions
from agents.market.bars import Bar as MarketBar
from agents.market.bars import MarketView
from agents.market.company import Dossiers
from agents.market.earnings import EarningsCalendar
from agents.market.indicators import Technicals
from agents.market.news.sources import News
from agents.orchestrator import AgentOrchestrator
from agents.roles.asking import Models
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.trading.book import OpenPosition
from agents.trading.costs import Costs
from agents.trading.limits import Limits, Protections
from agents.trading.policy import RegimePolicy
from agents.trading.screener import ScreenResult, ScreenRules
from agents.trading.setups import Setups
from app.runtime.brokers import BrokerOf, Counter
from app.runtime.sources import PriceNow
from storage.journal import Journal
from storage.ledger import Ledger
from storage.memory import AgentMemory, StoredBar
from storage.models import ParameterVersion, Position
from storage.models.base import Json
from storage.records import DeskKind, SetupType, Slot, to_price
from storage.spending import SpendLimits

# What has happened on the exchange by the time a slot is due.
SESSION_OVER = frozenset(list(Slot)[list(Slot).index(Slot.SETTLE) :])
AUCTION_OVER = SESSION_OVER | {Slot.OPEN}

PARAMETERS = ("setups", "regime_policy", "protections", "consensus")  # names of DeskParts


@dataclass(frozen=True, kw_only=True)
class DeskParts:
    """What every step of a desk works with; made once by app/wiring.py."""

    kind: DeskKind
    regime_detector: RegimeDetectorAgent
    orchestrator: AgentOrchestrator
    limits: Limits
    costs: Costs
    screen: ScreenRules
    setups: Setups
    regime_policy: RegimePolicy
    protections: Protections
    consensus: ConsensusRules
    spend_limits: SpendLimits
    broker: BrokerOf
    models: Models | None  # None: the desk asks no model, as on HISTORY
    home: Path  # where the desk keeps what is no row: its weekly reports

    def parameters(self) -> Json:
        """What a parameter version keeps of them beside limits, costs and screen."""
        return {name: getattr(self, name).model_dump(mode="json") for name in PARAMETERS}


def under(parts: DeskParts, version: ParameterVersion) -> DeskParts:
    """The parts under the rules in force: those of the database, not this process's own settings."""
    return replace(
        parts,
        limits=Limits.model_validate(version.limits),
        costs=Costs.model_validate(version.costs),
        screen=ScreenRules.model_validate(version.screen),
        setups=Setups.model_validate(version.parameters["setups"]),
        regime_policy=RegimePolicy.model_validate(version.parameters["regime_policy"]),
        protections=Protections.model_validate(version.parameters["protections"]),
        consensus=ConsensusRules.model_validate(version.parameters["consensus"]),
    )


class Screening(Protocol):
    """The screen of a session's close for some setups: worked out when first asked for."""

    def __call__(self, *, allowed: frozenset[SetupType]) -> ScreenResult: ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step at work. Everything it writes lies in the transaction of `database`."""

    database: AsyncSession
    parts: DeskParts
    parameters_version: int
    session: date
    slot: Slot
    next_session: date | None  # None on the last session of a history
    view: MarketView  # as of the close of `session`; a morning step reads nothing of it but the open
    screened: Screening
    now: datetime  # the desk's clock
    wall_now: datetime  # the wall's clock, for what humans did
    actions: Actions | None = None  # None: the desk's source does not know of any
    earnings: EarningsCalendar | None = None  # None: the desk has no source of such dates
    prices: Mapping[str, PriceNow] = field(default_factory=dict)  # of what the slot looks at, while it trades
    news: News | None = None  # None: nobody was asked for any
    fundamentals: Mapping[str, Json] = field(default_factory=dict)  # key metrics and ratios by symbol
    dossiers: Dossiers | None = None  # None: the desk has no source of news or fundamentals
    attendance: Attendance = EVERYBODY
    missed_open: bool = False  # too late for orders that were to rest before this open
    missed_close: bool = False  # and for those that were to rest before this close
    evidence: EvidenceSource | None = None  # None: the loop reads the bars the desk has stored
    verdicts_until: datetime | None = None  # wall clock; None where the desk itself asks and waits

    @cached_property
    def broker(self) -> Broker:
        """The desk's account at its broker."""
        tape = Tape(
            view=self.view,
            session=self.session,
            opened=self.slot in AUCTION_OVER,
            closed=self.slot in SESSION_OVER,
            actions=self.actions,
        )
        return self.parts.broker(Counter(self.database, tape, self.parts.costs, self.now))

    @property
    def journal(self) -> Journal:
        return Journal(self.database)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database)

    @property
    def memory(self) -> AgentMemory:
        return AgentMemory(self.database)


@dataclass(frozen=True)
class StepResult:
    """One sentence for the log, and the figures behind it."""

    summary: str
    figures: Json


def held(position: Position) -> OpenPosition:
    """A stored position as the trading rules know it."""
    return OpenPosition(
        id=position.id,
        symbol=position.symbol,
        setup_type=position.setup_type,
        shares=position.shares,
        entry_session=position.entry_session,
        entry_price=position.entry_price,
        entry_fee=position.entry_fee,
        stop=position.stop,
        initial_stop=position.initial_stop,
        target=position.target,
        max_hold=position.max_hold,
        low_since=position.low_since,
        high_since=position.high_since,
        last_close=position.last_close,
        last_session=position.last_session,
        sold_shares=position.sold_shares,
        sold_fees=position.sold_fees,
    )


def stored(bar: MarketBar) -> StoredBar:
    """A bar of the market as it is kept."""
    return StoredBar(
        symbol=bar.symbol,
        session=bar.session,
        open=to_price(bar.open),
        high=to_price(bar.high),
        low=to_price(bar.low),
        close=to_price(bar.close),
        volume=bar.volume,
    )


def technicals_json(technicals: Technicals) -> Json:
    return {**asdict(technicals), "session": technicals.session.isoformat()}


def technicals_from_json(stored: Json) -> Technicals:
    return Technicals(**{**stored, "session": date.fromisoformat(str(stored["session"]))})  # type: ignore[arg-type]
