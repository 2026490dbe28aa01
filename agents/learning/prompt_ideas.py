"""Prompts that somebody proposes: tried on the role's frozen questions, then put before a human or refused.

History can say nothing for a prompt, so its verdict is never better than inconclusive; the trial only stops
one whose decisions collapse.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from agents.learning.mix import MixVerdict
from agents.learning.prompt_trial import Frozen, PromptTrialResult, Trial, try_prompts
from agents.learning.tonight import Tonight
from agents.llm.answers import AnswerModel
from agents.llm.questions import DataBlock, Prompt
from agents.roles.asking import Models
from agents.roles.learning import PromptIdea
from agents.roles.news_analyst import NewsAnswer
from agents.roles.research import ResearchAnswer
from storage.learning_records import AdjustmentKind
from storage.memory import Adjustment, AgentMemory, StoredQuestion, TriedVariant
from storage.proposal_evidence import ProposalEvidence
from storage.records import AgentName, ThesisKind
from storage.versions import prompt_parts, prompt_text

MOST_QUESTIONS = 40
MOST_USD = Decimal("0.50")  # for one trial, beside the caps of the desk's budget
MOST_EVENING_USD = Decimal("0.10")  # for one evening in the shadow, beside them as well
HOLDS = frozenset({ThesisKind.NEUTRAL.value})


def decided(told: AnswerModel) -> str:
    """The side an answer takes, as its role reads it. TypeError for an answer that takes none."""
    match told:
        case NewsAnswer():
            return (ThesisKind.NEUTRAL if told.injection_suspected else told.thesis).value
        case ResearchAnswer():
            return told.thesis.value
        case _:
            raise TypeError(f"expected an answer with a side, was {type(told).__name__}")


# By role: only these answer with a decision that can be compared.
TRIALS: Mapping[AgentName, Trial[AnswerModel]] = {
    AgentName.NEWS: Trial(agent=AgentName.NEWS, answer=NewsAnswer, decision=decided, holds=HOLDS),
    AgentName.RESEARCH: Trial(agent=AgentName.RESEARCH, answer=ResearchAnswer, decision=decided, holds=HOLDS),
}


async def judge_prompt(
    memory: AgentMemory, tonight: Tonight, models: Models | None, idea: PromptIdea
) -> Adjustment:
    """The proposal of other words for a role, refused where the trial or its form speaks against it."""
    champion = None if models is None else await models.prompts.champion(idea.agent)
    if models is None or champion is None:
        return _adjustment(tonight, idea, "", _refused("there is no champion to compare it with"))
    old = prompt_text(champion.system, champion.instruction)
    try:
        system, template = prompt_parts(idea.text)
    except ValueError as error:
        return _adjustment(tonight, idea, old, _refused(str(error)))
    idea = replace(idea, text=prompt_text(system, template))
    if idea.agent not in TRIALS:
        return _adjustment(
            tonight,
            idea,
            old,
            _refused("only prompts of news and research can be compared by their decisions"),
        )
    down = await memory.turned_down(AdjustmentKind.PROMPT)
    if any((one.name, one.new_value) == (idea.agent.value, idea.text) for one in down):
        return _adjustment(
            tonight, idea, old, _refused("it was rejected before, and there is no new evidence")
        )
    if (system, template) == (champion.system, champion.instruction):
        return _adjustment(tonight, idea, old, _refused("these words are in force already"))
    if f"prompt {idea.agent}" in await memory.families_in_flight():
        return _adjustment(tonight, idea, old, _refused("a prompt of this role is on its way: one at a time"))
    await memory.freeze_questions(idea.agent, most=MOST_QUESTIONS, now=tonight.now)
    questions = [frozen_of(one) for one in await memory.frozen_questions(idea.agent)]
    challenger = Prompt(id=None, version=champion.version + 1, system=system, instruction=template)
    told = await try_prompts(
        models.gateway,
        TRIALS[idea.agent],
        questions,
        champion,
        challenger,
        session=tonight.session,
        most_usd=MOST_USD,
    )
    return _adjustment(tonight, idea, old, told, questions)


def variant_of(judged: Adjustment) -> TriedVariant:
    """Words that were tried, for the registry: by what they hash to, since it is no place for texts."""
    old, new = (
        hashlib.sha256(text.encode()).hexdigest()[:12] for text in (judged.old_value, judged.new_value)
    )
    return TriedVariant(
        parameter=judged.parameter, family=judged.family, old_value=old, new_value=new, proposed_by="model"
    )


def frozen_of(stored: StoredQuestion) -> Frozen:
    """A stored question with the data that were sent, block by block."""
    return Frozen(
        session=stored.session,
        symbol=stored.symbol,
        data=tuple(_blocks(stored.context)),
        cost_usd=stored.cost_usd,
    )


def _blocks(context: Mapping[str, Any]) -> Sequence[DataBlock]:
    found = []
    for message in context.get("messages", ()):
        for part in message["content"]:
            if part.get("type") == "tool_result":
                told = json.loads(part["content"])
                found.append(
                    DataBlock(
                        name=told["name"],
                        source=told["source"],
                        as_of=_instant(told["as_of"]),
                        content=told["content"],
                    )
                )
    return found


def _instant(text: str) -> datetime | date:
    """As it was sent: an instant, or a day."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _refused(reason: str) -> PromptTrialResult:
    return PromptTrialResult(mix=None, verdict=MixVerdict(p_value=1.0, reason=reason))


def _evening_cost(questions: Sequence[Frozen]) -> Decimal:
    """Dollars an evening in the shadow is expected to cost: what one cost for these questions, as capped."""
    evenings = {question.session for question in questions}
    total = sum((question.cost_usd for question in questions), Decimal(0))
    return min(total / max(1, len(evenings)), MOST_EVENING_USD)


def _adjustment(
    tonight: Tonight,
    idea: PromptIdea,
    old: str,
    told: PromptTrialResult,
    questions: Sequence[Frozen] = (),
) -> Adjustment:
    sentences = ["History cannot speak for a prompt: its model may know how the questions came out."]
    if told.mix is not None:
        sentences.append(
            f"On {sum(told.mix.after.values())} frozen questions, {told.mix.cost_usd} dollars for both "
            f"versions: exact p {told.mix.p_value:.2g} that they decide alike."
        )
        sentences.append(
            f"In the shadow it is asked each evening what the role was: some {_evening_cost(questions):.4f} "
            f"dollars an evening more; at {MOST_EVENING_USD} it stops, and at the desk's own budget."
        )
    proposal = Adjustment(
        session=tonight.session,
        kind=AdjustmentKind.PROMPT,
        parameter=idea.agent.value,
        family=f"prompt {idea.agent}",
        old_value=old,
        new_value=idea.text,
        reasoning=idea.reasoning,
        expected_impact="no effect can be told beforehand",
        confidence=50.0,
        proposed_by=AgentName.LEARNING,
        evidence=ProposalEvidence(
            verdict="inconclusive",
            sentences=tuple(sentences),
            if_ignored="The words in force stay.",
            mix=told.mix,
            evenings=told.changed,
        ),
        expires_at=tonight.expires_at,
    )
    return replace(proposal, refused_because=told.verdict.reason) if told.verdict.refused else proposal
