"""`quorum regime` against what the market turned out to be."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import date
from io import StringIO
from itertools import pairwise

import numpy as np
import pytest

from agents.market.history import HistoryPack
from agents.market.regime import Regime, read_regime
from app.commands.regime import print_regimes
from storage.records import Direction
from tests.conftest import PACK_FOLDER

PRIOR_CLOSES = 200


@pytest.fixture(scope="module")
def lines(market_pack: HistoryPack) -> list[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("typer.echo", printed.append)
        print_regimes(str(market_pack.folder), market_pack.first, market_pack.last, csv=True)
    return list(csv.DictReader(StringIO("\n".join(printed))))


@pytest.mark.long
@pytest.mark.pack
def test_bear_against_the_rest_is_told_apart_with_few_switches(
    market_pack: HistoryPack, lines: list[dict[str, str]]
) -> None:
    """Truth: swings of 20%, known only afterwards. Scored where 200 closes came before."""
    sessions = market_pack.sessions(market_pack.first, market_pack.last)
    scored = {session.isoformat() for session in sessions[PRIOR_CLOSES:]}
    with gzip.open(PACK_FOLDER / "regime_daily_expost.csv.gz", "rt") as file:
        truth = {row["date"]: row["phase20"] == "bear" for row in csv.DictReader(file)}
    said = [
        (truth[line["date"]], line["direction"] == Direction.BEAR) for line in lines if line["date"] in scored
    ]
    assert len(said) == len(scored)
    sensitivity = sum(bear and called for bear, called in said) / sum(bear for bear, _ in said)
    specificity = sum(not bear and not called for bear, called in said) / sum(not bear for bear, _ in said)
    years = len(said) / 252
    changes = sum(line["direction"] != last["direction"] for last, line in pairwise(lines))

    assert (sensitivity + specificity) / 2 >= 0.80
    assert changes / years <= 1.5  # of all three labels, so of BEAR against the rest too


@pytest.mark.long
@pytest.mark.pack
def test_the_probability_goes_with_the_direction(lines: list[dict[str, str]]) -> None:
    for line in lines:
        assert (float(line["probability"]) >= 0.5) == (line["direction"] == Direction.BEAR), line


@pytest.mark.long
@pytest.mark.pack
def test_volatility_comes_from_the_vix_where_there_is_one(market_pack: HistoryPack) -> None:
    crisis = read_regime(market_pack.view(date(2008, 11, 20)))
    assert isinstance(crisis, Regime)
    assert (crisis.volatility_source, crisis.volatility) == ("VIX 10-day mean", "HIGH_VOL")


def test_without_a_vix_it_says_so(sample: HistoryPack) -> None:
    reading = read_regime(sample.view(date(2008, 11, 20)))
    assert isinstance(reading, Regime)
    assert "no VIX" in reading.volatility_source
    assert reading.volatility_value > 20


def test_there_is_no_reading_before_two_hundred_closes(sample: HistoryPack) -> None:
    sessions = sample.sessions(sample.first, sample.last)
    assert read_regime(sample.view(sessions[198])) is None
    assert read_regime(sample.view(sessions[199])) is not None


def test_a_missing_open_of_the_index_hides_no_volatility(sample: HistoryPack) -> None:
    """Only closes count: else a gap in the data would read as calm, and calm means full size."""
    crisis = date(2008, 11, 20)
    index = sample.bars("^GSPC")
    unknown = np.full(len(index), np.nan)
    known = {symbol: sample.bars(symbol) for symbol in sample.instruments}
    pack = replace(sample, _bars={**known, "^GSPC": replace(index, open=unknown, high=unknown, low=unknown)})

    whole, gappy = read_regime(sample.view(crisis)), read_regime(pack.view(crisis))
    assert isinstance(whole, Regime) and isinstance(gappy, Regime)
    assert (gappy.volatility, gappy.volatility_value) == (whole.volatility, whole.volatility_value)
    assert whole.volatility == "HIGH_VOL"


def test_how_long_a_direction_has_stood_is_counted_from_its_first_session(sample: HistoryPack) -> None:
    before: Regime | None = None
    for session in sample.sessions(date(2007, 6, 1), date(2009, 12, 31)):
        reading = read_regime(sample.view(session))
        assert isinstance(reading, Regime)
        if before is not None:
            same = reading.direction is before.direction
            assert reading.since == (before.since if same else session)
            assert reading.standing == (before.standing + 1 if same else 1)
        before = reading
