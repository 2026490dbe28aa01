"""Standing policies: what a human lets the desk approve by itself, and why it does not.

The bounds here are hard: a policy may be set tighter, never wider, and the database holds the same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from storage.records import DeskKind, Recommendation, Rung, SetupType

MOST_RISK = 0.005  # of one trade, fraction of equity
MOST_A_DAY = 2
MOST_HEAT = 0.015  # of everything a policy has approved, fraction of equity
LIFE = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class PolicyBounds:
    """What one policy allows; ValueError beyond the hard bounds."""

    setups: frozenset[SetupType]
    max_risk: float
    min_probability: float
    a_day: int
    max_heat: float

    def __post_init__(self) -> None:
        if not self.setups:
            raise ValueError("expected at least one setup")
        if not 0 < self.max_risk <= MOST_RISK:
            raise ValueError(f"expected a risk above 0 and at most {MOST_RISK:.2%}, was {self.max_risk:.2%}")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"expected a probability of 0 to 1, was {self.min_probability}")
        if not 1 <= self.a_day <= MOST_A_DAY:
            raise ValueError(f"expected 1 or {MOST_A_DAY} trades a day, was {self.a_day}")
        if not 0 < self.max_heat <= MOST_HEAT:
            raise ValueError(f"expected a heat above 0 and at most {MOST_HEAT:.2%}, was {self.max_heat:.2%}")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the desk stands when a policy is asked. `approved_today` and `heat_usd` count what policies did:
    trades approved for this open, and dollars at risk in all of theirs that are approved or open."""

    kind: DeskKind
    rung: Rung
    held_back: str  # why nothing may be entered, or nothing
    equity: Decimal
    approved_today: int
    heat_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A proposal that waits. `probability` is of a win; None where the desk claims none."""

    setup: SetupType
    risky: bool
    recommendation: Recommendation
    max_risk: Decimal  # dollars
    probability: float | None


def off_because(standing: Standing, *, expires_at: datetime, now: datetime) -> str:
    """Why no policy acts at all, or nothing."""
    reasons: Mapping[str, bool] = {
        "a policy never acts on a live desk": standing.kind is DeskKind.LIVE,
        "it has expired": now >= expires_at,
        standing.held_back: bool(standing.held_back),
        f"the ladder stands at {standing.rung}": standing.rung is not Rung.FULL,
        "the account is worth nothing": standing.equity <= 0,
    }
    return next((why for why, holds in reasons.items() if holds), "")


def refuses_because(bounds: PolicyBounds, candidate: Candidate, standing: Standing) -> str:
    """Why this proposal is left to the human, or nothing."""
    risk = float(candidate.max_risk / standing.equity)
    heat = float((standing.heat_usd + candidate.max_risk) / standing.equity)
    reasons: Mapping[str, bool] = {
        "it is risky": candidate.risky,
        "the desk does not recommend it": candidate.recommendation is not Recommendation.APPROVE,
        f"{candidate.setup.replace('_', ' ')} is not among its setups": candidate.setup not in bounds.setups,
        f"it risks {risk:.2%} of equity": risk > bounds.max_risk,
        "its chance is too small or unknown": candidate.probability is None
        or candidate.probability < bounds.min_probability,
        f"{standing.approved_today} were approved today": standing.approved_today
        >= min(bounds.a_day, MOST_A_DAY),
        f"the heat of policies would be {heat:.2%}": heat > min(bounds.max_heat, MOST_HEAT),
    }
    return next((why for why, holds in reasons.items() if holds), "")
