"""Changes of a parameter: proposed with their evidence, decided by a human, measured afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select

from storage.learning_records import AdjustmentKind, AdjustmentOutcome, AdjustmentStatus
from storage.memory.part import Part
from storage.models import Equity, StrategyAdjustment, TradeOutcome
from storage.proposal_evidence import ProposalEvidence, proposal_digest
from storage.proposal_standing import AdjustmentMeasure
from storage.records import AgentName, Direction, uuid7


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """A change that is proposed, or was refused before anybody was asked; confidence 0-100.

    `session` is the one whose night proposes it. `unit` and `bounds` are as a human reads them.
    """

    session: date
    kind: AdjustmentKind
    parameter: str
    family: str
    unit: str = ""
    bounds: str = ""
    old_value: str
    new_value: str
    reasoning: str
    expected_impact: str
    confidence: float
    proposed_by: AgentName
    evidence: ProposalEvidence
    experiment: str | None = None
    expires_at: datetime | None = None
    refused_because: str | None = None

    @property
    def digest(self) -> str:
        """The fingerprint a decision must name."""
        return proposal_digest(
            self.kind, self.parameter, self.old_value, self.new_value, self.evidence.to_json()
        )


@dataclass(frozen=True, kw_only=True)
class AdjustmentRow:
    """A change as it stands: what was proposed, what became of it."""

    id: UUID
    parameter: str
    old_value: str
    new_value: str
    reasoning: str
    expected_impact: str
    confidence: float
    proposed_by: AgentName
    status: AdjustmentStatus
    outcome: AdjustmentOutcome
    sharpe_before: float | None
    sharpe_after: float | None
    win_rate_before: float | None
    win_rate_after: float | None
    decided_by: str | None
    effective_at: datetime | None
    measured_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Span:
    """What the desk did between two instants: results in R by exit, daily returns as fractions.

    `regimes` are the market's directions on the signals of the trades, as many as results.
    """

    r: tuple[float, ...]
    returns: tuple[float, ...]
    regimes: tuple[Direction, ...] = ()


class AdjustmentMemory(Part):
    async def store_adjustment(self, proposed: Adjustment, *, now: datetime) -> UUID:
        """Keep a proposed change; its id. IntegrityError where that night proposed it already."""
        own_id = uuid7()
        row = StrategyAdjustment(
            id=own_id,
            short_id=f"CHG-{own_id.hex[-5:].upper()}",
            session=proposed.session,
            kind=proposed.kind,
            family=proposed.family,
            unit=proposed.unit,
            bounds=proposed.bounds,
            parameter_name=proposed.parameter,
            old_value=proposed.old_value,
            new_value=proposed.new_value,
            reasoning=proposed.reasoning,
            expected_impact=proposed.expected_impact,
            confidence_score=Decimal(str(proposed.confidence)),
            proposed_by=proposed.proposed_by,
            status=AdjustmentStatus.REFUSED if proposed.refused_because else AdjustmentStatus.PROPOSED,
            refused_because=proposed.refused_because,
            outcome=AdjustmentOutcome.PENDING,
            evidence=proposed.evidence.to_json(),
            expires_at=proposed.expires_at,
            digest=proposed.digest,
            experiment=proposed.experiment,
            created_at=now,
        )
        self._session.add(row)
        await self._session.flush()
        return row.id

    async def store_adjustment_outcome(
        self, adjustment_id: UUID, measure: AdjustmentMeasure, *, now: datetime
    ) -> None:
        """Write down what a change came to so far; measured again it is replaced."""
        row = await self._session.get_one(StrategyAdjustment, adjustment_id)
        row.outcome = measure.outcome
        row.sharpe_before, row.sharpe_after = measure.sharpe_before, measure.sharpe_after
        row.win_rate_before, row.win_rate_after = measure.win_rate_before, measure.win_rate_after
        row.measure = asdict(measure)
        row.measured_at = now

    async def adjustments(
        self, *, status: AdjustmentStatus | None = None, most: int
    ) -> Sequence[AdjustmentRow]:
        """The last changes, latest first."""
        rows = await self._session.scalars(
            select(StrategyAdjustment)
            .where(*([StrategyAdjustment.status == status] if status else []))
            .order_by(StrategyAdjustment.created_at.desc(), StrategyAdjustment.id.desc())
            .limit(most)
        )
        return [
            AdjustmentRow(
                id=row.id,
                parameter=row.parameter_name,
                old_value=row.old_value,
                new_value=row.new_value,
                reasoning=row.reasoning,
                expected_impact=row.expected_impact,
                confidence=float(row.confidence_score),
                proposed_by=row.proposed_by,
                status=row.status,
                outcome=row.outcome,
                sharpe_before=row.sharpe_before,
                sharpe_after=row.sharpe_after,
                win_rate_before=row.win_rate_before,
                win_rate_after=row.win_rate_after,
                decided_by=row.decided_by,
                effective_at=row.effective_at,
                measured_at=row.measured_at,
                created_at=row.created_at,
            )
            for row in rows
        ]

    async def span(
        self, first: datetime, last: datetime, *, before: int | None = None, since: int | None = None
    ) -> Span:
        """The trades entered from one instant on and closed before another, and the closes marked in between.

        Only trades of versions below `before`, or from `since` on, where these are given: what was decided
        under another version says nothing.
        """
        which = [TradeOutcome.entry_time >= first, TradeOutcome.exit_time < last]
        if before is not None:
            which.append(TradeOutcome.parameters_version < before)
        if since is not None:
            which.append(TradeOutcome.parameters_version >= since)
        trades = await self._session.execute(
            select(TradeOutcome.r_multiple, TradeOutcome.market_regime)
            .where(*which)
            .order_by(TradeOutcome.exit_time, TradeOutcome.symbol)
        )
        returns = await self._session.scalars(
            select(Equity.day_return)
            .where(Equity.session >= _day(first), Equity.session < _day(last))
            .order_by(Equity.session)
        )
        found = trades.all()
        return Span(
            r=tuple(row.r_multiple for row in found),
            returns=tuple(returns),
            regimes=tuple(row.market_regime for row in found),
        )


def _day(moment: datetime) -> date:
    return moment.date()
