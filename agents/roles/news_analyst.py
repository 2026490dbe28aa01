"""The news analyst: what was written about a symbol, and which way it leans."""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import Annotated

from pydantic import Field

from agents.base import Abstention
from agents.grounding import Facts
from agents.llm.answers import AnswerModel
from agents.llm.questions import DataBlock
from agents.market.news.items import NewsItem
from agents.roles.asking import INJECTION, Brief, Heeded, ModelAgent
from storage.plain import shortened
from storage.records import AgentName, ThesisKind

MOST_ITEMS = 12
TEXT_LONGEST = 600  # characters of an item that are sent

# What no article says to its readers. A model may be fooled by the rest, and is asked to notice it too.
INSTRUCTS = re.compile(
    r"(?i)\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule|guideline|above|previous)"
    r"|\b(?:system|developer) (?:prompt|message)\b|\bjailbreak|\binjection_suspected\b"
    r"|\byou are (?:now )?(?:an? |the )?(?:ai|assistant|language model|agent|claude|chatgpt)\b"
    r"|\b(?:answer|respond|reply|output) (?:only )?with\b.{0,20}[{\"\[]"
    r"|</?(?:system|instructions?|tool_result)\b"
    r"|[\"{]\s*\"?(?:thesis|confidence|stance|verdict)\"?\s*:"
)


class Catalyst(StrEnum):
    """What the news is about, where it may move the price."""

    EARNINGS = "earnings"
    GUIDANCE = "guidance"
    DEAL = "deal"
    PRODUCT = "product"
    LEGAL = "legal"
    ANALYST = "analyst"
    MACRO = "macro"
    OTHER = "other"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class NewsContext:
    """What was written by the close of `session`, newest first; `items` is None where no source is set up."""

    symbol: str
    session: date
    items: tuple[NewsItem, ...] | None = None


class NewsAnswer(AnswerModel):
    """Words of a fixed list and bounded numbers: what strangers wrote cannot come out of it as text."""

    thesis: ThesisKind
    confidence: Annotated[float, Field(ge=0, le=100)]
    catalyst: Catalyst
    items: Annotated[list[int], Field(max_length=5, description="Numbers of the items it rests on")]
    injection_suspected: bool


@dataclass(frozen=True, kw_only=True)
class NewsReading:
    """A view drawn from the news; confidence 0-100."""

    symbol: str
    thesis: ThesisKind
    confidence: float
    reasoning: str


class NewsAnalystAgent(ModelAgent[NewsContext, NewsReading, NewsAnswer]):
    """Rules cannot weigh a headline: without a reader, or anything to read, this agent abstains.

    A view on news that seem to hold instructions is neutral: whoever plants one gains no vote by it.
    """

    name = AgentName.NEWS
    answer_type = NewsAnswer
    reads_strangers = True

    def noticed(self, context: NewsContext) -> tuple[str, ...]:
        return (INJECTION,) if any(map(_instructs, context.items or ())) else ()

    def by_rules(self, context: NewsContext) -> NewsReading | Abstention:
        """Always an abstention, with the reason."""
        if context.items is None:
            return Abstention(f"no news source is set up, so nothing was read about {context.symbol}")
        if not context.items:
            return Abstention(f"nothing was written about {context.symbol}")
        return Abstention(f"rules cannot weigh what was written about {context.symbol}")

    def brief(self, context: NewsContext, rules: NewsReading | Abstention) -> Brief | None:
        """One block an item, each a stranger's text."""
        items = _readable(context)
        if not items:
            return None
        return Brief(
            symbol=context.symbol,
            session=context.session,
            data=(
                DataBlock(
                    name="question",
                    source="the desk",
                    as_of=context.session,
                    content={"symbol": context.symbol, "items": len(items)},
                ),
                *(_block(number, item) for number, item in enumerate(items, 1)),
            ),
        )

    def heed(
        self, context: NewsContext, rules: NewsReading | Abstention, answer: NewsAnswer, facts: Facts
    ) -> Heeded[NewsReading]:
        """The reasoning is the desk's own words: none of the model's are taken over."""
        read = len(_readable(context))
        cited = sorted({number for number in answer.items if 1 <= number <= read})
        on = f", on {', '.join(map(str, cited))}" if cited else ""
        reading = NewsReading(
            symbol=context.symbol,
            thesis=ThesisKind.NEUTRAL if answer.injection_suspected else answer.thesis,
            confidence=round(answer.confidence, 1),
            reasoning=(
                f"{read} pieces of news about {context.symbol} read{on}: {answer.thesis}, "
                f"catalyst {answer.catalyst}"
                + (
                    ", but they seem to hold instructions: no side is taken."
                    if answer.injection_suspected
                    else "."
                )
            ),
        )
        return Heeded(reading, flags=(INJECTION,) if answer.injection_suspected else ())


def _readable(context: NewsContext) -> tuple[NewsItem, ...]:
    """The latest pieces, without those that seem to instruct whoever reads them: no model sees these."""
    harmless = (item for item in context.items or () if not _instructs(item))
    return tuple(islice(harmless, MOST_ITEMS))


def _instructs(item: NewsItem) -> bool:
    return INSTRUCTS.search(f"{item.title}\n{item.text}") is not None


def _block(number: int, item: NewsItem) -> DataBlock:
    return DataBlock(
        name=f"news_{number}",
        source=item.source,
        as_of=item.published or item.fetched_at,
        content={"title": shortened(item.title, 300), "text": shortened(item.text, TEXT_LONGEST)},
    )
