from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.limits import Correlations, adjusted_heat
from agents.trading.limits.portfolio import adjusted_room, in_sector, nearest
from tests.trading.builders import exposure

SIX = [f"S{n}" for n in range(6)]
SYMBOLS = st.sampled_from("ABCDE")
PAIRS = st.dictionaries(st.tuples(SYMBOLS, SYMBOLS), st.floats(allow_nan=True, allow_infinity=True))
RISKS = st.lists(
    st.tuples(SYMBOLS, st.integers(0, 500_000).map(lambda cents: Decimal(cents) / 100)), max_size=8
)


def alike(rho: float) -> Correlations:
    return Correlations.of_matrix(SIX, [[1.0 if a == b else rho for b in SIX] for a in SIX])


@pytest.mark.parametrize(("rho", "percent"), [(0.0, "2.45"), (0.3, "3.87"), (0.6, "4.90"), (1.0, "6.00")])
def test_six_risks_of_one_percent(rho: float, percent: str) -> None:
    heat = adjusted_heat([(symbol, Decimal(1)) for symbol in SIX], alike(rho))
    assert f"{heat:.2f}" == percent


def test_what_is_not_known_counts_as_one_and_a_hedge_as_nothing() -> None:
    risks = [("A", Decimal(3)), ("B", Decimal(4))]
    assert adjusted_heat(risks, Correlations()) == 7
    assert adjusted_heat(risks, Correlations({("B", "A"): float("nan")})) == 7
    assert adjusted_heat(risks, Correlations({("B", "A"): 1.7})) == 7
    assert adjusted_heat(risks, Correlations({("A", "B"): -0.9})) == 5
    assert adjusted_heat(risks, Correlations({("A", "B"): -0.9, ("B", "A"): 1.0})) == 7  # the worse of two
    assert adjusted_heat([("A", Decimal(3)), ("A", Decimal(4))], Correlations()) == 7
    assert adjusted_heat([], Correlations()) == 0


def test_a_matrix_that_does_not_fit_its_symbols_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 rows and columns"):
        Correlations.of_matrix(["A", "B"], [[1.0, 0.5]])


@given(RISKS, PAIRS)
def test_adjusted_heat_lies_between_the_largest_risk_and_the_sum(
    risks: list[tuple[str, Decimal]], pairs: dict[tuple[str, str], float]
) -> None:
    heat = adjusted_heat(risks, Correlations(pairs))
    raw = sum((risk for _, risk in risks), Decimal(0))
    assert max((risk for _, risk in risks), default=Decimal(0)) <= heat <= raw + Decimal("1e-20")


@given(RISKS, PAIRS, SYMBOLS, st.integers(0, 2_000_000).map(lambda cents: Decimal(cents) / 100))
def test_the_room_is_filled_to_the_cent_and_never_beyond(
    risks: list[tuple[str, Decimal]], pairs: dict[tuple[str, str], float], symbol: str, most: Decimal
) -> None:
    correlations = Correlations(pairs)
    room = adjusted_room(symbol, risks, correlations, most)
    assert room >= 0
    if room > 0:
        assert adjusted_heat([*risks, (symbol, room)], correlations) <= most
    assert adjusted_heat([*risks, (symbol, room + Decimal("0.01"))], correlations) > most


def test_the_nearest_name() -> None:
    rho = Correlations({("A", "B"): 0.2, ("A", "C"): 0.7, ("A", "D"): -0.9})
    assert nearest("A", ["B", "C", "D"], rho) == ("C", 0.7)
    assert nearest("A", ["B", "E"], rho) == ("E", 1.0)
    assert nearest("A", [], rho) == (None, 0.0)


def test_a_sector_is_what_is_held_and_reserved_in_it() -> None:
    held = (
        exposure("A", value="100", sector="Energy"),
        exposure("B", value="200", sector=None),
        exposure("C", value="300", sector=""),
    )
    assert in_sector(held, "Energy") == 100
    assert in_sector(held, None) == in_sector(held, "unknown") == 500
    assert in_sector(held, "Utilities") == 0


def test_an_exposure_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="value and risk of A from zero on"):
        exposure("A", risk="-1")
