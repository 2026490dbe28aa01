"""The research agent: is this a sound stock that fell, or a falling stock?"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agents.base import Abstention
from agents.grounding import Facts, Figure
from agents.llm.answers import AnswerModel
from agents.market.company import NOTHING_KNOWN, Dossier
from agents.market.indicators import Technicals
from agents.roles.asking import REASONING_LONGEST, Brief, Heeded, ModelAgent
from agents.roles.sheets import by_rules, fundamentals_sheet, market_block, technicals_sheet
from storage.records import AgentName, Direction, ThesisKind

BULLISH_FROM = 20.0
BEARISH_FROM = -20.0

TREND_POINTS = 30.0
AVERAGES_POINTS = 20.0
MOMENTUM_POINTS = 25.0
HIGH_POINTS = 25.0
VOLATILITY_POINTS = 20.0
BEAR_POINTS = 10.0


@dataclass(frozen=True, kw_only=True)
class ResearchContext:
    """A symbol's readings, the market's direction, and the fundamentals where a source has told them."""

    symbol: str
    technicals: Technicals
    direction: Direction
    dossier: Dossier = NOTHING_KNOWN


class Metric(AnswerModel):
    """A figure of the data under its own name."""

    name: Annotated[str, Field(max_length=60)]
    value: float


class ResearchAnswer(AnswerModel):
    """What a model is asked for."""

    thesis: ThesisKind
    confidence: Annotated[float, Field(ge=0, le=100)]
    key_metrics: Annotated[list[Metric], Field(max_length=8)]
    reasoning: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True, kw_only=True)
class ResearchThesis:
    """A view on one symbol; confidence 0-100, metrics as fractions unless the name says otherwise."""

    symbol: str
    thesis: ThesisKind
    confidence: float
    key_metrics: tuple[tuple[str, float], ...]
    reasoning: str


class ResearchAgent(ModelAgent[ResearchContext, ResearchThesis, ResearchAnswer]):
    """A model's view on the readings and the fundamentals, its numbers checked; else points for and against.

    By rules the thesis is bullish from +20 points, bearish from -20, between them neutral.

    +-30  close against SMA200, full at 10%
    +-20  SMA50 against SMA200, full at 5%
    +-25  126-session return, full at 15%
    +-25  fall from the 52-week high: full for at 0%, nothing at 15%, full against at 30%
      -20  realised volatility: nothing at 30% a year, full at 60%
      -10  the market itself is in a BEAR direction
    Confidence is the size of the sum, at most 100; for a neutral thesis 100 less 2.5 times that size, so 100
    at zero and 50 at either border. The points are engineering defaults, not fitted. A crash in progress
    (far below SMA200, 126-session return very negative, high volatility) loses on every line.
    """

    name = AgentName.RESEARCH
    answer_type = ResearchAnswer

    def by_rules(self, context: ResearchContext) -> ResearchThesis | Abstention:
        """Abstains without SMA200, the 126-session return and the 52-week high."""
        readings = context.technicals
        close, sma50, sma200 = readings.close, readings.sma50, readings.sma200
        momentum, high, volatility = readings.return_126d, readings.high_52w, readings.realised_vol_21d
        if close is None or not sma50 or not sma200 or momentum is None or not high or volatility is None:
            return Abstention(f"{context.symbol} has {readings.bars} clean sessions, too few for a view")
        distance, averages, fall = close / sma200 - 1, sma50 / sma200 - 1, 1 - close / high
        points = (
            TREND_POINTS * _clipped(distance / 0.10)
            + AVERAGES_POINTS * _clipped(averages / 0.05)
            + MOMENTUM_POINTS * _clipped(momentum / 0.15)
            + HIGH_POINTS * _clipped(1 - fall / 0.15)
            - VOLATILITY_POINTS * max(0.0, _clipped((volatility - 30) / 30))
            - BEAR_POINTS * (context.direction is Direction.BEAR)
        )
        thesis = _thesis(points)
        neutral = thesis is ThesisKind.NEUTRAL
        return ResearchThesis(
            symbol=context.symbol,
            thesis=thesis,
            confidence=round(100 - 2.5 * abs(points) if neutral else min(100.0, abs(points)), 1),
            key_metrics=(
                ("points", round(points, 1)),
                ("close_to_sma200", round(distance, 4)),
                ("sma50_to_sma200", round(averages, 4)),
                ("return_126d", round(momentum, 4)),
                ("fall_from_52w_high", round(fall, 4)),
                ("realised_vol_21d_percent", round(volatility, 1)),
            ),
            reasoning=(
                f"{context.symbol} closed {_side(distance)} its 200-session average, "
                f"{momentum:+.1%} in 126 sessions, {fall:.1%} under its 52-week high, "
                f"volatility {volatility:.0f}% a year, "
                f"market {context.direction}: {points:+.0f} points, {thesis}."
            ),
        )

    def brief(self, context: ResearchContext, rules: ResearchThesis | Abstention) -> Brief | None:
        """Where the rules have too little to go by, a model has too."""
        if isinstance(rules, Abstention):
            return None
        session = context.technicals.session
        sheets = [technicals_sheet(context.symbol, context.technicals)]
        if (fundamentals := fundamentals_sheet(context.dossier, session)) is not None:
            sheets.append(fundamentals)
        return Brief(
            symbol=context.symbol,
            session=session,
            data=(*(sheet.block for sheet in sheets), market_block(context.direction, session)),
            facts=tuple(fact for sheet in sheets for fact in sheet.facts),
        )

    def heed(
        self,
        context: ResearchContext,
        rules: ResearchThesis | Abstention,
        answer: ResearchAnswer,
        facts: Facts,
    ) -> Heeded[ResearchThesis]:
        """The model's thesis, on the numbers it was given."""
        stated = [facts.metric(metric.name, metric.value) for metric in answer.key_metrics]
        reasoning = facts.text(answer.reasoning, REASONING_LONGEST)
        thesis = ResearchThesis(
            symbol=context.symbol,
            thesis=answer.thesis,
            confidence=round(answer.confidence, 1),
            key_metrics=tuple((figure.name, figure.value) for figure in stated if figure.grounded),
            reasoning=reasoning.text,
        )
        return Heeded(thesis, tuple(dict.fromkeys((*stated, *reasoning.figures))))

    def stated_by_rules(self, context: ResearchContext, rules: ResearchThesis) -> tuple[Figure, ...]:
        return by_rules(rules.key_metrics, context.technicals.session)


def _thesis(points: float) -> ThesisKind:
    if points >= BULLISH_FROM:
        return ThesisKind.BULLISH
    return ThesisKind.BEARISH if points <= BEARISH_FROM else ThesisKind.NEUTRAL


def _side(distance: float) -> str:
    return f"{abs(distance):.1%} {'above' if distance >= 0 else 'below'}"


def _clipped(value: float) -> float:
    return max(-1.0, min(1.0, value))
