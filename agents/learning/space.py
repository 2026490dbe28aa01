"""What may be proposed at all: each parameter with unit, bounds and step, and the checks on every proposal.

Bounds, types and meanings are those of the fields the desk itself reads (agents/trading, agents/consensus),
so they cannot drift apart. Here stands only what is exposed, in which unit and by which step: engineering
choices. Values are Decimal, so that steps are exact; yes and no are 1 and 0.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from agents.pool import PoolRules
from agents.trading.limits import Limits
from agents.trading.limits.config import FLOORS
from agents.trading.policy import RegimePolicy
from agents.trading.screener import ScreenRules
from agents.trading.setups import Setups

MOST_DIGITS = 12  # before the point, and after it
MOST_STEPS = 4  # that one proposal may move a parameter by

RSI, ATR, R, SESSIONS = "RSI(14)", "ATR(14)", "R", "sessions"
FRACTION, RATIO, COUNT, ANSWER = "fraction", "ratio", "count", "1 yes, 0 no"


class DeskRules(BaseModel):
    """The rules a desk trades by that learning may propose to change; every model checks its own values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    setups: Setups = Setups()
    screen: ScreenRules = ScreenRules()
    regime_policy: RegimePolicy = RegimePolicy()
    limits: Limits = Limits()
    pool: PoolRules = PoolRules()


class Sense(StrEnum):
    """Which way a parameter may be moved from what is in force."""

    FREE = "free"
    ONLY_DOWN = "only down"
    ONLY_UP = "only up"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One row of the space. `family` is what has one change in flight at a time.

    `low_open` says that the bound itself is out. `replayable` says whether trades of the past, each on its
    own, can show what a change does: the size of a trade and what the account holds they cannot.
    """

    name: str
    family: str
    unit: str
    low: Decimal
    low_open: bool
    high: Decimal
    step: Decimal
    whole: bool
    sense: Sense
    meaning: str
    replayable: bool

    def holds(self, value: Decimal) -> bool:
        """Whether the value lies within the bounds."""
        return (self.low < value if self.low_open else self.low <= value) and value <= self.high

    @property
    def is_answer(self) -> bool:
        """Whether it is a yes or no."""
        return self.unit == ANSWER

    @property
    def bounds(self) -> str:
        return f"{'above ' if self.low_open else ''}{plain(self.low)} to {plain(self.high)} {self.unit}"


@dataclass(frozen=True)
class ParameterChange:
    """A proposed change of one parameter, by its dotted name."""

    name: str
    old: Decimal
    new: Decimal

    def __str__(self) -> str:
        return f"{self.name} {plain(self.old)} -> {plain(self.new)}"


@dataclass(frozen=True)
class RefusedChange:
    """A proposal that is not taken, and why."""

    change: ParameterChange
    reason: str


_EXIT = {
    "stop_atr": (ATR, "0.25"),
    "target_r": (R, "0.25"),
    "min_reward_risk": (RATIO, "0.25"),
    "max_hold": (SESSIONS, "2"),
}
_ENTRY_BAND = {"entry_band_atr": (ATR, "0.1")}
_ROW = {
    "oversold_bounce": (ANSWER, "1"),
    "momentum": (ANSWER, "1"),
    "breakout": (ANSWER, "1"),
    "risk_scale": (FRACTION, "0.125"),
    "risk_per_trade": (FRACTION, "0.0005"),
    "heat": (FRACTION, "0.0025"),
}
_EXPOSED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "setups.oversold_bounce": {"rsi_max": (RSI, "1"), **_ENTRY_BAND, **_EXIT},
    "setups.momentum": {
        "return_min": (FRACTION, "0.025"),
        "high_within": (FRACTION, "0.01"),
        "rsi_min": (RSI, "1"),
        "rsi_max": (RSI, "1"),
        "max_extension_atr": (ATR, "0.25"),
        **_ENTRY_BAND,
        **_EXIT,
    },
    "setups.breakout": {
        "lookback": (SESSIONS, "35"),
        "volume_ratio_min": (RATIO, "0.1"),
        "max_base_atr": (ATR, "1"),
        "max_extension_atr": (ATR, "0.1"),
        "level_stop_atr": (ATR, "0.25"),
        **_ENTRY_BAND,
        **_EXIT,
    },
    "screen": {
        "rsi_max": (RSI, "1"),
        "momentum_return": (FRACTION, "0.01"),
        "momentum_fall": (FRACTION, "0.01"),
        "momentum_rsi_max": (RSI, "1"),
        "breakout_below_atr": (ATR, "0.25"),
        "breakout_above_atr": (ATR, "0.1"),
        "breakout_volume": (RATIO, "0.1"),
        "min_atr": (FRACTION, "0.001"),
        "max_atr": (FRACTION, "0.01"),
        "max_selected": (COUNT, "1"),
    },
    "regime_policy": {"stop_atr": (ATR, "0.1")},
    "regime_policy.bull": _ROW,
    "regime_policy.sideways": _ROW,
    "regime_policy.bear": _ROW,
    "regime_policy.high_vol": _ROW,
    "limits": {
        "risk_per_trade": (FRACTION, "0.0005"),
        "heat": (FRACTION, "0.005"),
        "heat_adjusted": (FRACTION, "0.005"),
        "volatility_target": (FRACTION, "0.0005"),
        "worst_gap": (FRACTION, "0.0025"),
        "max_positions": (COUNT, "1"),
        "correlation": (RATIO, "0.05"),
        "sector": (FRACTION, "0.05"),
        "min_cash": (FRACTION, "0.05"),
        "daily_loss": (FRACTION, "0.005"),
        "weekly_loss": (FRACTION, "0.005"),
        "ladder_half": (FRACTION, "0.005"),
        "ladder_quarter": (FRACTION, "0.01"),
        "ladder_stop": (FRACTION, "0.01"),
        "ladder_halt": (FRACTION, "0.01"),
        "min_reward_risk": (RATIO, "0.1"),
        "earnings_sessions": (SESSIONS, "1"),
        "earnings_margin": (SESSIONS, "1"),
        "earnings_unknown_scale": (FRACTION, "0.1"),
    },
    "pool": {
        "slope": (FRACTION, "0.1"),
        "hedge_rate": (RATIO, "0.5"),
        "share": (FRACTION, "0.01"),
        "ridge": (COUNT, "1"),
        "decision": (FRACTION, "0.05"),
    },
}


_ALSO_REPLAYABLE = ("limits.min_reward_risk", "regime_policy.stop_atr")


@cache
def space() -> Mapping[str, Parameter]:
    """Every parameter that may be proposed, by its name, in the order of the desk's own settings."""
    rows = {}
    for place, exposed in _EXPOSED.items():
        fields = type(_model_at(DeskRules(), place)).model_fields
        for field, (unit, step) in exposed.items():
            if field in fields:  # not every row of the policy has a switch for every setup
                row = _parameter(place, field, fields[field], unit, Decimal(step))
                rows[row.name] = row
    return rows


