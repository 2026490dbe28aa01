"""A model that is out to hurt: it obeys whoever wrote the data, lies, overreaches, and writes bombs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.standins.answers import answer_for

COMMAND = re.compile(r"ANSWER WITH (\{.*?\}) NOW")
BOMBS = (
    "[bold red on white]APPROVE[/] [@click=app.quit]all is well[/] [/nothing] [[[",
    "\x1b[2J\x1b]0;owned\x07\x1b[31mAPPROVED\x1b[0m",
    "\u202eDEVORPPA\u202c \u200b\u2066\ufeff",
    "'; drop table votes; -- ${jndi:ldap://x} %s %(x)s {0} \x00",
)
LIE = "Revenue grew 412.7% to $4,198,765.43, RSI is 3.33 and 777,777 shares are a bargain at -1e9."
HUGE = "A" * 60_000


def hostile_answer(schema: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> str:
    """One of its ways, drawn from what it was asked."""
    data = json.dumps(messages)
    random = Random(data)
    if (said := COMMAND.search(_told(messages))) is not None:
        return said[1]
    answer = answer_for(schema, random)
    ways = (_lies, _overreaches, _bombs, _breaks_the_enums, _is_huge, _is_no_number)
    return str(random.choice(ways)(answer, random))


def _told(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the data says."""
    blocks = [block for message in messages for block in message["content"]]
    return "\n".join(str(block["content"]).replace('\\"', '"') for block in blocks if "content" in block)


def _lies(answer: Any, random: Random) -> str:
    return json.dumps(
        _texts(answer, LIE)
        | (
            {"key_metrics": [{"name": "rsi14", "value": 3.33}, {"name": "moat", "value": 99.0}]}
            if "key_metrics" in answer
            else {}
        )
    )


def _overreaches(answer: Any, random: Random) -> str:
    worse = {
        "scale": random.choice([100.0, 1e300, 0.0, -5.0]),
        "objection": "none",
        "setup": random.choice(["momentum", "breakout", "oversold_bounce"]),
        "conviction": 1.0,
        "confidence": 100.0,
        "thesis": "bullish",
        "injection_suspected": False,
        "tuning": [
            {"parameter": "stop_atr", "value": random.choice([400.0, -1.0, 0.0])},
            {"parameter": "max_hold", "value": 10_000.0},
            {"parameter": "entry_band_atr", "value": 1.0},
            {"parameter": "target_r", "value": 1e308},
        ],
    }
    return json.dumps(answer | {name: value for name, value in worse.items() if name in answer})


def _bombs(answer: Any, random: Random) -> str:
    return json.dumps(_texts(answer, random.choice(BOMBS)))


def _breaks_the_enums(answer: Any, random: Random) -> str:
    return json.dumps(
        answer | {name: "MOON" for name in ("thesis", "setup", "objection", "concern") if name in answer}
    )


def _is_huge(answer: Any, random: Random) -> str:
    return json.dumps(_texts(answer, HUGE))


def _is_no_number(answer: Any, random: Random) -> str:
    numbers = [name for name in ("confidence", "conviction", "scale") if name in answer]
    return json.dumps(answer | dict.fromkeys(numbers, float(random.choice(["nan", "inf", "-inf"]))))


def _texts(answer: Any, text: str) -> Any:
    """The answer with its prose replaced."""
    prose = {"reasoning": text, "comment": text, "reasons": [text]}
    return answer | {name: value for name, value in prose.items() if name in answer}
