"""What trading cost between the decision and the fill, against what was assumed.

Two distances, in basis points of the price they start from, above zero where the desk was worse off:

    shortfall   decision close to fill: implementation shortfall (Perold 1988), the night's move included
    auction     the market's price to fill: what the order itself gave away
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from agents.statistics import Estimate, mean_interval
from storage.records import OrderSide

BASIS_POINTS = Decimal(10_000)


@dataclass(frozen=True, kw_only=True)
class SlippageRecord:
    """One fill; prices in dollars a share, distances in basis points.

    `reference` is the price the market showed before slippage: the open of an entry, what `ExitFill`
    calls so for an exit. `simulated` marks a paper fill, whose auction distance is the assumption itself.
    """

    symbol: str
    session: date
    side: OrderSide
    shares: int
    decision_close: Decimal
    reference: Decimal
    fill: Decimal
    shortfall_bps: float
    auction_bps: float
    assumed_bps: float
    simulated: bool


@dataclass(frozen=True, kw_only=True)
class SlippageSummary:
    """Many fills, each counted once whatever its size; basis points. `assumed_bps` is their mean."""

    n: int
    shortfall: Estimate
    auction: Estimate
    assumed_bps: float | None
    simulated: int
    verdict: str


def measure(
    *,
    symbol: str,
    session: date,
    side: OrderSide,
    shares: int,
    decision_close: Decimal,
    reference: Decimal,
    fill: Decimal,
    assumed_bps: float,
    simulated: bool,
) -> SlippageRecord:
    """Measure one fill. ValueError without shares or on a price that is not above zero."""
    if shares < 1 or not all(price > 0 for price in (decision_close, reference, fill)):
        raise ValueError(f"expected shares and prices above zero for {symbol} on {session}")
    return SlippageRecord(
        symbol=symbol,
        session=session,
        side=side,
        shares=shares,
        decision_close=decision_close,
        reference=reference,
        fill=fill,
        shortfall_bps=_worse_by(side, decision_close, fill),
        auction_bps=_worse_by(side, reference, fill),
        assumed_bps=assumed_bps,
        simulated=simulated,
    )


def summarise(records: Iterable[SlippageRecord]) -> SlippageSummary:
    """Mean and 95% interval of both distances, and a sentence on the assumption.

    The assumption is judged on the auction distance of real fills alone: a paper fill proves nothing about
    it, because it was made from it. It counts as refuted when the interval leaves it out.
    """
    every = list(records)
    real = [record for record in every if not record.simulated]
    assumed = mean_interval([record.assumed_bps for record in real or every]).mean
    auction = mean_interval([record.auction_bps for record in real or every])
    return SlippageSummary(
        n=len(every),
        shortfall=mean_interval([record.shortfall_bps for record in every]),
        auction=auction,
        assumed_bps=assumed,
        simulated=len(every) - len(real),
        verdict=_verdict(len(every), len(real), auction, assumed),
    )


def _worse_by(side: OrderSide, start: Decimal, fill: Decimal) -> float:
    paid = fill - start if side is OrderSide.BUY else start - fill
    return float(paid / start * BASIS_POINTS)


def _verdict(n: int, real: int, auction: Estimate, assumed: float | None) -> str:
    if n == 0 or assumed is None or auction.mean is None:
        return "No fills yet: the assumed slippage is untested."
    if real == 0:
        return f"All {n} fills are simulated with the assumed {assumed:.1f} bps: it is untested."
    found = f"{real} real fills gave away {auction.mean:.1f} bps on average"
    if auction.low is None or auction.high is None:
        return f"{found}, too few to judge the assumed {assumed:.1f} bps."
    found += f" (95% {auction.low:.1f} to {auction.high:.1f})"
    if auction.low > assumed:
        return f"{found}: more than the {assumed:.1f} bps assumed, trading is dearer than the desk reckons."
    if auction.high < assumed:
        return f"{found}: less than the {assumed:.1f} bps assumed, the desk reckons on the safe side."
    return f"{found}: in keeping with the {assumed:.1f} bps assumed."
