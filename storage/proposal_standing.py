"""What became of a proposed change: what was said to it, its trial in the shadow, what it came to in force.

The console and the commands show the same of it; psycopg only. Beside it stands what was put before a human,
in storage/proposal_evidence.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from storage.learning_records import AdjustmentOutcome, ChangeVerb, ExperimentState
from storage.records import Direction
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a figure lies by 95%."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class AdjustmentMeasure:
    """Before and after a change: Sharpe ratios a year, win rates as fractions; None where too few.

    `difference` is the mean R of a trade after less before, regime by regime and weighed by the trades after;
    `matched` are the trades it rests on, before and after. `detector` is the level of the watch for getting
    worse, which alarms at 52.
    """

    outcome: AdjustmentOutcome
    sharpe_before: float | None
    sharpe_after: float | None
    win_rate_before: float | None
    win_rate_after: float | None
    sharpe_before_interval: Interval | None = None
    sharpe_after_interval: Interval | None = None
    win_rate_before_interval: Interval | None = None
    win_rate_after_interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    matched: tuple[int, int] = (0, 0)
    detector: float | None = None


@dataclass(frozen=True, kw_only=True)
class VerdictSaid:
    """One thing a human said to the change, also what was taken back."""

    verb: ChangeVerb
    given_by: str
    given_from: str
    reason: str
    given_at: datetime


@dataclass(frozen=True, kw_only=True)
class TrialWeek:
    """A week of a trial that is over: the sum of the differences in R, and how many opportunities."""

    monday: date
    total: float
    opportunities: int


@dataclass(frozen=True, kw_only=True)
class RegimePairs:
    """The resolved opportunities of a trial in one direction of the market, and their mean gain in R."""

    direction: Direction
    n: int
    mean: float


@dataclass(frozen=True, kw_only=True)
class ShadowMix:
    """What a prompt on trial decided beside the one in force, by decision, and what asking it has cost."""

    champion: Mapping[str, int]
    challenger: Mapping[str, int]
    differing: int  # questions on which they took other sides
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class TrialStanding:
    """The trial of a change: E+ and E- after its last week, against 40 and 5; figures in R an opportunity.

    `scale` is B, frozen before the first week, `block_weeks` how many weeks make one bet. `open_pairs` are
    opportunities whose result is still to come, `by_regime` those that have one. `mix` is of a prompt only.
    """

    state: ExperimentState
    champion_version: int
    started: date
    updated: date
    scale: float
    block_weeks: int
    e_up: float
    e_down: float
    opportunities: int
    mean: float | None
    note: str
    weeks: tuple[TrialWeek, ...]
    open_pairs: int
    by_regime: tuple[RegimePairs, ...]
    mix: ShadowMix | None = None


@dataclass(frozen=True, kw_only=True)
class NamedTrade:
    """The first trade put before a human under the change: it names the version it was made under."""

    short_id: str
    session: date
    parameters_version: int


@dataclass(frozen=True, kw_only=True)
class ProposalStanding:
    """Everything that happened to a change after it was proposed; None or empty where it did not."""

    read_at: datetime  # by the database's clock; what is known of later instants is newer than this
    verdicts: tuple[VerdictSaid, ...]
    trial: TrialStanding | None
    applied_session: date | None
    first_trade: NamedTrade | None
    measure: AdjustmentMeasure | None
    measured_at: datetime | None
    rolled_back_by: str | None
    rolled_back_because: str | None


def read_standing(connection: Connection, proposal_id: UUID) -> ProposalStanding:
    """What became of a change. LookupError where there is none of that id."""
    row = fetch_one(connection, _Columns, _ROW, [proposal_id])
    if row is None:
        raise LookupError(f"there is no proposed change {proposal_id}")
    first = None
    if row.applied_version is not None:
        first = fetch_one(
            connection, NamedTrade, _FIRST_TRADE, {"applied": row.applied_version, "id": proposal_id}
        )
    return ProposalStanding(
        read_at=row.read_at,
        verdicts=fetch_all(connection, VerdictSaid, _VERDICTS, [proposal_id]),
        trial=_trial(connection, proposal_id),
        applied_session=row.applied_session,
        first_trade=first,
        measure=None if row.measure is None else measure_from_json(row.measure),
        measured_at=row.measured_at,
        rolled_back_by=row.rolled_back_by,
        rolled_back_because=row.rolled_back_because,
    )


def measure_from_json(stored: Mapping[str, Any]) -> AdjustmentMeasure:
    """A measure as it was kept; TypeError or ValueError for one of another shape."""
    values = dict(stored)
    values["outcome"] = AdjustmentOutcome(values["outcome"])
    for name in [name for name in values if name.endswith("_interval") and values[name] is not None]:
        values[name] = Interval(**values[name])
    before, after = values.get("matched", (0, 0))
    values["matched"] = (before, after)
    return AdjustmentMeasure(**values)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    read_at: datetime
    applied_version: int | None
    applied_session: date | None
    measure: Mapping[str, Any] | None
    measured_at: datetime | None
    rolled_back_by: str | None
    rolled_back_because: str | None


@dataclass(frozen=True, kw_only=True)
class _Trial:
    id: UUID
    state: ExperimentState
    champion_version: int
    started: date
    updated: date
    scale: float
    block_weeks: int
    e_up: float
    e_down: float
    opportunities: int
    mean: float | None
    note: str
    weeks: list[dict[str, Any]]
    open_pairs: int


@dataclass(frozen=True, kw_only=True)
class _Decisions:
    champion: str
    challenger: str
    n: int
    cost_usd: Decimal


def _trial(connection: Connection, proposal_id: UUID) -> TrialStanding | None:
    found = fetch_one(connection, _Trial, _TRIAL, [proposal_id])
    if found is None:
        return None
    values = dict(vars(found))
    del values["id"]
    values["weeks"] = tuple(
        TrialWeek(
            monday=date.fromisoformat(week["monday"]),
            total=week["total"],
            opportunities=week["opportunities"],
        )
        for week in found.weeks
    )
    return TrialStanding(
        **values,
        by_regime=fetch_all(connection, RegimePairs, _BY_REGIME, [found.id]),
        mix=_mix(connection, found.id),
    )


def _mix(connection: Connection, experiment: UUID) -> ShadowMix | None:
    rows = fetch_all(connection, _Decisions, _DECISIONS, [experiment])
    if not rows:
        return None
    champion: Counter[str] = Counter()
    challenger: Counter[str] = Counter()
    for row in rows:
        champion[row.champion] += row.n
        challenger[row.challenger] += row.n
    return ShadowMix(
        champion=champion,
        challenger=challenger,
        differing=sum(row.n for row in rows if row.champion != row.challenger),
        cost_usd=sum((row.cost_usd for row in rows), Decimal(0)),
    )


_ROW = """
    select clock_timestamp() as read_at, applied_version, applied_session, measure, measured_at,
           rolled_back_by, rolled_back_because
      from strategy_adjustments where id = %s
"""
_VERDICTS = """
    select verb, given_by, given_from, reason, given_at
      from change_verdicts where adjustment_id = %s order by given_at, id
"""
_TRIAL = """
    select id, state, champion_version, started, updated, scale, block_weeks, e_up, e_down, opportunities,
           mean, note, weeks,
           (select count(*) from shadow_pairs p where p.experiment_id = e.id and resolved is null)
             as open_pairs
      from experiments e where adjustment_id = %s
"""
_BY_REGIME = """
    select direction, count(*) as n, avg(challenger_r - champion_r) as mean
      from shadow_pairs where experiment_id = %s and resolved is not null
     group by direction order by direction
"""
_DECISIONS = """
    select champion, challenger, count(*) as n, sum(cost_usd) as cost_usd
      from shadow_decisions where experiment_id = %s group by 1, 2 order by 1, 2
"""
_FIRST_TRADE = """
    select short_id, created_session as session, parameters_version
      from approvals
     where parameters_version >= %(applied)s and parameters_version < coalesce(
           (select min(version) from parameter_versions
             where version > %(applied)s and (adjustment_id = %(id)s or source = 'settings')),
           parameters_version + 1)
     order by created_at, id limit 1
"""
