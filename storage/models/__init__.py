"""The schema as SQLAlchemy models: one file for each part of the desk's memory.

Importing this package registers every table on `Base.metadata`; what reads and writes them is elsewhere.
"""

from storage.models.base import Base
from storage.models.day import DeskRow, Equity, ParameterVersion, RegimeReading, Run
from storage.models.learning import AgentMetric, AgentPrompt, LlmInteraction, SpendLimit, StrategyAdjustment
from storage.models.market import Bar, CorporateActionRow, Instrument, ScreenerResult
from storage.models.runtime import AgentState, Leadership, Operation, ScheduledSlot, Worker
from storage.models.trading import (
    Approval,
    CashEvent,
    Deliberation,
    Fill,
    Order,
    Position,
    TradeOutcome,
    Verdict,
    Vote,
)

__all__ = [
    "AgentMetric",
    "AgentPrompt",
    "AgentState",
    "Approval",
    "Bar",
    "Base",
    "CashEvent",
    "CorporateActionRow",
    "Deliberation",
    "DeskRow",
    "Equity",
    "Fill",
    "Instrument",
    "Leadership",
    "LlmInteraction",
    "Operation",
    "Order",
    "ParameterVersion",
    "Position",
    "RegimeReading",
    "Run",
    "ScheduledSlot",
    "ScreenerResult",
    "SpendLimit",
    "StrategyAdjustment",
    "TradeOutcome",
    "Verdict",
    "Vote",
    "Worker",
]
