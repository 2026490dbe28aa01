"""The regime detector: a rule decides, from the index and a volatility reading."""

from __future__ import annotations

from agents.base import Abstention, BaseAgent
from agents.market.bars import MarketView
from agents.market.regime import AVERAGE, Regime, read_regime
from storage.records import AgentName


class RegimeDetectorAgent(BaseAgent[MarketView, Regime]):
    """Reads the regime as of the view's session; abstains while the index is too young."""

    name = AgentName.REGIME

    async def execute(self, context: MarketView) -> Regime | Abstention:
        regime = read_regime(context)
        if regime is None:
            return Abstention(f"no index has {AVERAGE} closes by {context.session.isoformat()}")
        return regime
