"""The facts on an approval's card: what a human should know before risking money, each one computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.market.bars import Bars
from agents.market.indicators import SESSIONS_PER_YEAR
from agents.trading.screener import Screened
from agents.trading.setups import SetupPlan
from storage.records import TradeTerms

GAP_WINDOW = 504  # sessions looked back for the worst overnight gap: two years, where there are so many


@dataclass(frozen=True)
class Fact:
    """One line of the card."""

    label: str
    value: str


def trade_facts(
    plan: SetupPlan,
    terms: TradeTerms,
    candidate: Screened,
    bars: Bars,
    *,
    closed_trades: int,
    won_trades: int,
) -> tuple[Fact, ...]:
    """Everything here is as of the signal's close."""
    readings = candidate.technicals
    stop_distance = plan.close - plan.stop
    facts = [
        Fact("Signal", f"close {plan.close} on {plan.session.isoformat()}, score {candidate.score:.0f}/100"),
        Fact(
            "Stop distance",
            f"{stop_distance / plan.close:.1%} of the close, {stop_distance / plan.atr:.1f} ATR",
        ),
        Fact("ATR(14)", f"{plan.atr:.4f}"),
        Fact("Target", f"{(plan.target - plan.close) / stop_distance:.1f} R from the close"),
        Fact("Time exit", f"at the close after {plan.max_hold} sessions"),
    ]
    if readings.rsi14 is not None:
        facts.append(Fact("RSI(14)", f"{readings.rsi14:.1f}"))
    if readings.sma200:
        facts.append(Fact("Against SMA200", f"{(readings.close or 0) / readings.sma200 - 1:+.1%}"))
    worst = worst_overnight_gap(bars)
    if worst is not None:
        loss = worst * float(terms.max_entry) * terms.max_shares
        years = min(len(bars), GAP_WINDOW) / SESSIONS_PER_YEAR
        facts.append(
            Fact(
                f"Worst overnight gap in {years:.1f} years",
                f"{worst:+.1%}, {loss:+,.0f} dollars on this size",
            )
        )
    if readings.dollar_volume20:
        share = float(terms.max_entry) * terms.max_shares / readings.dollar_volume20
        facts.append(Fact("Share of daily volume", f"{share:.4%}"))
    facts.append(
        Fact(
            "This setup so far",
            f"{won_trades} of {closed_trades} trades won" if closed_trades else "no trade has closed yet",
        )
    )
    return tuple(facts)


def worst_overnight_gap(bars: Bars) -> float | None:
    """The worst open against the close before it, as a fraction; None without two bars, zero at best."""
    opens, closes = bars.open[-GAP_WINDOW:], bars.close[-GAP_WINDOW:]
    if len(opens) < 2:
        return None
    gaps = opens[1:] / closes[:-1] - 1
    gaps = gaps[~np.isnan(gaps)]
    return min(0.0, float(gaps.min())) if len(gaps) else None
