"""What `quorum fmp` says when the vendor gives nothing."""

from __future__ import annotations

import pytest

from agents.market.fmp.errors import FmpError
from app.commands.fmp import _in_a_line
from storage.calls import CallFault

LONGEST_LINE = 160


@pytest.mark.parametrize("fault", list(CallFault))
def test_a_refusal_is_one_short_line_whatever_the_vendor_writes(fault: CallFault) -> None:
    refused = FmpError(fault, "quote AVGO", status=402, note="Premium Query Parameter \x1b[2J " * 6)
    said = str(_in_a_line(refused))
    assert said.startswith("FMP answered 402 for quote AVGO (") and len(said) <= LONGEST_LINE
    assert said.isprintable() and "Premium" not in said


def test_a_few_words_of_the_cause_are_said() -> None:
    refused = FmpError(CallFault.UNAVAILABLE, "quote KO", note="nothing whole within 20 s")
    assert "(no usable answer: nothing whole within 20 s)" in str(_in_a_line(refused))


def test_what_is_no_symbol_is_the_operators_to_correct() -> None:
    refused = FmpError(CallFault.BAD_REQUEST, "quote ../X", note="that is no symbol; nothing was sent")
    assert str(_in_a_line(refused)).startswith(
        "quote ../X: that is no symbol; nothing was sent; `quorum watch"
    )
