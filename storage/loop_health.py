"""How the learning loop stands, for a screen: psycopg only, no SQLAlchemy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import psycopg

from storage.learning_records import AdjustmentStatus, ExperimentState, LoopStage
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

MOST_LESSONS = 20
MOST_ALARMS = 10


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """The last run of a stage."""

    stage: LoopStage
    session: date
    rows_in: int
    rows_out: int
    note: str
    finished_at: datetime


@dataclass(frozen=True, kw_only=True)
class LessonRow:
    """A lesson and the decision it stood beside; the newest decisions come first."""

    sentence: str
    made: date
    expires: date
    session: date
    symbol: str


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """The trial of a change, whatever became of it: wealths E+ and E-, mean in R an opportunity."""

    short_id: str
    parameter_name: str
    old_value: str
    new_value: str
    status: AdjustmentStatus
    state: ExperimentState
    started: date
    e_up: float
    e_down: float
    opportunities: int
    mean: float | None
    note: str


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class _Counts:
    trials: int
    resolved: int
    pending: int
    blocked: int


@dataclass(frozen=True, kw_only=True)
class LoopHealth:
    """The loop as of now. `trials` counts every variant ever run; outcomes are of trades."""

    stages: tuple[StageRow, ...]
    trials: int
    resolved: int
    pending: int
    blocked: int  # held, but without a bar on the desk's last session
    shadow: tuple[TrialRow, ...]  # latest first, those that are over too
    lessons: tuple[LessonRow, ...]
    alarms: tuple[AlarmRow, ...]


def read_loop_health(connection: Connection) -> LoopHealth:
    """Everything a screen shows of the loop, from one connection."""
    counts = fetch_one(connection, _Counts, _COUNTS)
    assert counts is not None  # a query of counts has one row
    return LoopHealth(
        stages=fetch_all(connection, StageRow, _STAGES),
        trials=counts.trials,
        resolved=counts.resolved,
        pending=counts.pending,
        blocked=counts.blocked,
        shadow=fetch_all(connection, TrialRow, _SHADOW),
        lessons=fetch_all(connection, LessonRow, _LESSONS, [MOST_LESSONS]),
        alarms=fetch_all(connection, AlarmRow, _ALARMS, [MOST_ALARMS]),
    )


_STAGES = """
select * from (
    select distinct on (stage) stage, session, rows_in, rows_out, note, finished_at
      from loop_stages order by stage, session desc
) last order by array_position(array['measure', 'analyse', 'propose', 'evidence', 'store'], stage::text)
"""
_COUNTS = """
    select (select count(*) from trial_registry) as trials,
           (select count(*) from trade_outcomes) as resolved,
           count(*) as pending,
           count(*) filter (where last_session < (select max(session) from equity)) as blocked
      from positions where state = 'open'
"""
_SHADOW = """
    select a.short_id, a.parameter_name,
           case a.kind when 'prompt' then 'the words before' else a.old_value end as old_value,
           case a.kind when 'prompt' then 'other words' else a.new_value end as new_value, a.status,
           e.state, e.started, e.e_up,
           e.e_down, e.opportunities, e.mean, e.note
      from experiments e join strategy_adjustments a on a.id = e.adjustment_id
     order by e.started desc, a.short_id
"""
_LESSONS = """
    select c.sentence, c.made, c.expires, d.session, d.symbol
      from claim_links l
      join claims c on c.id = l.claim_id
      join deliberations d on d.id = l.deliberation_id
     order by d.session desc, d.symbol, c.sentence limit %s
"""
_ALARMS = "select at, text from operations where kind = 'loop' order by at desc limit %s"
