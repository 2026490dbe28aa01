"""Evidence is what the pairs say: paired by opportunity, clustered by week, gated, and never pooled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agents.learning.evidence import Baselines, Evidence, HistoryVerdict, Trial, judge
from agents.learning.pairs import Pair, Pairs, monday, weeks_of
from agents.learning.ranking import noise_canary
from agents.learning.runs import Key, Run, SimulatedTrade
from agents.learning.space import ParameterChange
from agents.market.calendar import sessions
from storage.records import Direction, ExitReason, SetupType, Volatility

DAYS = tuple(sessions(date(2009, 1, 2), date(2012, 12, 31)))
CHANGE = ParameterChange("setups.momentum.stop_atr", Decimal("2.5"), Decimal("3"))
ALONE = Baselines(
    champion_r=0.1,
    champion_trades=9,
    challenger_r=0.2,
    challenger_trades=9,
    index_symbol="SPY",
    index_return=0.5,
)


def pairs(gain: float, *, seed: int = 1, noise: float = 0.5, bears: int = 0, base: float = 0.3) -> Pairs:
    """One opportunity every third session; the first `bears` of them in a BEAR market."""
    generator = np.random.default_rng(seed)
    made = []
    for place, day in enumerate(DAYS[::3]):
        champion = base + generator.normal(0, 0.5)
        challenger = champion + gain + generator.normal(0, noise)
        direction = Direction.BEAR if place < bears else Direction.BULL
        made.append(Pair(Key(day, "AAA"), direction, champion, challenger))
    return Pairs(tuple(made), weeks_of(DAYS), len(made))


def judged(one: Pairs, **changes: object) -> Evidence:
    trials = [Trial(change=CHANGE, pairs=one)] + [
        Trial(change=CHANGE, pairs=pairs(0.0, seed=seed)) for seed in range(2, 8)
    ]
    asked: dict[str, object] = {
        "others": trials,
        "trials_ever": 7,
        "twice": one,
        "neighbours": [one.mean],
        "sessions": DAYS,
        "hold": 21,
        "baselines": ALONE,
    }
    return judge(trials[0], **(asked | changes))  # type: ignore[arg-type]


def trade(day: date, symbol: str, r: float) -> SimulatedTrade:
    return SimulatedTrade(
        key=Key(day, symbol),
        setup=SetupType.MOMENTUM,
        direction=Direction.BULL,
        volatility=Volatility.NORMAL_VOL,
        entered=day,
        shares=1,
        entry_price=Decimal(10),
        stop=Decimal(9),
        target=Decimal(12),
        exited=day,
        exit_price=Decimal(11),
        exit_reason=ExitReason.TIME_EXIT,
        r=r,
    )


def run(*trades: SimulatedTrade) -> Run:
    return Run(sessions=DAYS, trades={one.key: one for one in trades}, open_ended=0)


def test_a_trade_that_one_of_them_skips_is_nothing_for_it() -> None:
    both, only, new = trade(DAYS[0], "AAA", 1.0), trade(DAYS[1], "BBB", -1.0), trade(DAYS[6], "CCC", 0.5)
    found = Pairs.of(run(both, only), run(replace(both, r=1.5), new))
    assert [(pair.key.symbol, pair.champion, pair.challenger) for pair in found.pairs] == [
        ("AAA", 1.0, 1.5),
        ("BBB", -1.0, 0.0),
        ("CCC", 0.0, 0.5),
    ]
    assert (found.n, found.traded) == (3, 2)
    assert found.mean == pytest.approx(2.0 / 3)
    assert found.totals[:3].tolist() == [0.5, 1.0, 0.5]  # a Friday, the Monday after it, the one after that
    with pytest.raises(ValueError, match="same sessions"):
        Pairs.of(run(both), replace(run(both), sessions=DAYS[:-1]))


def test_what_passes_every_condition_is_promising_and_says_so() -> None:
    found = judged(pairs(0.3))
    assert found.verdict is HistoryVerdict.PROMISING
    assert found.sentences[0].startswith("setups.momentum.stop_atr 2.5 -> 3: promising. +0.297 R")
    assert "best of 7 variants ever run" in found.sentences[0]
    assert found.sentences[2].startswith("Champion +0.100 R a trade over 9, challenger +0.200 over 9; SPY")
    assert found.sentences[-1] == "Every condition of the gate is met."


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"twice": pairs(-0.1)}, "twice the costs"),
        ({"neighbours": [0.1, 0.05]}, "plateau"),
        ({"neighbours": []}, "plateau"),
        ({"trials_ever": 10**15}, "deflated Sharpe ratio"),
    ],
)
def test_one_condition_that_is_not_met_is_enough_and_is_named(changes: dict[str, object], name: str) -> None:
    found = judged(pairs(0.3), **changes)
    assert found.verdict is HistoryVerdict.INCONCLUSIVE
    assert [check.name for check in found.failed] == [name]
    assert f"Not met: {name}" in found.sentences[-1]


def test_a_yes_or_no_has_no_neighbours_and_needs_none() -> None:
    found = judged(pairs(0.3), neighbours=None)
    assert found.verdict is HistoryVerdict.PROMISING
    assert found.plateau is None
    assert judged(pairs(0.0), neighbours=None).verdict is not HistoryVerdict.PROMISING


def test_a_gain_of_one_year_alone_does_not_survive_without_it() -> None:
    made = pairs(0.0, noise=0.01)
    lucky = tuple(
        replace(pair, challenger=pair.challenger + 2.0) if pair.key.session.year == 2011 else pair
        for pair in made.pairs
    )
    found = judged(Pairs(lucky, made.weeks, made.traded))
    assert found.weakest is not None
    assert found.weakest[0] == 2011
    assert abs(found.weakest[1]) < 0.01
    assert found.verdict is HistoryVerdict.INCONCLUSIVE


def test_what_is_clearly_worse_is_called_so() -> None:
    assert judged(pairs(-0.3)).verdict is HistoryVerdict.WORSE


def test_a_thin_regime_is_only_shown_shrunk() -> None:
    bear, bull = sorted(judged(pairs(0.3, bears=29)).by_regime, key=lambda cell: cell.n)
    assert (bear.direction, bear.n, bear.mean) == (Direction.BEAR, 29, None)
    assert bear.shrunk is not None
    assert bull.mean is not None


def test_the_record_is_the_same_after_it_was_stored() -> None:
    stored = TypeAdapter(Evidence)
    found = judged(pairs(0.3, bears=29))
    assert stored.validate_json(stored.dump_json(found)) == found


def test_a_count_of_trials_that_forgets_some_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 trials"):
        judged(pairs(0.3), trials_ever=6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(0, len(DAYS) - 1), st.integers(0, len(DAYS) - 1))
def test_weeks_add_up_to_the_pairs_and_a_part_holds_only_its_own(seed: int, one: int, other: int) -> None:
    whole = pairs(0.1, seed=seed)
    first, last = DAYS[min(one, other)], DAYS[max(one, other)]
    part = whole.within(first, last)
    assert whole.totals.sum() == pytest.approx(sum(pair.gain for pair in whole.pairs))
    assert part.counts.sum() == part.n == sum(first <= pair.key.session <= last for pair in whole.pairs)
    turned = whole.turned(dict.fromkeys(whole.weeks, -1))
    assert turned.mean == pytest.approx(-whole.mean)
    assert turned.turned(dict.fromkeys(whole.weeks, -1)) == whole
    assert monday(first) <= part.weeks[0]


def test_the_canary_is_silent_about_a_real_effect_once_its_weeks_are_shuffled() -> None:
    trials = [Trial(change=CHANGE, pairs=pairs(0.3))]
    trials += [Trial(change=CHANGE, pairs=pairs(0.0, seed=seed)) for seed in range(2, 8)]
    sang = [noise_canary(trials, sessions=DAYS, hold=21, trials_ever=7, seed=seed).sang for seed in range(10)]
    assert sum(sang) <= 1
