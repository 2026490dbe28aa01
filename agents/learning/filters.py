"""Which trades are meant: a typed filter, and the facts of a closed trade that it is held against."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.memory import StoredTrade
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility

BEYOND = 1000.0  # what no reading and no result reaches: a range up to it, or from its negative, is open

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class TradeFact:
    """One closed trade as the desk recorded it; readings are of the signal's close, `r` is net of costs.

    `conviction` is the mean of the agents that voted for it, 0-1.
    """

    id: UUID
    symbol: str
    sector: str | None
    setup: SetupType
    regime: Direction
    volatility: Volatility
    rsi: float | None
    vix: float | None
    exit_reason: ExitReason
    entered: date
    closed: date
    r: float
    stances: tuple[tuple[AgentName, Stance], ...] = ()
    conviction: float | None = None

    @property
    def won(self) -> bool:
        return self.r > 0


class TradeFilter(BaseModel):
    """Which trades are meant; what is unset says nothing. Ranges leave out their second value.

    `won`, `r` and `exit_reason` choose by how a trade ended: such a filter describes, it foretells nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    setup: SetupType | None = None
    regime: Direction | None = None
    volatility: Volatility | None = None
    sector: str | None = Field(None, max_length=80)
    symbol: str | None = Field(None, max_length=20)
    rsi: Span | None = None
    vix: Span | None = None
    exit_reason: ExitReason | None = None
    won: bool | None = None
    r: Span | None = None
    stance: tuple[AgentName, Stance] | None = None
    conviction: Span | None = None
    entered_from: date | None = None
    entered_to: date | None = None

    @model_validator(mode="after")
    def _ranges_rise(self) -> "TradeFilter":
        for name in ("rsi", "vix", "r", "conviction"):
            if (span := getattr(self, name)) is not None and not span[0] < span[1]:
                raise ValueError(f"expected {name} to rise from its first to its second value")
        if self.entered_from and self.entered_to and self.entered_from > self.entered_to:
            raise ValueError("expected the first day of entry before the last")
        return self

    @property
    def asks_how_it_ended(self) -> bool:
        return self.won is not None or self.r is not None or self.exit_reason is not None

    def matches(self, trade: TradeFact) -> bool:
        """Whether the trade is meant; a missing reading is in no range."""
        same = (
            (self.setup, trade.setup),
            (self.regime, trade.regime),
            (self.volatility, trade.volatility),
            (self.sector, trade.sector),
            (self.symbol, trade.symbol),
            (self.exit_reason, trade.exit_reason),
            (self.won, trade.won),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in same)
            and _within(self.rsi, trade.rsi)
            and _within(self.vix, trade.vix)
            and _within(self.r, trade.r)
            and _within(self.conviction, trade.conviction)
            and (self.stance is None or self.stance in trade.stances)
            and (self.entered_from is None or trade.entered >= self.entered_from)
            and (self.entered_to is None or trade.entered <= self.entered_to)
        )

    def __str__(self) -> str:
        words = [
            self.symbol,
            self.setup and self.setup.replace("_", " "),
            self.regime and f"in {self.regime}",
            self.volatility and f"in {self.volatility}",
            self.sector and f"in {self.sector}",
            self.rsi and f"RSI(14) {_said(self.rsi)}",
            self.vix and f"VIX {_said(self.vix)}",
            self.exit_reason and f"out by {self.exit_reason.replace('_', ' ')}",
            None if self.won is None else "that won" if self.won else "that did not win",
            self.r and f"result in R {_said(self.r)}",
            self.stance and f"{self.stance[0]} {self.stance[1]}",
            self.conviction and f"conviction {_said(self.conviction)}",
            self.entered_from and f"entered from {self.entered_from.isoformat()}",
            self.entered_to and f"entered to {self.entered_to.isoformat()}",
        ]
        return ", ".join(word for word in words if word) or "all trades"


def fact_of(trade: StoredTrade) -> TradeFact:
    """A stored trade as claims are made of it."""
    return TradeFact(
        id=trade.id,
        symbol=trade.symbol,
        sector=trade.sector,
        setup=trade.setup,
        regime=trade.regime,
        volatility=trade.volatility,
        rsi=trade.rsi,
        vix=trade.vix,
        exit_reason=trade.exit_reason,
        entered=trade.entered,
        closed=trade.closed,
        r=trade.r,
        stances=trade.stances,
        conviction=trade.conviction,
    )


def _within(span: Span | None, value: float | None) -> bool:
    return span is None or (value is not None and span[0] <= value < span[1])


def _said(span: Span) -> str:
    low, high = span
    if high >= BEYOND:
        return f"{low:g} or more"
    return f"below {high:g}" if low <= -BEYOND else f"{low:g} to {high:g}"
