"""A prompt that stops deciding is stopped: an exact test of the decisions on the same frozen questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import combinations
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.learning.mix import exact_p_value, judge_mix
from agents.learning.prompt_trial import Frozen, Trial, expected_cost, try_prompts
from agents.llm.questions import DataBlock, Prompt
from storage.records import AgentName
from tests.llm.desk import View, asking, news, rows
from tests.standins.claude import ClaudeStandIn

NIGHT = date(2026, 11, 27)
SIDES = ("bullish", "bearish", "neutral")
CHAMPION = Prompt(id=None, version=1, system="You read news for a trading desk.", instruction="Weigh it.")
HOLDING = Prompt(id=None, version=2, system="When in doubt: hold.", instruction="Weigh it.")
ALIKE = Prompt(id=None, version=3, system="You read the news of a desk.", instruction="Weigh it.")
VIEWS = Trial(
    agent=AgentName.NEWS,
    answer=View,
    decision=lambda view: view.stance,
    holds=frozenset({"neutral"}),
)


class HoldsWhenTold(ClaudeStandIn):
    """Answers by turns, and holds for whoever tells it to."""

    turn = 0

    def _said(self, body: Mapping[str, Any], scenario: str, *, batched: bool = False) -> dict[str, Any]:
        said = super()._said(body, scenario, batched=batched)
        self.turn += 1
        holds = HOLDING.system in json.dumps(body["system"])
        for block in said["content"]:
            if block["type"] == "text":
                answer = json.loads(block["text"])
                answer["stance"] = "neutral" if holds else SIDES[self.turn % 3]
                block["text"] = json.dumps(answer)
        return said


def frozen(count: int, cost: str = "0.0002") -> list[Frozen]:
    def data(number: int) -> tuple[DataBlock, ...]:
        return (news(f"Piece {number}"),)

    return [
        Frozen(session=date(2026, 11, 2), symbol="KO", data=data(number), cost_usd=Decimal(cost))
        for number in range(count)
    ]


async def test_a_prompt_that_collapses_to_hold_is_stopped_and_one_that_decides_alike_is_not(
    database: str,
) -> None:
    with HoldsWhenTold() as claude:
        async with asking(database, claude.url) as desk:
            questions = frozen(24)
            most = expected_cost(questions)
            stopped = await try_prompts(
                desk.gateway, VIEWS, questions, CHAMPION, HOLDING, session=NIGHT, most_usd=most
            )
            passed = await try_prompts(
                desk.gateway, VIEWS, questions, CHAMPION, ALIKE, session=NIGHT, most_usd=most
            )
    assert stopped.mix is not None and stopped.mix.after == {"neutral": 24}
    assert stopped.mix.before["neutral"] == 8
    assert stopped.verdict.refused
    assert stopped.verdict.reason.startswith("its decisions collapse: 100% hold where 33% did")
    assert Decimal(stopped.mix.cost_usd) > 0
    assert len(stopped.changed) == 16 and {one.after for one in stopped.changed} == {"neutral"}
    assert {(one.session, one.symbol) for one in stopped.changed} == {(date(2026, 11, 2), "KO")}
    charged = {(call["session"], call["symbol"]) for call in rows(database)}
    assert charged == {(NIGHT, None)}  # no decision of the past becomes dearer by it
    assert passed.mix is not None and not passed.verdict.refused


async def test_nobody_is_asked_beyond_what_may_be_spent(database: str) -> None:
    with HoldsWhenTold() as claude:
        async with asking(database, claude.url) as desk:
            questions = frozen(24, cost="0.10")
            told = await try_prompts(
                desk.gateway, VIEWS, questions, CHAMPION, HOLDING, session=NIGHT, most_usd=Decimal("1")
            )
        assert claude.asked == []
    assert told.mix is None
    assert told.verdict.reason == "asking would cost 4.8000 dollars, 1.0000 are allowed"


def test_the_exact_test_agrees_with_fishers_tea() -> None:
    # Fisher (1935): 3 of 4 cups right; 34 of 70 tables are no more likely, twice 17.
    assert exact_p_value({"a": 3, "b": 1}, {"a": 1, "b": 3}) == pytest.approx(34 / 70)
    assert exact_p_value({"a": 4}, {"b": 4}) == pytest.approx(2 / 70)
    assert exact_p_value({"a": 4}, {}) == 1.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=3))
def test_the_exact_test_counts_every_deal_of_the_decisions(table: list[tuple[int, int]]) -> None:
    before = {str(kind): one for kind, (one, _) in enumerate(table)}
    after = {str(kind): two for kind, (_, two) in enumerate(table)}
    drawn, rest = sum(before.values()), sum(after.values())
    if not drawn or not rest:
        assert exact_p_value(before, after) == 1.0
        return
    decisions = [kind for kind, pair in enumerate(table) for _ in range(sum(pair))]
    deals: dict[tuple[int, ...], int] = {}
    for chosen in combinations(range(len(decisions)), drawn):
        row = [0] * len(table)
        for place in chosen:
            row[decisions[place]] += 1
        deals[tuple(row)] = deals.get(tuple(row), 0) + 1
    seen = deals[tuple(before.values())]
    expected = sum(ways for ways in deals.values() if ways <= seen) / comb(drawn + rest, drawn)
    assert exact_p_value(before, after) == pytest.approx(expected)


def test_a_mix_that_moves_away_from_holding_goes_on_and_few_questions_say_so() -> None:
    lively = judge_mix({"hold": 24}, {"buy": 24}, holds={"hold"})
    assert not lively.refused and lively.p_value < 0.001
    assert judge_mix({"buy": 9}, {"hold": 9}, holds={"hold"}).reason == "9 frozen questions, 20 are needed"
    with pytest.raises(ValueError, match="same questions"):
        judge_mix({"buy": 9}, {"hold": 8}, holds={"hold"})
