"""Overnight work at half price: questions handed in together, answered within a day.

The batch's name is stored before it is first asked about. A process that dies between handing it in and
storing its name leaves calls without one: `collect` finds their batch among the server's by our own ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeVar
from uuid import UUID

from agents.llm.answers import AnswerModel, Misfit, read_answer
from agents.llm.claude import Claude
from agents.llm.models import ModelSettings, Provider
from agents.llm.outcome import Fault, NoAnswer, Reply, Why
from agents.llm.pricing import UnknownPrice
from agents.llm.questions import Question, request_for
from agents.llm.till import Purpose, Till, to_the_end
from agents.llm.wire import BatchFacts, BatchResult
from storage.records import AgentName
from storage.spending import CallEnd, Parked, PlannedCall, Rung, SpendLedger

T = TypeVar("T", bound=AnswerModel)

CALL_S = 60.0


class BatchLedger(SpendLedger, Protocol):
    """The ledger, and which batch holds which call."""

    async def name_batch(self, interaction_ids: Sequence[UUID], batch_id: str) -> None: ...

    async def open_batches(self) -> tuple[frozenset[str], frozenset[UUID]]: ...

    async def calls_of_batch(self, batch_id: str) -> dict[UUID, PlannedCall]: ...


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What was handed in: the call of each question, None where its worst case did not fit."""

    batch_id: str
    interactions: tuple[UUID | None, ...]


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What became of one call of a batch; `text` is what `read` makes an answer of."""

    interaction_id: UUID
    agent: AgentName
    idempotency_key: str | None
    text: str | None  # None: no answer, for the reason given
    reason: str
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a round of collecting found. `waiting` counts batches that have not ended."""

    collected: tuple[Collected, ...]
    waiting: int
    faults: tuple[Fault, ...]


