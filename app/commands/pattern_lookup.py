"""A question about past trades, looked up: words and options as one filter, its figures, its analogues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from pydantic import ValidationError

from agents.learning.filters import TradeFact, TradeFilter, fact_of
from agents.learning.pattern_words import EXAMPLES, Known, Reading, read
from agents.learning.patterns import Pattern, pattern_of
from agents.market.calendar import NEW_YORK
from agents.trading.outcomes import state_vector
from app.runtime.step import technicals_from_json
from app.settings import Settings
from storage.errors import OperatorError
from storage.memory import AgentMemory, CandidateWanted, PastCandidate, PastTrade
from storage.plain import shortened
from storage.records import DeskKind

MOST_ANALOGUES = 10
GRAMMAR = "the grammar"
NO_OPTIONS = TradeFilter()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question about past trades: words, properties given as options, of what moment, like what symbol."""

    words: str = ""
    options: TradeFilter = NO_OPTIONS
    as_of: date | None = None
    like: str | None = None


@dataclass(frozen=True, kw_only=True)
class Helped:
    """A reading of words and who made it; `note` says why no model had a part in it."""

    reading: Reading
    by: str
    cost_usd: Decimal = Decimal(0)
    note: str = ""


Helper = Callable[[str, Reading, Known], Awaitable[Helped]]  # asks about what the grammar has left


@dataclass(frozen=True, kw_only=True)
class Understood:
    """The filter that is asked for, and what of the words it leaves out."""

    filter: TradeFilter
    left: tuple[str, ...]
    read_by: str
    cost_usd: Decimal = Decimal(0)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was known at `moment`; `like` is the candidate that the analogues are nearest to."""

    understood: Understood
    pattern: Pattern
    moment: datetime
    like: PastCandidate | None
    analogues: Sequence[PastTrade]


def span_of(option: str, text: str | None) -> tuple[float, float] | None:
    """The range an option names as LOW-HIGH. Raises OperatorError for another form."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split("-"))
        if not low < high:
            raise ValueError(text)
    except ValueError as error:
        raise OperatorError(
            f"{text!r} is no range", f"give {option} as LOW-HIGH, such as 30-40: from 30, below 40"
        ) from error
    return low, high


def options_of(**properties: object) -> TradeFilter:
    """The filter that options give. Raises OperatorError where they make no sense together."""
    try:
        return TradeFilter.model_validate(properties)
    except ValidationError as error:
        raise OperatorError(
            f"the options do not fit: {_reason(error)}", "see `quorum patterns --help`"
        ) from error


def moment_of(as_of: date | None, clock: datetime) -> datetime:
    """The end of a day in New York, or the desk's now. Raises OperatorError for a day to come."""
    if as_of is None:
        return clock
    today = clock.astimezone(NEW_YORK).date()
    if as_of > today:
        raise OperatorError(f"the desk has not come to {as_of} yet", f"name a day up to {today}")
    return datetime.combine(as_of + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)


async def look_up(memory: AgentMemory, asked: Asked, moment: datetime, helper: Helper) -> Found:
    """The answer by what was known at `moment`: no trade, end of a trade or state from after it has a part.

    Raises OperatorError where print_patterns does.
    """
    trades = await memory.trades_known(before=moment)
    facts = [fact_of(trade) for trade in trades]
    today = (moment - timedelta(microseconds=1)).astimezone(NEW_YORK).date()
    understood = await _understood(asked, Known.of(facts, today), helper)
    like, analogues = await _analogues(memory, understood.filter, asked.like, facts, moment)
    return Found(
        understood=understood,
        pattern=pattern_of(understood.filter, facts, as_of=today + timedelta(days=1)),
        moment=moment,
        like=like,
        analogues=analogues,
    )


async def _understood(asked: Asked, known: Known, helper: Helper) -> Understood:
    options = asked.options.model_copy(update={"sector": known.sector(asked.options.sector)})
    if not asked.words.strip():
        return Understood(filter=options, left=(), read_by="options")
    try:
        reading = read(asked.words, known)
    except ValueError as error:
        raise OperatorError(f"the question is too long: {error}", "ask in fewer words") from error
    helped = Helped(reading=reading, by=GRAMMAR)
    if reading.left:
        helped = await helper(asked.words, reading, known)
    if not helped.reading.understood and asked.options == NO_OPTIONS:
        examples = ", ".join(f'"{example}"' for example in EXAMPLES)
        raise OperatorError(
            f"nothing of {shortened(asked.words, 60)!r} is understood", f"ask such as {examples}"
        )
    return Understood(
        filter=_both(helped.reading.filter, options),
        left=helped.reading.left,
        read_by=helped.by,
        cost_usd=helped.cost_usd,
        note=helped.note,
    )


async def asked_of_a_model(
    settings: Settings, kind: DeskKind, conninfo: str, words: str, reading: Reading, known: Known
) -> Helped:
    """The reading after a model was asked about what is left, where there is one to ask."""
    if settings.anthropic_api_key is None:
        return Helped(reading=reading, by=GRAMMAR, note="no model was asked: ANTHROPIC_API_KEY is not set")
    # The wiring of models costs most of a second, which words that are understood should not pay.
    from agents.learning.pattern_question import read_further
    from app.wiring import open_models

    async with open_models(settings, kind, conninfo, keyed=False) as models:
        if models is None:
            return Helped(reading=reading, by=GRAMMAR, note="no model was asked: a replay asks none")
        further = await read_further(models.gateway, words, reading, known)
    if further.interaction_id is None:
        note = f"the model gave {further.source}"
        return Helped(reading=reading, by=GRAMMAR, cost_usd=further.cost_usd, note=note)
    by = f"{GRAMMAR} and {further.source}"
    return Helped(reading=further.reading, by=by, cost_usd=further.cost_usd)


def _both(words: TradeFilter, options: TradeFilter) -> TradeFilter:
    said, given = (one.model_dump(exclude_none=True) for one in (words, options))
    for name, value in given.items():
        if said.get(name, value) != value:
            raise OperatorError(
                f"the words say {name.replace('_', ' ')} {said[name]}, the option says {value}",
                "say it once",
            )
    try:
        return TradeFilter.model_validate({**said, **given})
    except ValidationError as error:
        raise OperatorError(f"words and options do not fit: {_reason(error)}", "say it once") from error


def _reason(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


async def _analogues(
    memory: AgentMemory,
    wanted: TradeFilter,
    like: str | None,
    trades: Sequence[TradeFact],
    moment: datetime,
) -> tuple[PastCandidate | None, Sequence[PastTrade]]:
    """The last candidate of the kind by then, and the trades of the filter in the state most like its own."""
    symbols: set[str] | None = None
    if wanted.sector is not None:
        symbols = {trade.symbol for trade in trades if trade.sector == wanted.sector}
    if wanted.symbol is not None:
        symbols = {wanted.symbol}
    asked = CandidateWanted(
        setup=wanted.setup, regime=wanted.regime, volatility=wanted.volatility, symbols=symbols
    )
    if like is not None:
        asked = CandidateWanted(symbols={like.upper()})
    candidate = await memory.last_candidate(asked, before=moment)
    if candidate is None and like is not None:
        raise OperatorError(
            f"{like!r} had never been argued over by then", "name a symbol that `quorum why` shows"
        )
    ids = [trade.id for trade in trades if wanted.matches(trade)]
    state = None if candidate is None else state_vector(technicals_from_json(candidate.technicals))
    found = await memory.past_trades(
        ids,
        most=MOST_ANALOGUES,
        like=state,
        but=None if candidate is None else candidate.deliberation_id,
    )
    return candidate, found
