"""Which of the claims speak of tonight's candidates: shown with each, and kept; they decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.learning.claims import Candidate, speaks_of
from agents.learning.filters import TradeFilter
from agents.orchestrator import Deliberation as Argument
from agents.trading.screener import Screened
from app.runtime.step import Step
from storage.memory import StoredClaim
from storage.models import RegimeReading

MOST_SHOWN = 3  # on one card, those from most trades first


@dataclass(frozen=True)
class Lessons:
    """The claims that speak of each symbol, at most three."""

    claims: Mapping[str, Sequence[StoredClaim]] = field(default_factory=dict)

    def of(self, symbol: str) -> Sequence[StoredClaim]:
        return self.claims.get(symbol, ())


async def lessons_on(
    step: Step, regime: RegimeReading, arguments: Sequence[Argument], candidates: Mapping[str, Screened]
) -> Lessons:
    """The claims of an earlier night that hold tonight, by the candidate they speak of."""
    claims = await step.memory.claims_on(step.session)
    if not claims:
        return Lessons()
    filters = [(claim, TradeFilter.model_validate(claim.filter)) for claim in claims]
    vix = step.view.volatility_symbol
    bar = step.view.bars(vix).on(step.session) if vix else None
    found: dict[str, Sequence[StoredClaim]] = {}
    for argument in arguments:
        row, known = candidates[argument.symbol], step.view.instruments.get(argument.symbol)
        if argument.setup_type is None:
            continue
        candidate = Candidate(
            setup=argument.setup_type,
            regime=regime.direction,
            volatility=regime.volatility,
            sector=known.sector if known else None,
            rsi=row.technicals.rsi14,
            vix=bar.close if bar else None,
            stances=tuple((vote.agent, vote.stance) for vote in argument.votes if not vote.veto_only),
            session=step.session,
        )
        speaking = [claim for claim, wanted in filters if speaks_of(wanted, candidate)]
        speaking.sort(key=lambda claim: (-len(claim.trade_ids), claim.sentence))
        found[argument.symbol] = speaking[:MOST_SHOWN]
    return Lessons(found)
