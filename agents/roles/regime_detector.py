"""The regime detector: a rule decides, from the index and a volatility reading; a model may comment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from agents.base import Abstention
from agents.grounding import Facts, Figure, Unit
from agents.llm.answers import AnswerModel
from agents.market.bars import MarketView
from agents.market.indicators import technicals
from agents.market.regime import AVERAGE, Regime, read_regime
from agents.roles.asking import REASONING_LONGEST, Brief, Heeded, ModelAgent
from agents.roles.sheets import Sheet, by_rules, sheet, technicals_sheet
from storage.records import AgentName


class Concern(StrEnum):
    """What the rule may have missed."""

    NONE = "none"
    TREND = "trend"
    VOLATILITY = "volatility"
    SHOCK = "shock"
    STALE_DATA = "stale data"


class RegimeComment(AnswerModel):
    """What a model is asked for: it decides nothing."""

    agrees: bool
    concern: Concern
    comment: Annotated[str, Field(max_length=1_200)]


class RegimeDetectorAgent(ModelAgent[MarketView, Regime, RegimeComment]):
    """Reads the regime as of the view's session; abstains while the index is too young.

    What a model says is kept beside the reading and changes nothing of it.
    """

    name = AgentName.REGIME
    answer_type = RegimeComment

    def by_rules(self, context: MarketView) -> Regime | Abstention:
        regime = read_regime(context)
        if regime is None:
            return Abstention(f"no index has {AVERAGE} closes by {context.session.isoformat()}")
        return regime

    def brief(self, context: MarketView, rules: Regime | Abstention) -> Brief | None:
        if isinstance(rules, Abstention):
            return None
        sheets = [_sheet(rules)]
        if (readings := technicals(context.bars(rules.index_symbol))) is not None:
            sheets.append(technicals_sheet(rules.index_symbol, readings))
        return Brief(
            symbol=None,
            session=context.session,
            data=tuple(one.block for one in sheets),
            facts=tuple(fact for one in sheets for fact in one.facts),
        )

    def heed(
        self, context: MarketView, rules: Regime | Abstention, answer: RegimeComment, facts: Facts
    ) -> Heeded[Regime]:
        """The rule's own reading, with the comment beside it."""
        comment = facts.text(answer.comment, REASONING_LONGEST)
        flags = [] if answer.agrees else ["the model disagrees"]
        if answer.concern is not Concern.NONE:
            flags.append(f"concern: {answer.concern}")
        return Heeded(rules, comment.figures, tuple(flags), note=comment.text)

    def stated_by_rules(self, context: MarketView, rules: Regime) -> tuple[Figure, ...]:
        return by_rules((("distance", rules.distance), ("volatility", rules.volatility_value)), rules.session)


def _sheet(regime: Regime) -> Sheet:
    return sheet(
        "regime",
        "the desk's regime rule",
        regime.session,
        {
            "index_close": (regime.index_close, Unit.USD),
            "sma200": (regime.average, Unit.USD),
            "distance": (regime.distance, Unit.FRACTION),
            "volatility": (regime.volatility_value, Unit.PERCENT),
            "bear_score": (regime.bear_probability, Unit.FRACTION),
            "sessions_standing": (float(regime.standing), Unit.COUNT),
        },
        {
            "direction": regime.direction.value,
            "volatility_label": regime.volatility.value,
            "volatility_source": regime.volatility_source,
        },
    )
