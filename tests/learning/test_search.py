"""The search finds what is badly set, promotes no noise, counts what it tried, and says what it lacks."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.learning.evidence import HistoryVerdict
from agents.learning.search import SILENT, Night, examine, search
from agents.learning.simulation import HistorySimulator
from agents.learning.space import DeskRules, ParameterChange, changed, why_not
from agents.trading.costs import Costs
from tests.learning.worlds import World, world

BOUNCE = "setups.oversold_bounce"
EXITS = (f"{BOUNCE}.stop_atr", f"{BOUNCE}.target_r", f"{BOUNCE}.max_hold")
HOLD = f"{BOUNCE}.max_hold"
WARM_UP = 210  # sessions, for SMA200

IMPATIENT = changed(
    DeskRules(),
    [
        ParameterChange(HOLD, Decimal(10), Decimal(2)),
        ParameterChange("screen.rsi_max", Decimal(40), Decimal(38)),
        ParameterChange("regime_policy.bull.momentum", Decimal(1), Decimal(0)),
    ],
)
EAGER = changed(
    DeskRules(),
    [
        ParameterChange(f"{BOUNCE}.rsi_max", Decimal(38), Decimal(45)),
        ParameterChange("screen.rsi_max", Decimal(40), Decimal(48)),
    ],
)


def simulator_of(made: World) -> HistorySimulator:
    return HistorySimulator(made, made.days[WARM_UP], made.days[-1])


async def night(simulator: HistorySimulator, rules: DeskRules, **asked: object) -> Night:
    asked = {"trials_before": 0, "only": EXITS} | asked
    return await search(simulator, rules, Costs(), **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def patient() -> HistorySimulator:
    """A world where weakness is made good over the weeks that follow."""
    return simulator_of(world(3, pull=0.1, stocks=20))


@pytest.mark.long
async def test_where_patience_pays_an_impatient_desk_is_told_to_wait(patient: HistorySimulator) -> None:
    found = await night(patient, IMPATIENT)

    assert [proposal.change for proposal in found.proposals] == [
        ParameterChange(HOLD, Decimal(2), Decimal(6))
    ]
    proposal = found.proposals[0]
    evidence = proposal.evidence
    assert why_not(proposal.change, IMPATIENT) is None
    assert evidence.failed == ()
    assert evidence.estimate.low is not None
    assert evidence.estimate.low > 0.1
    assert evidence.trials == len(found.tried) == 7  # the shortest hold is a bound: nothing lies below it
    assert proposal.reason.startswith("setups.oversold_bounce.max_hold 2 -> 6: promising. +0.2")
    assert proposal.reason.endswith("sessions after the entry session until the time exit.")
    assert found.canary is not None
    assert not found.canary.sang


@pytest.mark.long
async def test_where_leaders_fall_back_it_is_told_to_leave_momentum_alone() -> None:
    """A yes or no has no steps beside it, and can be proposed all the same."""
    chasing = ["regime_policy.bull.momentum", "regime_policy.bull.breakout"]
    found = await night(simulator_of(world(3, pull=0.1, stocks=40)), DeskRules(), only=chasing)
    [proposal] = found.proposals
    assert proposal.change == ParameterChange("regime_policy.bull.momentum", Decimal(1), Decimal(0))
    assert proposal.evidence.failed == ()
    assert proposal.reason.endswith(" It says whether momentum may be traded.")


async def test_the_same_night_comes_out_alike_and_rejected_or_busy_changes_stay_away(
    patient: HistorySimulator,
) -> None:
    found = await night(patient, IMPATIENT)
    assert await night(patient, IMPATIENT) == found

    rejected = await night(patient, IMPATIENT, rejected=[ParameterChange(HOLD, Decimal(2), Decimal(6))])
    assert rejected.proposals == ()
    assert [one.reason for one in rejected.refused] == [
        "it was rejected before, and there is no new evidence"
    ]
    busy = await night(patient, IMPATIENT, in_flight={BOUNCE})
    assert (busy.tried, busy.proposals, busy.evidence) == ((), (), ())


async def test_enough_trials_before_make_the_same_figures_inconclusive(patient: HistorySimulator) -> None:
    found = await night(patient, IMPATIENT, trials_before=10**12)
    assert found.proposals == ()
    assert [check.name for check in found.evidence[0].failed] == ["deflated Sharpe ratio"]


async def test_what_somebody_else_proposes_meets_the_same_gate(patient: HistorySimulator) -> None:
    longer = ParameterChange(HOLD, Decimal(2), Decimal(6))
    unheard = ParameterChange("setups.oversold_bounce.leverage", Decimal(1), Decimal(3))
    sizes = ParameterChange("limits.heat", Decimal("0.06"), Decimal("0.05"))
    nearer = ParameterChange("setups.breakout.target_r", Decimal("2.5"), Decimal("2.25"))
    found = await examine(patient, IMPATIENT, Costs(), [longer, unheard, sizes, nearer], trials_before=100)
    assert [proposal.change for proposal in found.proposals] == [longer]
    assert found.proposals[0].evidence.trials == 100 + len(found.tried)
    assert {one.change: one.reason for one in found.refused} == {
        unheard: "'setups.oversold_bounce.leverage' is not a parameter that may be proposed",
        sizes: SILENT,
    }
    assert found.evidence[1].verdict is HistoryVerdict.INCONCLUSIVE  # no breakout was ever traded


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))]


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_promoted_from_noise(seed: int) -> None:
    found = await night(simulator_of(world(seed, pull=0.0, trend=0.0, stocks=20, length=660)), EAGER)
    assert found.trades >= 100
    assert len(found.tried) >= 6
    assert found.proposals == ()
    assert all(one.verdict is not HistoryVerdict.PROMISING for one in found.evidence)


async def test_with_too_little_history_the_night_says_what_is_missing() -> None:
    found = await night(simulator_of(world(1, pull=0.1, stocks=3, length=300)), DeskRules())
    assert (found.tried, found.proposals, found.canary) == ((), (), None)
    assert found.missing[0].endswith("trades in 90 sessions of history, 100 are needed")
    assert "90 sessions of history are too few for folds with a gap of 21" in found.missing