class Batches:
    """Nobody else collects at the same time: a run of the desk is carried out by one process."""

    def __init__(self, claude: Claude, ledger: BatchLedger, till: Till, settings: ModelSettings) -> None:
        self._claude = claude
        self._ledger = ledger
        self._till = till
        self._settings = settings

    async def submit(self, questions: Sequence[Question[Any]]) -> Submitted | NoAnswer:
        """Hand in as many questions as fit the budget; none fits, or the server will not: a NoAnswer."""
        if self._claude.provider is not Provider.ANTHROPIC:
            return NoAnswer(why=Why.BAD_REQUEST, reason="only Anthropic's own server takes batches")
        standing = await self._ledger.standing()
        if standing.rung in (Rung.RULES, Rung.STOP):
            return NoAnswer(why=Why.BUDGET, reason=str(standing), resumes_at=standing.resumes_at)
        await self._claude.ready()
        bodies: dict[UUID, Mapping[str, Any]] = {}
        interactions: list[UUID | None] = []
        refused = NoAnswer(why=Why.BUDGET, reason="nothing was asked")
        for question in questions:
            reserved, body, why = await self._reserve(question)
            interactions.append(reserved)
            if reserved is not None:
                bodies[reserved] = body
            elif why is not None:
                refused = why
        if not bodies:
            return refused
        return await to_the_end(self._hand_in(bodies, tuple(interactions)))

    async def collect(self) -> Progress:
        """Settle what has ended, of this process's batches and of those that died before. Ask again later."""
        named, unnamed = await self._ledger.open_batches()
        faults: list[Fault] = []
        if unnamed and (fault := await self._find(unnamed, named)) is not None:
            faults.append(fault)
        named, _ = await self._ledger.open_batches()
        collected: list[Collected] = []
        waiting = 0
        for batch_id in sorted(named):
            facts = await self._claude.batch(batch_id, timeout_s=CALL_S)
            if isinstance(facts, BatchFacts) and not facts.ended:
                waiting += 1
                continue
            results = facts if isinstance(facts, Fault) else await self._results(batch_id)
            if isinstance(results, Fault):
                faults.append(results)
                continue
            calls = await self._ledger.calls_of_batch(batch_id)
            for result in results:
                interaction = _ours(result.custom_id)
                if interaction is not None and interaction in calls:
                    ended = self._end(interaction, calls[interaction], result)
                    collected.append(await to_the_end(ended))
        return Progress(collected=tuple(collected), waiting=waiting, faults=tuple(faults))

    async def read(self, collected: Collected, answer: type[T]) -> T | Misfit:
        """The answer of a call that was collected; one that does not keep to its schema is written down."""
        if collected.text is None:
            return Misfit((collected.reason,))
        value = read_answer(answer, collected.text)
        if isinstance(value, Misfit):
            await self._till.reject(collected.interaction_id, f"{Why.INVALID}: {value}")
        return value

    async def _reserve(
        self, question: Question[Any]
    ) -> tuple[UUID | None, Mapping[str, Any], NoAnswer | None]:
        role = self._settings.of(question.agent)
        request = request_for(
            question, model=role.model, role=role, provider=self._claude.provider, cache_prefix=False
        )
        purpose = Purpose(
            agent=question.agent, prompt_id=question.prompt.id, idempotency_key=question.idempotency_key
        )
        try:
            planned = self._till.plan(purpose, request, attempt=1, batched=True)
        except UnknownPrice as unknown:
            return None, {}, NoAnswer(why=Why.NO_PRICE, reason=str(unknown))
        reserved = await self._till.reserve(planned)
        if isinstance(reserved, UUID):
            return reserved, request.body, None
        why = Why.PARKED if isinstance(reserved, Parked) else Why.BUDGET
        return None, {}, NoAnswer(why=why, reason=str(reserved), resumes_at=reserved.until)

    async def _hand_in(
        self, bodies: Mapping[UUID, Mapping[str, Any]], interactions: tuple[UUID | None, ...]
    ) -> Submitted | NoAnswer:
        created = await self._claude.create_batch(
            {interaction.hex: body for interaction, body in bodies.items()}, timeout_s=CALL_S
        )
        if isinstance(created, Fault):
            if not created.billed:
                end = CallEnd(error=f"{created.why}: {created.reason}", request_id=created.request_id)
                for interaction in bodies:
                    await self._ledger.release(interaction, end)
            # else the batch may have been taken: its calls stay open, and `collect` looks for it.
            return NoAnswer(why=created.why, reason=created.reason, interactions=tuple(bodies))
        await self._ledger.name_batch(tuple(bodies), created.id)
        return Submitted(batch_id=created.id, interactions=interactions)

    async def _find(self, unnamed: frozenset[UUID], named: frozenset[str]) -> Fault | None:
        """Look through the server's batches for calls whose batch nobody wrote down."""
        listed = await self._claude.batches(timeout_s=CALL_S)
        if isinstance(listed, Fault):
            return listed
        for batch in listed:
            if batch.ended and batch.id not in named:
                results = await self._results(batch.id)
                if isinstance(results, Fault):
                    return results
                ours = [found for result in results if (found := _ours(result.custom_id)) in unnamed]
                if ours:
                    await self._ledger.name_batch([one for one in ours if one is not None], batch.id)
        return None

    async def _results(self, batch_id: str) -> tuple[BatchResult, ...] | Fault:
        return await self._claude.batch_results(batch_id, timeout_s=CALL_S)

    async def _end(self, interaction: UUID, planned: PlannedCall, result: BatchResult) -> Collected:
        reply: Reply | None = result.reply
        cost = Decimal(0)
        text, reason = None, result.reason
        if reply is not None:
            cost = (await self._till.settle(interaction, planned, reply, None)).cost
            text = reply.text if reply.whole else None
            reason = "" if text is not None else f"stopped by {reply.stop_reason}"
        elif result.billed:
            cost = planned.worst_usd
            await self._ledger.keep(interaction, CallEnd(error=reason))
        else:
            await self._ledger.release(interaction, CallEnd(error=reason))
        return Collected(
            interaction_id=interaction,
            agent=planned.agent,
            idempotency_key=planned.idempotency_key,
            text=text,
            reason=reason,
            cost_usd=cost,
        )


def _ours(custom_id: str) -> UUID | None:
    try:
        return UUID(hex=custom_id)
    except ValueError:
        return None
