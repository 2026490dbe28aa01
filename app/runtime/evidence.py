"""The facts on an approval's card: what a human should know before risking money, each one computed."""

from __future__ import annotations

from dataclasses import dataclass

from agents.market.bars import Bars
from agents.market.indicators import SESSIONS_PER_YEAR
from agents.statistics import Tally, wilson
from agents.trading.limits import Sized
from agents.trading.limits.facts import GAP_WINDOW, worst_gap
from agents.trading.screener import Screened
from agents.trading.setups import SetupPlan
from storage.records import TradeTerms


@dataclass(frozen=True)
class Fact:
    """One line of the card."""

    label: str
    value: str


def trade_facts(
    plan: SetupPlan,
    terms: TradeTerms,
    sized: Sized,
    candidate: Screened,
    bars: Bars,
    *,
    record: Tally,
    base_rate: float,
) -> tuple[Fact, ...]:
    """Everything here is as of the signal's close.

    `record`: trades of the setup closed by then; `base_rate`: its shrunk win rate in this regime.
    """
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
        Fact("Size set by", "; ".join([sized.bound_by.replace("_", " "), *sized.notes])),
    ]
    if readings.rsi14 is not None:
        facts.append(Fact("RSI(14)", f"{readings.rsi14:.1f}"))
    if readings.sma200:
        facts.append(Fact("Against SMA200", f"{(readings.close or 0) / readings.sma200 - 1:+.1%}"))
    worst = worst_gap(bars)
    if worst is not None:
        loss = worst * float(terms.max_entry) * terms.max_shares
        years = min(len(bars), GAP_WINDOW) / SESSIONS_PER_YEAR
        facts.append(
            Fact(
                f"Worst overnight gap in {years:.1f} years",
                f"{-worst:+.1%}, {-loss:+,.0f} dollars on this size",
            )
        )
    if readings.dollar_volume20:
        share = float(terms.max_entry) * terms.max_shares / readings.dollar_volume20
        facts.append(Fact("Share of daily volume", f"{share:.4%}"))
    facts.append(Fact("This setup so far", _record(record)))
    facts.append(Fact("Win rate to expect", f"{base_rate:.0%}, shrunk, of this setup in this regime"))
    return tuple(facts)


def _record(record: Tally) -> str:
    if not record.trades:
        return "no trade has closed yet"
    low, high = wilson(record)
    return f"{record.wins} of {record.trades} trades won, 95% interval {low:.0%} to {high:.0%}"
