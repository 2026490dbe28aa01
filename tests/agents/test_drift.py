import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.drift import DriftReading, DriftRules, mix_test, read_drift

USUAL = {"for": 4, "against": 3, "abstain": 3}

counts = st.fixed_dictionaries({label: st.integers(0, 9) for label in ("for", "against", "abstain")})


def read(tonight: dict[str, int], before: dict[str, int], sessions: int = 20) -> DriftReading:
    return read_drift("news", [before] * sessions + [tonight])


@pytest.mark.parametrize(
    ("table", "p_value"),
    [
        (((3, 1), (1, 3)), 34 / 70),  # Fisher's tea
        (((8, 2), (1, 5)), 0.034965034965034975),  # R and scipy print this one
        (((3, 7), (15, 5)), 0.04504011730398537),
        (((0, 8), (30, 20)), 0.001621509474248214),
    ],
)
def test_two_by_two(table: tuple[tuple[int, int], tuple[int, int]], p_value: float) -> None:
    now, before = (dict(zip(("for", "against"), row, strict=True)) for row in table)
    found, exact = mix_test(now, before)
    assert exact
    assert found == pytest.approx(p_value, rel=1e-12)


def test_three_answers_by_hand() -> None:
    # Margins 2,2 and 2,1,1: (2,0,0) (1,1,0) (1,0,1) (0,1,1) come about in 1, 2, 2, 1 of 6 ways.
    assert mix_test({"a": 2}, {"b": 1, "c": 1}) == (2 / 6, True)
    assert mix_test({"a": 1, "b": 1}, {"a": 1, "c": 1}) == (1.0, True)


def test_two_by_two_as_scipy_has_it() -> None:
    oracle = pytest.importorskip("scipy.stats")
    chance = Random(7)
    for _ in range(300):
        (a, b), (c, d) = table = [[chance.randrange(16) for _ in range(2)] for _ in range(2)]
        p_value, exact = mix_test({"for": a, "against": b}, {"for": c, "against": d})
        assert exact
        assert p_value == pytest.approx(oracle.fisher_exact(table).pvalue, rel=1e-6)


def test_too_many_tables_are_drawn_instead_and_always_the_same() -> None:
    now, before = {"a": 6, "b": 1, "c": 3}, {"a": 12, "b": 20, "c": 18}
    exact, enumerated = mix_test(now, before)
    drawn, not_enumerated = mix_test(now, before, most_tables=1)
    assert (enumerated, not_enumerated) == (True, False)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    assert mix_test(now, before, most_tables=1)[0] == drawn


def test_the_reading_says_which_it_was() -> None:
    many = {str(label): 6 for label in range(9)}
    assert not read(many, many).exact
    assert "(simulated, 20,000 draws)" in read(many, many).note
    assert "(exact)" in read(USUAL, USUAL).note


def test_an_evening_as_usual_is_no_drift() -> None:
    reading = read(USUAL, USUAL)
    assert not reading.alarm
    assert (reading.n_now, reading.n_before) == (10, 200)
    assert reading.note.startswith("news: the mix is as before, 10 decisions against 200, p ")


def test_another_mix_is_drift() -> None:
    reading = read({"against": 10}, USUAL)
    assert reading.p_value < 0.001
    assert reading.drifted
    assert reading.collapsed_to is None  # ten decisions show no collapse


def test_only_the_evenings_before_are_compared_with() -> None:
    evenings = [{"for": 50}] + [USUAL] * 20 + [USUAL]
    assert read_drift("news", evenings).n_before == 200
    assert read_drift("news", evenings, DriftRules(evenings=3, sessions=5)).n_now == 30


def test_one_answer_over_twenty_decisions_is_a_collapse() -> None:
    evenings = [USUAL] * 20 + [{"abstain": 8}] * 3
    reading = read_drift("news", evenings)
    assert reading.collapsed_to == "abstain"
    assert reading.note.endswith("100% of the last 24 are abstain, 30% were before.")


@pytest.mark.parametrize(
    "evenings",
    [
        pytest.param([USUAL] * 20 + [{"abstain": 19}], id="too few"),
        pytest.param([{"abstain": 9, "for": 1}] * 20 + [{"abstain": 30}], id="nearly always said so"),
        pytest.param([{"abstain": 30}], id="nothing before"),
        pytest.param([USUAL] * 20 + [{"abstain": 18, "for": 2}], id="still two answers"),
    ],
)
def test_no_collapse(evenings: list[dict[str, int]]) -> None:
    assert read_drift("news", evenings).collapsed_to is None


@pytest.mark.parametrize(
    ("evenings", "missing"),
    [([], "no decisions now"), ([USUAL], "no decisions before"), ([USUAL, {}], "no decisions now")],
)
def test_without_decisions_there_is_nothing_to_compare(evenings: list[dict[str, int]], missing: str) -> None:
    reading = read_drift("news", evenings)
    assert (reading.p_value, reading.exact, reading.alarm) == (1.0, True, False)
    assert missing in reading.note


def test_counts_below_zero_and_wide_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="counts of zero or more"):
        mix_test({"for": -1}, USUAL)
    with pytest.raises(ValidationError):
        DriftRules(alarm=0.5)


@settings(max_examples=60)
@given(counts, counts)
def test_a_p_value_is_one_whichever_way_it_is_read(now: dict[str, int], before: dict[str, int]) -> None:
    p_value, exact = mix_test(now, before)
    assert exact
    assert 0 < p_value <= 1
    assert mix_test(before, now)[0] == p_value
    assert mix_test(dict(reversed(now.items())), before)[0] == p_value
