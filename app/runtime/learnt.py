"""What the closed trades have taught by this evening: win rates of the setups, and whom the pool believes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from agents.consensus import forecast
from agents.pool import PoolRules, PoolState, Resolved, learn
from agents.statistics import Tally, base_rate
from app.runtime.step import Step
from storage.memory import AgentMemory, ResolvedArgument
from storage.records import AgentName, Direction, SetupType

MOST_OUTCOMES = 250  # the pool learns from the last so many; what is older says little of the agents of today
VOTERS = (AgentName.NEWS, AgentName.RESEARCH, AgentName.STRATEGY)


@dataclass(frozen=True)
class TradeCounts:
    """Closed trades by setup and regime, and how many of them won."""

    counts: Mapping[tuple[SetupType, Direction], tuple[int, int]]

    def of_desk(self) -> Tally:
        return _sum(list(self.counts.values()))

    def of_setup(self, setup: SetupType) -> Tally:
        return _sum([count for (of, _), count in self.counts.items() if of is setup])

    def base_rate(self, setup: SetupType, regime: Direction) -> float:
        """The shrunk win rate of a setup in a regime."""
        cell = _sum([self.counts.get((setup, regime), (0, 0))])
        return base_rate(self.of_desk(), self.of_setup(setup), cell)


async def trade_counts(step: Step) -> TradeCounts:
    """Everything closed before this step."""
    return TradeCounts(await step.memory.trade_counts(before=step.now))


async def pool_state(step: Step) -> PoolState:
    """What the outcomes resolved before this step taught the pool."""
    return await pool_before(step.memory, step.now, step.parts.consensus.pool)


async def pool_before(memory: AgentMemory, moment: datetime, rules: PoolRules) -> PoolState:
    """What the outcomes resolved before an instant taught the pool."""
    found = await memory.resolved(before=moment, most=MOST_OUTCOMES)
    return _learnt(tuple(_resolved(argument) for argument in found), rules)


@lru_cache(maxsize=2)  # on most evenings nothing has resolved since the last
def _learnt(resolved: tuple[Resolved, ...], rules: PoolRules) -> PoolState:
    return learn(resolved, VOTERS, rules)


def _resolved(argument: ResolvedArgument) -> Resolved:
    return Resolved(
        forecasts=tuple(forecast(vote.agent, vote.stance, vote.conviction) for vote in argument.votes),
        base_rate=argument.base_rate,
        pooled=argument.pooled,
        won=argument.won,
    )


def _sum(counts: list[tuple[int, int]]) -> Tally:
    return Tally(wins=sum(wins for _, wins in counts), trades=sum(trades for trades, _ in counts))
