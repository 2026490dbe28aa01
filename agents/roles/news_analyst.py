"""The news analyst: what was written about a symbol, and which way it leans."""

from dataclasses import dataclass

from agents.base import Abstention, BaseAgent
from storage.records import AgentName, ThesisKind


@dataclass(frozen=True, kw_only=True)
class NewsContext:
    symbol: str


@dataclass(frozen=True, kw_only=True)
class NewsReading:
    """A view drawn from the news; confidence 0-100."""

    symbol: str
    thesis: ThesisKind
    confidence: float
    reasoning: str


class NewsAnalystAgent(BaseAgent[NewsContext, NewsReading]):
    """Rules cannot weigh a headline, so without a news source and a reader this agent always abstains."""

    name = AgentName.NEWS

    async def execute(self, context: NewsContext) -> NewsReading | Abstention:
        """Always an abstention, with the reason."""
        return Abstention(f"no news source is set up, so nothing was read about {context.symbol}")
