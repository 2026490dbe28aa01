"""Telling the vendor's answers apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.fmp.answers import Refusal, read_answer
from agents.market.fmp.errors import MEANINGS, FmpError
from storage.calls import CallFault
from tests.market.fmp.kit import fixture
from tests.standins import fmp_words as words

F = CallFault

RECORDED = (
    ("400_missing_param.txt", 400, F.BAD_REQUEST, None),
    ("401_invalid_key.json", 401, F.INVALID_KEY, None),
    ("402_symbol_not_in_plan.txt", 402, F.SYMBOL_NOT_IN_PLAN, "symbol"),
    ("402_period_not_in_plan.txt", 402, F.PARAMETER_NOT_IN_PLAN, "period"),
    ("402_from_not_in_plan.txt", 402, F.PARAMETER_NOT_IN_PLAN, "from"),
    ("402_limit_over_5.txt", 402, F.PARAMETER_NOT_IN_PLAN, "limit"),
    ("402_endpoint_not_in_plan.txt", 402, F.ENDPOINT_NOT_IN_PLAN, None),
    ("403_account_suspended.json", 403, F.SUSPENDED, None),
    ("403_legacy_endpoint.json", 403, F.LEGACY_ENDPOINT, None),
    ("404_path_not_found.json", 404, F.NOT_FOUND, None),
    ("429_bandwidth_limit.json", 429, F.BANDWIDTH_LIMIT, None),
    ("429_daily_limit.json", 429, F.DAILY_LIMIT, None),
)


def refusal(status: int, body: bytes | str, *, of_symbol: bool = True) -> Refusal:
    read = read_answer(status, body.encode() if isinstance(body, str) else body, of_symbol=of_symbol)
    assert isinstance(read, Refusal)
    return read


@pytest.mark.parametrize(("name", "status", "fault", "parameter"), RECORDED)
def test_each_recorded_refusal_is_its_own_fault(
    name: str, status: int, fault: CallFault, parameter: str | None
) -> None:
    read = refusal(status, fixture(f"fmp_errors/{name}"))
    assert (read.fault, read.parameter) == (fault, parameter)


@pytest.mark.parametrize(("name", "status", "fault", "parameter"), RECORDED)
def test_the_words_decide_whatever_the_status_and_whether_json_or_text(
    name: str, status: int, fault: CallFault, parameter: str | None
) -> None:
    if status == 404:
        return  # no words
    text = fixture(f"fmp_errors/{name}").decode()
    said = json.loads(text)["Error Message"] if name.endswith(".json") else text
    for form in (said, json.dumps({"Error Message": said}), json.dumps({"error": said}), json.dumps(said)):
        for other in (200, 402, 403, 429, 500):
            assert refusal(other, form).fault is fault


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (words.WRONG_KEY, "401_invalid_key.json"),
        (words.value_set("symbol"), "402_symbol_not_in_plan.txt"),
        (words.value_set("period"), "402_period_not_in_plan.txt"),
        (words.LIMIT_OVER_5, "402_limit_over_5.txt"),
        (words.RESTRICTED, "402_endpoint_not_in_plan.txt"),
        (words.LEGACY, "403_legacy_endpoint.json"),
        (words.DAILY_LIMIT, "429_daily_limit.json"),
        (words.BANDWIDTH_LIMIT, "429_bandwidth_limit.json"),
    ],
)
def test_the_stand_in_speaks_the_vendors_own_words(ours: str, name: str) -> None:
    recorded = fixture(f"fmp_errors/{name}").decode()
    assert ours == (json.loads(recorded)["Error Message"] if name.endswith(".json") else recorded.strip())


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (402, "Exclusive Endpoint : This endpoint is not available", F.ENDPOINT_NOT_IN_PLAN),
        (403, '{"Error Message": "Special Endpoint : This endpoint is only"}', F.ENDPOINT_NOT_IN_PLAN),
        (200, '{"Error Message": "Limit Reach . Please upgrade"}', F.DAILY_LIMIT),
        (200, "", F.GARBLED),
        (200, " \r\n ", F.GARBLED),
        (200, '[{"symbol": "AA', F.GARBLED),
        (200, "[NaN]", F.GARBLED),
        (200, "[" * 100_000, F.GARBLED),
        (200, "[" + "9" * 10_000 + "]", F.GARBLED),
        (200, b"\xff\xfe\x00", F.GARBLED),
        (200, "{}", F.GARBLED),
        (200, "null", F.GARBLED),
        (200, words.HTML, F.UNAVAILABLE),
        (403, words.HTML, F.UNAVAILABLE),
        (502, words.HTML, F.UNAVAILABLE),
        (503, "", F.UNAVAILABLE),
        (429, words.HTML, F.DAILY_LIMIT),
        (429, "slow down", F.DAILY_LIMIT),
        (302, "", F.GARBLED),
        (401, "", F.INVALID_KEY),
    ],
)
def test_what_nobody_recorded_has_its_fault_too(status: int, body: str | bytes, fault: CallFault) -> None:
    assert refusal(status, body).fault is fault


def test_a_payment_demanded_in_unknown_words_closes_no_more_than_was_asked() -> None:
    assert refusal(402, "pay up").fault is F.SYMBOL_NOT_IN_PLAN
    assert refusal(402, "pay up", of_symbol=False).fault is F.ENDPOINT_NOT_IN_PLAN


def test_words_of_a_refusal_inside_rows_refuse_nothing() -> None:
    rows = [{"title": "Limit Reach . Invalid API KEY"}]
    assert read_answer(200, json.dumps(rows).encode(), of_symbol=False) == rows


@given(
    st.integers(100, 599),
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["Error Message", "error", "message", "x"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.booleans(),
)
def test_any_status_and_any_body_give_rows_or_one_known_fault(
    status: int, body: bytes, of_symbol: bool
) -> None:
    read = read_answer(status, body, of_symbol=of_symbol)
    if isinstance(read, Refusal):
        assert read.note and "\n" not in read.note and "\x1b" not in read.note
        assert str(FmpError(read.fault, "quote AAPL", status=status, note=read.note))
    else:
        assert status == 200 and json.loads(body) == read


def test_every_fault_has_its_meaning_and_remedy() -> None:
    assert set(MEANINGS) == set(CallFault)
