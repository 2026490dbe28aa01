"""A step of a session: what it is handed, what it returns, and when it is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.bars import MarketView
from agents.market.calendar import NEW_YORK, close_time, open_time
from agents.market.indicators import Technicals
from agents.orchestrator import AgentOrchestrator
from agents.roles.regime_detector import RegimeDetectorAgent
from agents.trading.book import OpenPosition
from agents.trading.costs import Costs
from agents.trading.limits import Limits
from agents.trading.screener import ScreenResult, ScreenRules
from agents.trading.setups import OversoldBounceParameters
from storage.journal import Journal
from storage.ledger import Ledger
from storage.memory import AgentMemory
from storage.models import Position
from storage.models.base import Json
from storage.records import DeskKind, Slot


@dataclass(frozen=True, kw_only=True)
class DeskParts:
    """What every step of a desk works with; made once by app/wiring.py."""

    kind: DeskKind
    regime_detector: RegimeDetectorAgent
    orchestrator: AgentOrchestrator
    limits: Limits
    costs: Costs
    screen: ScreenRules
    oversold_bounce: OversoldBounceParameters


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step at work. Everything it writes lies in the transaction of `database`."""

    database: AsyncSession
    parts: DeskParts
    parameters_version: int
    session: date
    next_session: date | None  # None on the last session of a history
    view: MarketView  # as of the close of `session`; a morning step reads nothing of it but the open
    screened: Callable[[], ScreenResult]  # of this session's close: worked out when first asked for
    now: datetime  # the desk's clock
    wall_now: datetime  # the wall's clock, for what humans did

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


def due_at(session: date, slot: Slot) -> datetime:
    """When a slot of a session is due, UTC."""
    match slot:
        case Slot.CUTOFF:
            return open_time(session) - timedelta(minutes=5)
        case Slot.OPEN:
            return open_time(session) + timedelta(minutes=5)
        case Slot.SETTLE:
            return close_time(session) + timedelta(minutes=90)
        case Slot.REGIME:
            return _new_york(session, time(18, 0))
        case Slot.SCREEN:
            return _new_york(session, time(18, 5))
        case Slot.DELIBERATE:
            return _new_york(session, time(18, 30))
        case Slot.DIGEST:
            return _new_york(session, time(18, 45))


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
        target=position.target,
        max_hold=position.max_hold,
        low_since=position.low_since,
        high_since=position.high_since,
        last_close=position.last_close,
        last_session=position.last_session,
    )


def technicals_json(technicals: Technicals) -> Json:
    return {**asdict(technicals), "session": technicals.session.isoformat()}


def technicals_from_json(stored: Json) -> Technicals:
    return Technicals(**{**stored, "session": date.fromisoformat(str(stored["session"]))})  # type: ignore[arg-type]


def _new_york(session: date, at: time) -> datetime:
    return datetime.combine(session, at, NEW_YORK).astimezone(UTC)