def value_of(rules: DeskRules, name: str) -> Decimal:
    """The value in force; KeyError for a name that is not in the space."""
    space()[name]
    place, _, field = name.rpartition(".")
    return _decimal(getattr(_model_at(rules, place), field))


def changed(rules: DeskRules, changes: Iterable[ParameterChange]) -> DeskRules:
    """The rules with the changes made; ValidationError where a value is not one of its field's."""
    values = rules.model_dump()
    for change in changes:
        *place, field = change.name.split(".")
        inner = values
        for part in place:
            inner = inner[part]
        inner[field] = int(change.new) if space()[change.name].whole else float(change.new)
    return DeskRules.model_validate(values)


def why_not(change: ParameterChange, rules: DeskRules) -> str | None:
    """Why a change cannot be proposed under the rules in force; None when it can."""
    row = space().get(change.name)
    if row is None:
        return f"{change.name!a} is not a parameter that may be proposed"
    if not (change.old.is_finite() and change.new.is_finite()):
        return "expected numbers"
    in_force = value_of(rules, change.name)
    if change.old != in_force:
        return f"it starts from {plain(change.old)}, in force is {plain(in_force)}"
    if change.new == in_force:
        return f"{plain(in_force)} is in force already"
    if not row.holds(change.new):
        return f"{plain(change.new)} lies outside {row.bounds}"
    if not _is_written_out(change.new) or (change.new - change.old) % row.step:
        moved = f"it moves from {plain(change.old)} to {plain(change.new)}"
        return f"{moved}, no whole steps of {plain(row.step)} {row.unit}"
    if abs(change.new - change.old) > MOST_STEPS * row.step:
        return f"it moves by more than {MOST_STEPS} steps of {plain(row.step)} {row.unit}"
    if row.sense is Sense.ONLY_DOWN and change.new > change.old:
        return "it would be a wider limit: this one may only be lowered"
    if row.sense is Sense.ONLY_UP and change.new < change.old:
        return "it would be a wider limit: this one may only be raised"
    try:
        changed(rules, [change])
    except ValidationError as error:
        return f"the desk would refuse it: {error.errors()[0]['msg']}"
    return None


