"""What the grammar of patterns did not understand, put to a model: its answer becomes the same typed filter.

The grammar's reading stands. A model may set what is still open, with names the desk's trades know; whatever
else it says changes nothing, and no answer leaves the grammar's reading as it is.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, ValidationError

from agents.gateway import Gateway
from agents.learning.filters import TradeFilter
from agents.learning.pattern_words import Known, Reading
from agents.llm.answers import AnswerModel
from agents.llm.outcome import NoAnswer
from agents.llm.questions import DataBlock, Prompt, Question
from agents.prompts import for_patterns
from storage.plain import clean
from storage.records import AgentName, Direction, ExitReason, SetupType, Volatility

MOST_SYMBOLS = 500  # that are named to a model
VERSION = 1  # of the words in agents/prompts/patterns.md


class PatternAnswer(AnswerModel):
    """What a model is asked for. Names and days are checked here, like anybody's."""

    setup: SetupType | None
    regime: Direction | None
    volatility: Volatility | None
    sector: Annotated[str | None, Field(max_length=80)]
    symbol: Annotated[str | None, Field(max_length=20)]
    exit_reason: ExitReason | None
    won: bool | None
    entered_from: Annotated[str | None, Field(max_length=10)]
    entered_to: Annotated[str | None, Field(max_length=10)]
    unread: Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=10)]


@dataclass(frozen=True, kw_only=True)
class Further:
    """A reading after a model was asked; `source` is the model, or why there was no answer."""

    reading: Reading
    source: str
    cost_usd: Decimal
    interaction_id: UUID | None


async def read_further(gateway: Gateway, words: str, reading: Reading, known: Known) -> Further:
    """Ask about what was left. Raises sqlalchemy.exc.DBAPIError while the ledger of model calls is away."""
    asked = await gateway.ask(question_of(words, reading, known))
    if isinstance(asked, NoAnswer):
        return Further(
            reading=reading, source=f"no answer: {asked.why}", cost_usd=asked.cost_usd, interaction_id=None
        )
    return Further(
        reading=heeded(reading, asked.value, known),
        source=asked.model,
        cost_usd=asked.cost_usd,
        interaction_id=asked.interaction_id,
    )


def question_of(words: str, reading: Reading, known: Known) -> Question[PatternAnswer]:
    """The question as it is put: the operator's words are data in it, like everything else."""
    told = for_patterns()
    return Question(
        agent=AgentName.LEARNING,
        prompt=Prompt(id=None, version=VERSION, system=told.system, instruction=told.template),
        data=_data(words, reading, known),
        answer=PatternAnswer,
    )


def heeded(reading: Reading, answer: PatternAnswer, known: Known) -> Reading:
    """The reading with what the answer adds to it, field by field, where it makes sense."""
    values = reading.filter.model_dump(exclude_none=True)
    added = False
    for name, value in _named(answer, known).items():
        if value is None or name in values:
            continue
        try:
            TradeFilter.model_validate({**values, name: value})
        except ValidationError:
            continue
        values[name], added = value, True
    unread = [clean(said).lower() for said in answer.unread]
    left = [
        said
        for said in reading.left
        if not added or any(piece and (piece in said.lower() or said.lower() in piece) for piece in unread)
    ]
    return Reading(
        filter=TradeFilter.model_validate(values),
        left=tuple(left),
        understood=reading.understood or added,
    )


def _named(answer: PatternAnswer, known: Known) -> dict[str, object]:
    """The answer's fields; a sector or symbol that no trade of the desk has is none."""
    sector = known.sector(answer.sector)
    symbol = (answer.symbol or "").upper()
    values = answer.model_dump(exclude={"unread"})
    values["sector"] = sector if sector in known.sectors else None
    values["symbol"] = symbol if symbol in known.symbols else None
    for name in ("entered_from", "entered_to"):
        values[name] = _day(values[name])
    return values


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _data(words: str, reading: Reading, known: Known) -> tuple[DataBlock, ...]:
    return (
        DataBlock(
            name="words",
            source="the operator",
            as_of=known.today,
            content={"question": words, "not_understood": list(reading.left)},
        ),
        DataBlock(
            name="understood",
            source="the grammar",
            as_of=known.today,
            content=reading.filter.model_dump(mode="json", exclude_none=True),
        ),
        DataBlock(
            name="names",
            source="the desk's closed trades",
            as_of=known.today,
            content={"sectors": sorted(known.sectors), "symbols": sorted(known.symbols)[:MOST_SYMBOLS]},
        ),
    )
