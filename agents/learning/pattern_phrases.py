"""The phrases of the grammar of patterns: what each means, and the words that only join others."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from agents.learning.filters import BEYOND
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility

HIGH_CONVICTION = 0.7
LOW_CONVICTION = 0.5

Values = Callable[[re.Match[str]], dict[str, object] | None]


@dataclass(frozen=True)
class Phrase:
    """A pattern, and the fields of a filter that what it matches sets."""

    pattern: re.Pattern[str]
    values: Values


def _phrase(words: str, **values: object) -> Phrase:
    return Phrase(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), lambda _: values)


_VOTERS = {
    name.value: name for name in (AgentName.RESEARCH, AgentName.NEWS, AgentName.STRATEGY, AgentName.REGIME)
}
_STANCES = {"f": Stance.FOR, "i": Stance.FOR, "ag": Stance.AGAINST, "ab": Stance.ABSTAIN}
_VOTE = re.compile(
    rf"\b({'|'.join(_VOTERS)})(?:\s+(?:agent|analyst|builder|detector))?"
    r"(?:\s+(?:was|were|is|voted|voting|said|says|spoke))*\s+(for|in favou?r|against|abstain(?:s|ed|ing)?)\b",
    re.IGNORECASE,
)


def _vote(match: re.Match[str]) -> dict[str, object]:
    said = match[2].lower()
    stance = next(stance for begins, stance in _STANCES.items() if said.startswith(begins))
    return {"stance": (_VOTERS[match[1].lower()], stance)}


_MARKET = r"(?:[\s-]+(?:markets?|regimes?|phases?|times?))?"

# In this order: what says more stands before what is a part of it.
PHRASES: tuple[Phrase, ...] = (
    Phrase(_VOTE, _vote),
    _phrase(r"(?:high|strong)[\s-]conviction", conviction=(HIGH_CONVICTION, BEYOND)),
    _phrase(r"(?:low|weak)[\s-]conviction", conviction=(0.0, LOW_CONVICTION)),
    _phrase(r"trailing[\s-]stops?|trailed out", exit_reason=ExitReason.TRAILING_STOP),
    _phrase(
        r"stopped(?:[\s-]out)?|stop[\s-]loss(?:es)?|hit (?:the|their|its) stops?",
        exit_reason=ExitReason.STOP_LOSS,
    ),
    _phrase(
        r"take[\s-]profits?|(?:hit|reached) (?:the|their|its) targets?|targets? (?:hit|reached)",
        exit_reason=ExitReason.TAKE_PROFIT,
    ),
    _phrase(r"time[\s-]exits?|timed[\s-]out|ran out of time", exit_reason=ExitReason.TIME_EXIT),
    _phrase(
        r"(?:sold|closed) by hand|manual(?:ly)?(?: (?:exits?|sales?|closed|sold))?",
        exit_reason=ExitReason.MANUAL,
    ),
    _phrase(r"circuit[\s-]breakers?", exit_reason=ExitReason.CIRCUIT_BREAKER),
    _phrase(r"regime[\s-]changes?", exit_reason=ExitReason.REGIME_CHANGE),
    _phrase(r"corporate[\s-]actions?", exit_reason=ExitReason.CORPORATE_ACTION),
    _phrase(r"(?:sold|out|exits?) before earnings|earnings exits?", exit_reason=ExitReason.EARNINGS),
    _phrase(r"winners?|winning|profitable|(?:that|which) (?:won|made money)", won=True),
    _phrase(r"losers?|losing|unprofitable|(?:that|which) lost(?: money)?", won=False),
    _phrase(r"oversold[\s-]bounces?|bounces?|oversold", setup=SetupType.OVERSOLD_BOUNCE),
    _phrase(r"momentum", setup=SetupType.MOMENTUM),
    _phrase(r"break[\s-]?outs?", setup=SetupType.BREAKOUT),
    _phrase(rf"(?:bear(?:ish)?|falling){_MARKET}", regime=Direction.BEAR),
    _phrase(rf"(?:bull(?:ish)?|rising){_MARKET}", regime=Direction.BULL),
    _phrase(rf"(?:sideways|flat|range[\s-]?bound){_MARKET}", regime=Direction.SIDEWAYS),
    _phrase(
        rf"high[\s_-]vol(?:atility)?{_MARKET}|(?:volatile|wild|nervous){_MARKET}",
        volatility=Volatility.HIGH_VOL,
    ),
    _phrase(rf"low[\s_-]vol(?:atility)?{_MARKET}|(?:calm|quiet){_MARKET}", volatility=Volatility.LOW_VOL),
    _phrase(rf"normal[\s_-]vol(?:atility)?{_MARKET}", volatility=Volatility.NORMAL_VOL),
    _phrase(r"all (?:the |our |my )?trades|every trade|everything"),
)

FILLERS = frozenset(
    word
    for line in (
        "a about all an and any are as at average be been by closed companies company desk desk's did do",
        "does during ended entered entries few find for from give have how in is it its list many market",
        "markets me mean much my name names of on or our outcome outcomes past pattern patterns perform",
        "performance performed please rate rates regime regimes result results sector sectors setup",
        "setups share shares show stock stocks taken tell than that the their there these they those to",
        "trade traded trades trading us was we well went were what when where which while who with",
    )
    for word in line.split()
)
ASKS_HOW = re.compile(r"\b(?:how|rate|rates|often|chance|odds)\b", re.IGNORECASE)
SAID_OF_RESULTS = frozenset({"win", "wins", "won", "lose", "loses", "lost", "often", "chance", "odds"})
