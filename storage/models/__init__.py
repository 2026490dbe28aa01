"""The schema as SQLAlchemy models: one file for each part of the desk's memory.

Importing this package registers every table on `Base.metadata`; what reads and writes them is elsewhere.
"""

from storage.models.audit import AuditEvent, Halt
from storage.models.base import Base
from storage.models.broker import (
    Difference,
    PaperAction,
    PaperFill,
    PaperHolding,
    PaperOrder,
    PositionRequest,
)
from storage.models.day import (
    DeskRow,
    Equity,
    LadderReading,
    ParameterVersion,
    RearmRow,
    RegimeReading,
    Run,
)
from storage.models.inbox import Absence, StandingPolicy
from storage.models.learning import (
    AgentMeasurement,
    AgentMetric,
    AgentPrompt,
    ChangeVerdict,
    LlmInteraction,
    SpendLimit,
    StrategyAdjustment,
)
from storage.models.loop import (
    ClaimLink,
    ClaimRow,
    Experiment,
    FrozenQuestion,
    LoopStageRow,
    ShadowDecision,
    ShadowPair,
    TrialRow,
)
from storage.models.market import Bar, CorporateActionRow, Instrument, NewsRow, ScreenerResult, Watch
from storage.models.notes import TradeNote
from storage.models.notices import Notification
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
from storage.models.vendor import (
    CallReservation,
    Entitlement,
    QuotaPlan,
    QuotaReset,
    VendorBlock,
    VendorCacheRow,
    VendorCallRow,
    VendorKey,
    VendorSeriesRow,
)

__all__ = [
    "Absence",
    "AgentMeasurement",
    "AgentMetric",
    "AgentPrompt",
    "AgentState",
    "Approval",
    "AuditEvent",
    "Bar",
    "Base",
    "CallReservation",
    "CashEvent",
    "ChangeVerdict",
    "ClaimLink",
    "ClaimRow",
    "CorporateActionRow",
    "Deliberation",
    "DeskRow",
    "Difference",
    "Entitlement",
    "Equity",
    "Experiment",
    "Fill",
    "FrozenQuestion",
    "Halt",
    "Instrument",
    "LadderReading",
    "Leadership",
    "LlmInteraction",
    "LoopStageRow",
    "NewsRow",
    "Notification",
    "Operation",
    "Order",
    "PaperAction",
    "PaperFill",
    "PaperHolding",
    "PaperOrder",
    "ParameterVersion",
    "Position",
    "PositionRequest",
    "QuotaPlan",
    "QuotaReset",
    "RearmRow",
    "RegimeReading",
    "Run",
    "ScheduledSlot",
    "ScreenerResult",
    "ShadowDecision",
    "ShadowPair",
    "SpendLimit",
    "StandingPolicy",
    "StrategyAdjustment",
    "TradeNote",
    "TradeOutcome",
    "TrialRow",
    "VendorBlock",
    "VendorCacheRow",
    "VendorCallRow",
    "VendorKey",
    "VendorSeriesRow",
    "Verdict",
    "Vote",
    "Watch",
    "Worker",
]