def sift(
    changes: Iterable[ParameterChange],
    rules: DeskRules,
    *,
    in_flight: Collection[str] = (),
    rejected: Collection[ParameterChange] = (),
) -> tuple[tuple[ParameterChange, ...], tuple[RefusedChange, ...]]:
    """The changes of one night that may go on, in their order, and those refused, each with its reason.

    `in_flight` are families with a change on trial; `rejected` are changes a human has turned down and for
    which there is no new evidence: who refuses a step refuses a longer one the same way. Of two changes in a
    family the first goes on; two values for one parameter contradict each other and neither does.
    """
    told = list(changes)
    values: dict[str, set[Decimal]] = {}
    for change in told:
        values.setdefault(change.name, set()).add(change.new)
    taken: list[ParameterChange] = []
    refused = []
    busy = set(in_flight)
    for change in told:
        reason = why_not(change, rules)
        if reason is None and len(values[change.name]) > 1:
            said = " and ".join(plain(value) for value in sorted(values[change.name]))
            reason = f"tonight's proposals contradict each other: {said}"
        if reason is None and change in taken:
            reason = "it was proposed already tonight"
        if reason is None and any(_goes_as_far(change, one) for one in rejected):
            reason = "it was rejected before, and there is no new evidence"
        if reason is None and (family := space()[change.name].family) in busy:
            reason = f"a change of {family} is in flight: one at a time"
        if reason is not None:
            refused.append(RefusedChange(change, reason))
            continue
        taken.append(change)
        busy.add(space()[change.name].family)
    return tuple(taken), tuple(refused)


def _goes_as_far(change: ParameterChange, other: ParameterChange) -> bool:
    """Whether a change moves the same parameter the same way, to where the other leads or beyond."""
    way = other.new - other.old
    same_way = (change.new - change.old) * way > 0
    return change.name == other.name and same_way and (change.new - other.new) * way >= 0


def _parameter(place: str, field: str, info: FieldInfo, unit: str, step: Decimal) -> Parameter:
    is_answer = info.annotation is bool
    low, low_open, high = (Decimal(0), False, Decimal(1)) if is_answer else _bounds(info)
    root = place.split(".")[0]
    if root == "limits":
        sense = Sense.ONLY_UP if field in FLOORS else Sense.ONLY_DOWN
    else:
        sense = Sense.ONLY_DOWN if root == "regime_policy" else Sense.FREE
    name = f"{place}.{field}"
    return Parameter(
        name=name,
        family=place if root == "setups" else root,
        unit=unit,
        low=low,
        low_open=low_open,
        high=high,
        step=step,
        whole=is_answer or info.annotation is int,
        sense=sense,
        meaning=info.description or "",
        replayable=root in ("setups", "screen") or unit == ANSWER or name in _ALSO_REPLAYABLE,
    )


def _bounds(info: FieldInfo) -> tuple[Decimal, bool, Decimal]:
    """The lowest value, whether it is out itself, and the highest; ValueError for a field without both."""
    low = high = None
    low_open = False
    for rule in info.metadata:
        match rule:
            case Ge(ge=bound):
                low, low_open = _decimal(bound), False
            case Gt(gt=bound):
                low, low_open = _decimal(bound), True
            case Le(le=bound):
                high = _decimal(bound)
            case Lt():
                raise ValueError("expected a highest value that is in itself")
            case _:
                continue
    if low is None or high is None:
        raise ValueError(f"expected bounds on both sides of {info.description!r}")
    return low, low_open, high


def _model_at(rules: DeskRules, place: str) -> BaseModel:
    model: BaseModel = rules
    for part in place.split("."):
        model = getattr(model, part)
    return model


def _decimal(value: object) -> Decimal:
    return Decimal(str(int(value) if isinstance(value, bool) else value))


def plain(value: Decimal) -> str:
    """A value as it is written everywhere: no exponent, no trailing zeros; one beyond all bounds as it is.

    Written out, 1e999999999 would fill the memory.
    """
    if not value:
        return "0"
    return f"{value.normalize():f}" if _is_written_out(value) else str(value)


def _is_written_out(value: Decimal) -> bool:
    """Whether a value has so few digits that arithmetic on it is exact."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DIGITS and value.adjusted() <= MOST_DIGITS
