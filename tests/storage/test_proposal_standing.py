"""What became of a change: said, tried, in force, named by a trade, measured, taken back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import psycopg
import pytest

from storage.learning_records import AdjustmentOutcome, ChangeVerb, ExperimentState
from storage.memory import AgentMemory
from storage.proposal_standing import AdjustmentMeasure, Interval, TrialWeek, read_standing
from storage.proposal_text import proposal_text
from storage.proposals import read_proposals, reject
from storage.records import Direction, uuid7
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, CLOSE, SESSIONS, execute, writing
from tests.storage.test_proposals import change

EXPERIMENT = """
    insert into experiments (id, adjustment_id, champion_version, started, scale, block_weeks, weeks, e_up,
        e_down, opportunities, mean, state, note, updated)
    values (%s, %s, 1, '2008-01-04', 0.65, 1,
        '[{"monday": "2007-12-31", "total": 0.6, "opportunities": 2}]', 1.24, 0.76, 2, 0.3, 'running',
        'week 1', '2008-01-11')
"""
PAIR = """
    insert into shadow_pairs (id, experiment_id, session, symbol, direction, champion_r, challenger_r,
        resolved)
    values (gen_random_uuid(), %s, '2008-01-04', %s, %s, 0.1, %s, %s)
"""
MEASURE = AdjustmentMeasure(
    outcome=AdjustmentOutcome.IMPROVED,
    sharpe_before=0.4,
    sharpe_after=1.1,
    win_rate_before=0.5,
    win_rate_after=0.6,
    sharpe_after_interval=Interval(low=-0.2, high=2.4),
    difference=0.31,
    difference_interval=Interval(low=0.02, high=0.6),
    matched=(24, 19),
    detector=3.5,
)


async def test_a_change_says_what_became_of_it(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
    async with build.transaction(database) as session:
        own = await AgentMemory(session).store_adjustment(change(), now=CLOSE)
    trial = uuid7()
    with psycopg.connect(database, autocommit=True) as connection:
        empty = read_standing(connection, own)
        assert (empty.verdicts, empty.trial, empty.measure, empty.first_trade) == ((), None, None, None)
        [row] = read_proposals(connection, most=5)
        assert row.diff == ()
        assert reject(connection, own, row.digest, "too few", ADA).accepted
        execute(database, EXPERIMENT, trial, own)
        for number, gain in enumerate((0.7, 0.1)):
            execute(database, PAIR, trial, f"A{number}", "BULL", gain, SESSIONS[0])
        execute(database, PAIR, trial, "OPEN", "BEAR", None, None)
        async with build.transaction(database) as session:
            await AgentMemory(session).store_adjustment_outcome(own, MEASURE, now=CLOSE)
        execute(
            database,
            "update strategy_adjustments set applied_session = %s, applied_version = 1,"
            " status = 'rolled_back',"
            " rolled_back_by = 'ada', rolled_back_because = 'it lost'",
            SESSIONS[0],
        )
        found = read_standing(connection, own)
        with pytest.raises(LookupError):
            read_standing(connection, uuid7())
        lines = [part.text for part in proposal_text(row, found)]

    assert [(said.verb, said.given_by, said.reason) for said in found.verdicts] == [
        (ChangeVerb.REJECTED, "ada", "too few")
    ]
    assert found.trial is not None
    assert found.trial.state is ExperimentState.RUNNING and found.trial.open_pairs == 1
    assert found.trial.weeks == (TrialWeek(monday=date(2007, 12, 31), total=0.6, opportunities=2),)
    [cell] = found.trial.by_regime
    assert (cell.direction, cell.n) == (Direction.BULL, 2) and cell.mean == pytest.approx(0.3)
    assert found.measure == MEASURE and asdict(found.measure)["matched"] == (24, 19)
    assert found.first_trade is None
    told = "\n".join(lines)
    for words in (
        "ada rejected: too few",
        "running since 2008-01-04, 1 of 26 weeks",
        "E+ 1.24 of 40, E- 0.76 of 5",
        "IMPROVED, +0.310 R (95% +0.02 to +0.60) over 24 and 19 trades of the same regimes",
        "Sharpe 0.40 -> 1.10 (95% -0.20 to +2.40)",
        "no trade names it yet",
        "by ada: it lost",
    ):
        assert words in told
