"""AgentMemory: what the agents saw, said and were worth, written once and asked again."""

from storage.memory.adjustments import (
    Adjustment,
    AdjustmentMemory,
    AdjustmentRow,
    Span,
)
from storage.memory.arguments import ArgumentMemory, ResolvedArgument, VoteCast
from storage.memory.claims import ClaimMemory, StoredClaim
from storage.memory.experiments import (
    AppliedChange,
    ChangeOnTrial,
    DecisionPair,
    ExperimentMemory,
    PairOnTrial,
    TrialReading,
)
from storage.memory.frozen import FrozenMemory, StoredQuestion
from storage.memory.interactions import Interaction, InteractionMemory, InteractionRow, ModelSpend
from storage.memory.market import MarketMemory, StoredBar
from storage.memory.metrics import AgentDay, Measurement, MetricMemory
from storage.memory.news import NewsMemory, ToldNews
from storage.memory.nights import (
    NightMemory,
    OutcomeCounts,
    StageDone,
    TriedVariant,
    TurnedDown,
)
from storage.memory.patterns import CandidateWanted, PastCandidate, PastTrade, PatternMemory, StoredTrade
from storage.memory.screens import Horizon, ScreenMemory, ScreenOutcome, StoredThesis, Unmeasured
from storage.memory.trades import TradeMemory, TradeRecord
from storage.proposal_standing import AdjustmentMeasure, Interval

__all__ = [
    "Adjustment",
    "AdjustmentMeasure",
    "AdjustmentRow",
    "AgentDay",
    "AgentMemory",
    "AppliedChange",
    "CandidateWanted",
    "ChangeOnTrial",
    "DecisionPair",
    "Horizon",
    "Interaction",
    "InteractionRow",
    "Interval",
    "Measurement",
    "ModelSpend",
    "OutcomeCounts",
    "PairOnTrial",
    "PastCandidate",
    "PastTrade",
    "ResolvedArgument",
    "ScreenOutcome",
    "Span",
    "StageDone",
    "StoredBar",
    "StoredClaim",
    "StoredQuestion",
    "StoredThesis",
    "StoredTrade",
    "ToldNews",
    "TradeRecord",
    "TrialReading",
    "TriedVariant",
    "TurnedDown",
    "Unmeasured",
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
    NightMemory,
    ClaimMemory,
    ExperimentMemory,
    FrozenMemory,
):
    """The one door to it all: reads and writes within the transaction of the session it is handed."""
