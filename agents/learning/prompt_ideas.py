"""Prompts that somebody proposes: tried on the role's frozen questions, then put before a human or refused.

History can say nothing for a prompt, so its verdict is never better than inconclusive; the trial only stops
one whose decisions collapse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from agents.learning.mix import MixVerdict
from agents.learning.prompt_trial import Frozen, PromptTrialResult, Trial, try_prompts
from agents.learning.tonight import Tonight
from agents.llm.questions import DataBlock, Prompt
from agents.roles.asking import Models
from agents.roles.learning import PromptIdea
from agents.roles.news_analyst import NewsAnswer
from agents.roles.research import ResearchAnswer
from storage.learning_records import AdjustmentKind
from storage.memory import Adjustment, AgentMemory, StoredQuestion
from storage.proposal_evidence import ProposalEvidence
from storage.records import AgentName, ThesisKind
from storage.versions import prompt_parts, prompt_text

MOST_QUESTIONS = 40
MOST_USD = Decimal("0.50")  # for one trial, beside the caps of the desk's budget
COMPARABLE = (AgentName.NEWS, AgentName.RESEARCH)  # roles whose answers are decisions
HOLDS = frozenset({ThesisKind.NEUTRAL.value})

_NEWS = Trial(agent=AgentName.NEWS, answer=NewsAnswer, decision=lambda told: told.thesis.value, holds=HOLDS)
_RESEARCH = Trial(
    agent=AgentName.RESEARCH, answer=ResearchAnswer, decision=lambda told: told.thesis.value, holds=HOLDS
)


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
    if (system, template) == (champion.system, champion.instruction):
        return _adjustment(tonight, idea, old, _refused("these words are in force already"))
    if f"prompt {idea.agent}" in await memory.families_in_flight():
        return _adjustment(tonight, idea, old, _refused("a prompt of this role is on its way: one at a time"))
    await memory.freeze_questions(idea.agent, most=MOST_QUESTIONS, now=tonight.now)
    questions = [frozen_of(one) for one in await memory.frozen_questions(idea.agent)]
    challenger = Prompt(id=None, version=champion.version + 1, system=system, instruction=template)
    if idea.agent is AgentName.NEWS:
        told = await try_prompts(models.gateway, _NEWS, questions, champion, challenger, most_usd=MOST_USD)
    elif idea.agent is AgentName.RESEARCH:
        told = await try_prompts(
            models.gateway, _RESEARCH, questions, champion, challenger, most_usd=MOST_USD
        )
    else:
        told = _refused("only prompts of news and research can be compared by their decisions")
    return _adjustment(tonight, idea, old, told)


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
                        as_of=date.fromisoformat(told["as_of"][:10]),
                        content=told["content"],
                    )
                )
    return found


def _refused(reason: str) -> PromptTrialResult:
    return PromptTrialResult(mix=None, verdict=MixVerdict(p_value=1.0, reason=reason))


def _adjustment(tonight: Tonight, idea: PromptIdea, old: str, told: PromptTrialResult) -> Adjustment:
    sentences = ["History cannot speak for a prompt: its model may know how the questions came out."]
    if told.mix is not None:
        sentences.append(
            f"On {sum(told.mix.after.values())} frozen questions, {told.mix.cost_usd} dollars for both "
            f"versions: exact p {told.mix.p_value:.2g} that they decide alike."
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
        ),
        expires_at=tonight.expires_at,
    )
    return replace(proposal, refused_because=told.verdict.reason) if told.verdict.refused else proposal
