"""One question from its first attempt to its last: retries, one repair, one longer try, and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar
from uuid import UUID

from agents.llm.answers import AnswerModel, Misfit, read_answer
from agents.llm.models import ModelSettings, Provider
from agents.llm.outcome import Answer, NoAnswer, Reply, Waiting, Why
from agents.llm.pricing import Prices, UnknownPrice
from agents.llm.questions import DataBlock, Question, Request, request_for
from agents.llm.retries import Again
from agents.llm.till import Failed, Paid, Purpose, Till
from storage.spending import Parked, Rung, SpendLedger, SpendRefused

T = TypeVar("T", bound=AnswerModel)

LONGER = 2  # times the tokens, once, for an answer that was cut
LEAST_S = 0.05  # an attempt with less time left is not made


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a conversation is carried on with. `clock` is the wall's, `timer` gives monotonic seconds."""

    settings: ModelSettings
    ledger: SpendLedger
    prices: Prices
    till: Till
    on_wait: Callable[[Waiting], None]
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], datetime]
    timer: Callable[[], float]


class Conversation(Generic[T]):
    """Used once; `run` never raises for what a server does."""

    def __init__(self, means: Means, question: Question[T]) -> None:
        self._means = means
        self._question = question
        self._role = means.settings.of(question.agent)
        self._purpose = Purpose(
            agent=question.agent,
            prompt_id=question.prompt.id,
            idempotency_key=question.idempotency_key,
        )
        self._began = means.timer()
        self._interactions: list[UUID] = []
        self._cost = Decimal(0)
        self._attempts = 0

    async def run(self) -> Answer[T] | NoAnswer:
        """The answer on record, else the role's model's, else the cheaper model's where money is short."""
        if (on_record := await self._on_record()) is not None:
            return on_record
        standing = await self._means.ledger.standing()
        if standing.rung in (Rung.RULES, Rung.STOP):
            return self._none(Why.BUDGET, str(standing), standing.resumes_at)
        cheaper = self._means.settings.cheaper_model
        models = [self._role.model, cheaper] if standing.rung is Rung.FULL else [cheaper]
        outcome: Answer[T] | NoAnswer | SpendRefused
        for model in dict.fromkeys(models):
            try:
                outcome = await self._talk(model)
            except UnknownPrice as unknown:
                return self._none(Why.NO_PRICE, str(unknown))
            if not isinstance(outcome, SpendRefused):
                return outcome
        assert isinstance(outcome, SpendRefused)
        return self._none(Why.BUDGET, str(outcome), outcome.until)

    async def _talk(self, model: str) -> Answer[T] | NoAnswer | SpendRefused:
        """One model's turn. Raises UnknownPrice."""
        max_tokens, longer, tried = self._role.max_tokens, False, 0
        repair: DataBlock | None = None
        while (left_s := self._left_s()) >= LEAST_S:
            request = self._request(model, max_tokens, repair)
            self._attempts += 1
            result = await self._means.till.call(
                self._purpose, request, attempt=self._attempts, tried=tried + 1, left_s=left_s
            )
            if isinstance(result, SpendRefused):
                return result
            if isinstance(result, Parked):
                return self._none(Why.PARKED, str(result), result.until)
            self._interactions.append(result.interaction_id)
            self._cost += result.cost
            if isinstance(result, Failed):
                tried += 1
                if not isinstance(result.next, Again):
                    return self._none(result.fault.why, result.fault.reason, result.resumes_at)
                await self._wait(model, result.next.wait_s, result.fault.reason)
                continue
            read = self._read(result.reply)
            if isinstance(read, AnswerModel):
                return self._answer(read, result, model)
            if isinstance(read, NoAnswer):
                if read.why is not Why.TRUNCATED or longer:
                    return read
                longer, max_tokens = True, max_tokens * LONGER
                continue
            await self._means.till.reject(result.interaction_id, f"{Why.INVALID}: {read}")
            if repair is not None:
                return self._none(Why.INVALID, str(read))
            repair = self._previous(result.reply, read)
        return self._none(Why.TIMEOUT, f"no answer within {self._means.settings.timeout_s:.0f} s")

    def _request(self, model: str, max_tokens: int, repair: DataBlock | None) -> Request:
        provider = self._means.settings.provider
        return request_for(
            self._question,
            model=model,
            role=self._role,
            provider=provider,
            cache_prefix=provider is Provider.ANTHROPIC and self._means.prices.worth_caching(model),
            max_tokens=max_tokens,
            repair=repair,
        )

    def _read(self, reply: Reply) -> T | Misfit | NoAnswer:
        """What a message says, once it is paid for."""
        if reply.whole:
            return read_answer(self._question.answer, reply.text)
        match reply.stop_reason:
            case "refusal":
                return self._none(Why.REFUSED, f"the model would not answer {reply.refusal}".rstrip())
            case "max_tokens":
                return self._none(Why.TRUNCATED, f"cut after {reply.tokens.output:,} tokens")
            case other:
                return self._none(Why.INVALID, f"stopped by {other}")

    def _previous(self, reply: Reply, misfit: Misfit) -> DataBlock:
        return DataBlock(
            name="previous_answer",
            source="your answer before this one",
            as_of=self._means.clock(),
            content={"answer": reply.text, "problems": misfit.problems},
        )

    async def _wait(self, model: str, wait_s: float, because: str) -> None:
        until = self._means.clock() + timedelta(seconds=wait_s)
        agent = self._question.agent.value
        self._means.on_wait(Waiting(agent=agent, model=model, until=until, because=because))
        await self._means.sleep(wait_s)

    async def _on_record(self) -> Answer[T] | None:
        """The answer to the same question that was paid for when the work was begun before."""
        key = self._question.idempotency_key
        if key is None:
            return None
        digest = self._digest()
        found = await self._means.ledger.recorded(self._question.agent, key, digest)
        if found is None:
            return None
        value = read_answer(self._question.answer, str(found.output_result.get("text", "")))
        if isinstance(value, Misfit):
            return None
        return Answer(
            value=value,
            model=found.model,
            prompt_version=self._question.prompt.version,
            interaction_id=found.interaction_id,
            interactions=(),
            cost_usd=Decimal(0),
            latency_ms=self._elapsed_s() * 1000,
        )

    def _digest(self) -> str:
        return request_for(
            self._question,
            model=self._role.model,
            role=self._role,
            provider=self._means.settings.provider,
            cache_prefix=False,
        ).question

    def _answer(self, value: T, paid: Paid, model: str) -> Answer[T]:
        return Answer(
            value=value,
            model=model,
            prompt_version=self._question.prompt.version,
            interaction_id=paid.interaction_id,
            interactions=tuple(self._interactions),
            cost_usd=self._cost,
            latency_ms=self._elapsed_s() * 1000,
        )

    def _none(self, why: Why, reason: str, resumes_at: datetime | None = None) -> NoAnswer:
        return NoAnswer(
            why=why,
            reason=reason,
            resumes_at=resumes_at,
            interactions=tuple(self._interactions),
            cost_usd=self._cost,
        )

    def _elapsed_s(self) -> float:
        return self._means.timer() - self._began

    def _left_s(self) -> float:
        return self._means.settings.timeout_s - self._elapsed_s()
