"""A prompt in the shadow: tonight's questions asked again in other words, after the cards are written.

Nothing of it reaches a card: its answers are kept with those of the words in force and with nothing else. A
role that is for a symbol takes the trade the rules would make of it, one that is not skips it: so a pair of
decisions becomes a pair of results in R, and the weeks of a trial are judged as those of a parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from agents.learning.mix import ALPHA, LEAST_QUESTIONS, judge_mix
from agents.learning.prompt_ideas import HOLDS, MOST_EVENING_USD, TRIALS, frozen_of
from agents.learning.runs import Key, Run
from agents.learning.source import EvidenceSource
from agents.learning.tonight import Tonight, aside, rules_of
from agents.learning.watching import Look, scale_of
from agents.llm.answers import AnswerModel, read_answer
from agents.llm.outcome import NoAnswer
from agents.llm.questions import Prompt, Question
from agents.roles.asking import Models
from storage.learning_records import HORIZON_WEEKS, AdjustmentKind
from storage.memory import AgentMemory, ChangeOnTrial, DecisionPair, PairOnTrial, StoredQuestion
from storage.records import AgentName, ThesisKind
from storage.versions import prompt_parts, prompt_text

GONE = "the words it was compared with are not in force any more"
FOR = ThesisKind.BULLISH.value


async def look(
    memory: AgentMemory, tonight: Tonight, source: EvidenceSource, models: Models | None
) -> tuple[Look, ...]:
    """Ask what is to be asked tonight, and pair all decisions so far. Holds nothing; every call is recorded.

    Begun again it pays for no answer twice. Raises sqlalchemy.exc.DBAPIError while the ledger is away.
    """
    trials = await memory.on_trial(AdjustmentKind.PROMPT)
    return tuple([await _look(memory, tonight, source, models, trial) for trial in trials])


async def _look(
    memory: AgentMemory,
    tonight: Tonight,
    source: EvidenceSource,
    models: Models | None,
    trial: ChangeOnTrial,
) -> Look:
    agent = AgentName(trial.parameter)
    champion = None if models is None else await models.prompts.champion(agent)
    if champion is not None and prompt_text(champion.system, champion.instruction) != trial.old_value:
        return Look(trial=trial, stop=GONE)
    if trial.experiment is None:
        return Look(trial=trial, begins=scale_of(None))
    before = await memory.decisions_of(trial.experiment)
    made: list[DecisionPair] = []
    note = "no model to ask" if trial.in_shadow else ""
    if models is not None and champion is not None and trial.in_shadow:  # who has won is asked no more
        known = {pair.symbol for pair in before if pair.session == tonight.session}
        questions = [
            one
            for one in await memory.answered_on(agent, tonight.session, prompt=champion.id)
            if one.symbol not in known
        ]
        made, note = await _ask(tonight, models, trial, champion, questions)
    every = [*before, *made]
    return Look(
        trial=trial,
        pairs=await _pairs(memory, tonight, source, trial, every),
        decisions=tuple(made),
        stop=_collapsed(every) if tonight.ends_week else "",
        note=note,
    )


async def _ask(
    tonight: Tonight,
    models: Models,
    trial: ChangeOnTrial,
    champion: Prompt,
    questions: Sequence[StoredQuestion],
) -> tuple[list[DecisionPair], str]:
    """What the other words make of tonight's questions, until the evening's own cap is reached; in words.

    What a dearer or a cheaper model answers than the one that was asked before is no pair.
    """
    agent = AgentName(trial.parameter)
    system, instruction = prompt_parts(trial.new_value)
    challenger = Prompt(id=None, version=champion.version + 1, system=system, instruction=instruction)
    made: list[DecisionPair] = []
    spent = counted = Decimal(0)  # what is on record costs nothing again, and counts for the cap all the same
    for question in questions:
        decision = read_answer(TRIALS[agent].answer, question.answer)
        if not isinstance(decision, AnswerModel) or question.symbol is None:
            continue
        if counted + question.cost_usd > MOST_EVENING_USD:
            break
        asked = await models.gateway.ask(
            Question(
                agent=agent,
                prompt=challenger,
                data=frozen_of(question).data,
                answer=TRIALS[agent].answer,
                idempotency_key=f"{tonight.session} {agent} {question.symbol} shadow {trial.short_id}",
                session=tonight.session,  # and no symbol: its cost is charged to no decision
            )
        )
        spent += asked.cost_usd
        counted += max(question.cost_usd, asked.cost_usd)
        if isinstance(asked, NoAnswer):
            if not asked.interactions:  # nobody could be asked, and the next is no other
                break
            continue
        if asked.model != question.model:  # money is short: what a cheaper model says is not paid for again
            break
        made.append(
            DecisionPair(
                session=tonight.session,
                symbol=question.symbol,
                champion=TRIALS[agent].decision(decision),
                challenger=TRIALS[agent].decision(asked.value),
                champion_interaction=question.interaction_id,
                challenger_interaction=asked.interaction_id,
                cost_usd=asked.cost_usd,
                decided_at=tonight.now,
            )
        )
    left = f", {len(questions) - len(made)} without an answer" if len(made) < len(questions) else ""
    return made, f"{len(made)} decisions tonight for {spent:.4f} dollars{left}"


def _collapsed(pairs: Sequence[DecisionPair]) -> str:
    """Why the other words are stopped whatever they would have made, or nothing.

    Looked at each week, so that each look has its share of what chance is allowed.
    """
    if len(pairs) < LEAST_QUESTIONS:
        return ""
    before, after = (Counter(getattr(pair, side) for pair in pairs) for side in ("champion", "challenger"))
    return judge_mix(before, after, holds=HOLDS, alpha=ALPHA / HORIZON_WEEKS).reason


async def _pairs(
    memory: AgentMemory,
    tonight: Tonight,
    source: EvidenceSource,
    trial: ChangeOnTrial,
    decisions: Sequence[DecisionPair],
) -> tuple[PairOnTrial, ...]:
    """The results of what either side was for, where the rules would have traded it at all."""
    assert trial.started is not None and trial.champion_version is not None
    if not any(FOR in (pair.champion, pair.challenger) for pair in decisions):
        return ()
    rules = rules_of(await memory.version(trial.champion_version))
    run = await aside(source.since(trial.started, tonight.session).run(rules, tonight.costs))
    pairs = (paired(run, decision, tonight.session) for decision in decisions)
    return tuple(pair for pair in pairs if pair is not None)


def paired(run: Run, decision: DecisionPair, last: date) -> PairOnTrial | None:
    """What both sides of a decision come to by the close of `last`.

    None where nobody was for it, or the rules would not have traded it.
    """
    key = Key(decision.session, decision.symbol)
    trade = run.trades.get(key)
    sides = decision.champion == FOR, decision.challenger == FOR
    if trade is None or not any(sides):
        return None
    result = None if key in run.still_open else trade.r
    champion, challenger = (result if takes else 0.0 for takes in sides)
    return PairOnTrial(
        session=decision.session,
        symbol=decision.symbol,
        direction=trade.direction,
        champion_r=champion,
        challenger_r=challenger,
        resolved=None if result is None else min(trade.exited, last),
    )
