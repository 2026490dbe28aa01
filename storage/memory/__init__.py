"""AgentMemory: what the agents saw, said and were worth, written once and asked again."""

from storage.memory.adjustments import (
    Adjustment,
    AdjustmentMeasure,
    AdjustmentMemory,
    AdjustmentRow,
    Span,
)
from storage.memory.arguments import ArgumentMemory, ResolvedArgument, VoteCast
from storage.memory.interactions import Interaction, InteractionMemory, InteractionRow, ModelSpend
from storage.memory.market import MarketMemory, StoredBar
from storage.memory.metrics import AgentDay, Measurement, MetricMemory
from storage.memory.news import NewsMemory, ToldNews
from storage.memory.patterns import (
    PastResults,
    PastTrade,
    PatternFilter,
    PatternMemory,
    RsiBucket,
    VixBucket,
)
from storage.memory.screens import Horizon, ScreenMemory, ScreenOutcome, StoredThesis, Unmeasured
from storage.memory.trades import TradeMemory, TradeRecord

__all__ = [
    "Adjustment",
    "AdjustmentMeasure",
    "AdjustmentRow",
    "AgentDay",
    "AgentMemory",
    "Horizon",
    "Interaction",
    "InteractionRow",
    "Measurement",
    "ModelSpend",
    "PastResults",
    "PastTrade",
    "PatternFilter",
    "ResolvedArgument",
    "RsiBucket",
    "ScreenOutcome",
    "Span",
    "StoredBar",
    "StoredThesis",
    "ToldNews",
    "TradeRecord",
    "Unmeasured",
    "VixBucket",
    "VoteCast",
]


class AgentMemory(
    MarketMemory,
    NewsMemory,
    ScreenMemory,
    ArgumentMemory,
    TradeMemory,
    PatternMemory,
    MetricMemory,
    InteractionMemory,
    AdjustmentMemory,
):
    """The one door to it all: reads and writes within the transaction of the session it is handed."""
