"""Past trades: what was known of each by an instant, and those most like a candidate as examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from statistics import fmean
from uuid import UUID

from sqlalchemy import ARRAY, Cast, Uuid, any_, cast, literal, select

from storage.memory.part import Part
from storage.models import Approval, Deliberation, Position, RegimeReading, TradeOutcome, Vote
from storage.models.base import Json
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility


@dataclass(frozen=True, kw_only=True)
class StoredTrade:
    """One closed trade as the desk recorded it; readings are of the signal's close, `r` is net of costs.

    `conviction` is the mean of those that voted for it, 0-1.
    """

    id: UUID
    symbol: str
    sector: str | None
    setup: SetupType
    regime: Direction
    volatility: Volatility
    rsi: float | None
    vix: float | None
    exit_reason: ExitReason
    entered: date
    closed: date
    r: float
    stances: tuple[tuple[AgentName, Stance], ...]
    conviction: float | None


@dataclass(frozen=True, kw_only=True)
class CandidateWanted:
    """Which candidate past trades are to be compared with; None leaves a property open."""

    setup: SetupType | None = None
    regime: Direction | None = None
    volatility: Volatility | None = None
    symbols: Collection[str] | None = None


@dataclass(frozen=True, kw_only=True)
class PastCandidate:
    """A candidate as it was argued over: its readings are those of that evening's close."""

    deliberation_id: UUID
    symbol: str
    session: date
    setup_type: SetupType
    technicals: Json


@dataclass(frozen=True, kw_only=True)
class PastTrade:
    """A closed trade as an example; `distance` to the state asked about, 0 is the same."""

    symbol: str
    setup_type: SetupType
    market_regime: Direction
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    pnl: Decimal
    r_multiple: float
    distance: float | None


class PatternMemory(Part):
    """Asks about what was known by an instant only: nothing here is later than the decision it serves."""

    async def trades_known(self, *, before: datetime) -> Sequence[StoredTrade]:
        """Every trade closed before an instant, in the order of their exits.

        One whose end the desk learned only later, from bars that came late, was not known then.
        """
        rows = await self._session.execute(
            select(
                TradeOutcome.id,
                TradeOutcome.symbol,
                TradeOutcome.sector,
                TradeOutcome.setup_type,
                TradeOutcome.market_regime,
                TradeOutcome.volatility,
                TradeOutcome.rsi_at_entry,
                TradeOutcome.vix_at_entry,
                TradeOutcome.exit_reason,
                TradeOutcome.r_multiple,
                Position.entry_session,
                Position.closed_session,
                Approval.deliberation_id,
            )
            .join(Position, Position.id == TradeOutcome.position_id)
            .join(Approval, Approval.id == Position.approval_id)
            .where(TradeOutcome.exit_time < before, TradeOutcome.created_at <= before)
            .order_by(TradeOutcome.exit_time, TradeOutcome.symbol)
        )
        found = rows.all()
        votes = await self._votes([row.deliberation_id for row in found])
        return [
            StoredTrade(
                id=row.id,
                symbol=row.symbol,
                sector=row.sector,
                setup=row.setup_type,
                regime=row.market_regime,
                volatility=row.volatility,
                rsi=row.rsi_at_entry,
                vix=None if row.vix_at_entry is None else float(row.vix_at_entry),
                exit_reason=row.exit_reason,
                entered=row.entry_session,
                closed=row.closed_session,
                r=row.r_multiple,
                stances=tuple((agent, stance) for agent, stance, _ in votes.get(row.deliberation_id, ())),
                conviction=_mean_conviction(votes.get(row.deliberation_id, ())),
            )
            for row in found
            if row.closed_session is not None
        ]

    async def _votes(self, of: Sequence[UUID]) -> Mapping[UUID, list[tuple[AgentName, Stance, float | None]]]:
        rows = await self._session.execute(
            select(Vote.deliberation_id, Vote.agent_name, Vote.stance, Vote.conviction)
            .where(Vote.deliberation_id == any_(_ids(of)), Vote.veto_only.is_(False))
            .order_by(Vote.agent_name)
        )
        by_argument: dict[UUID, list[tuple[AgentName, Stance, float | None]]] = {}
        for deliberation_id, agent, stance, conviction in rows:
            by_argument.setdefault(deliberation_id, []).append((agent, stance, conviction))
        return by_argument

    async def last_candidate(self, wanted: CandidateWanted, *, before: datetime) -> PastCandidate | None:
        """The last candidate of a kind that was argued over before an instant, the best of its evening."""
        statement = (
            select(
                Deliberation.id.label("deliberation_id"),
                Deliberation.symbol,
                Deliberation.session,
                Deliberation.setup_type,
                Deliberation.technical_snapshot.label("technicals"),
            )
            .where(Deliberation.created_at < before)
            .order_by(Deliberation.session.desc(), Deliberation.rank)
            .limit(1)
        )
        if wanted.setup is not None:
            statement = statement.where(Deliberation.setup_type == wanted.setup)
        if wanted.symbols is not None:
            statement = statement.where(Deliberation.symbol.in_(wanted.symbols))
        if wanted.regime is not None or wanted.volatility is not None:
            statement = statement.join(RegimeReading, RegimeReading.session == Deliberation.session)
        if wanted.regime is not None:
            statement = statement.where(RegimeReading.direction == wanted.regime)
        if wanted.volatility is not None:
            statement = statement.where(RegimeReading.volatility == wanted.volatility)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else PastCandidate(**row._mapping)

    async def past_trades(
        self,
        ids: Collection[UUID],
        *,
        most: int,
        like: Sequence[float] | None = None,
        but: UUID | None = None,
    ) -> Sequence[PastTrade]:
        """Of these outcomes the latest, or those nearest to the state `like` (Euclidean, every row compared).

        What came of the deliberation `but` is left out: no trade is an example of itself.
        """
        state = TradeOutcome.state_vector
        distance = literal(None) if like is None else state.l2_distance(list(like))
        order = TradeOutcome.exit_time.desc() if like is None else distance.asc()
        statement = (
            select(
                TradeOutcome.symbol,
                TradeOutcome.setup_type,
                TradeOutcome.market_regime,
                Position.entry_session,
                Position.closed_session.label("exit_session"),
                TradeOutcome.exit_reason,
                TradeOutcome.pnl,
                TradeOutcome.r_multiple,
                distance.label("distance"),
            )
            .join(Position, Position.id == TradeOutcome.position_id)
            .join(Approval, Approval.id == Position.approval_id)
            .where(TradeOutcome.id == any_(_ids(ids)))
            .order_by(order, TradeOutcome.exit_time.desc(), TradeOutcome.symbol)
            .limit(most)
        )
        if like is not None:
            statement = statement.where(state.is_not(None))
        if but is not None:
            statement = statement.where(Approval.deliberation_id != but)
        rows = await self._session.execute(statement)
        return [PastTrade(**row._mapping) for row in rows]


def _ids(ids: Collection[UUID]) -> Cast[Sequence[UUID]]:
    """One parameter however many there are: PostgreSQL takes no more than 65,535."""
    return cast(list(ids), ARRAY(Uuid))


def _mean_conviction(votes: Sequence[tuple[AgentName, Stance, float | None]]) -> float | None:
    told = [conviction for _, stance, conviction in votes if stance is Stance.FOR and conviction is not None]
    return fmean(told) if told else None
