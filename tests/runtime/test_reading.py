"""What the vendor's rows say to a run."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from agents.market.fmp.models import Earnings
from app.runtime.market.reading import announcement_of

TODAY = date(2026, 11, 25)


def report(days: int) -> Earnings:
    return Earnings.model_validate({"symbol": "AAA", "date": (TODAY + timedelta(days=days)).isoformat()})


@pytest.mark.parametrize(
    ("reports", "nearest"),
    [
        ([-2, 89], date(2026, 11, 23)),
        ([-45], date(2026, 10, 12)),  # a Sunday's is told with the session after it
        ([-46], None),  # the next may come any day, and nobody names it
        ([-85, -176], None),
        ([-60, 120], date(2027, 3, 25)),
        ([-85, 5], date(2026, 11, 30)),
        ([], None),
    ],
)
def test_a_report_long_past_does_not_stand_for_the_next_one(reports: list[int], nearest: date | None) -> None:
    found = announcement_of([report(days) for days in reports], TODAY)
    assert (found.session if found else None) == nearest
