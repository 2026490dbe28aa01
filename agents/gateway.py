"""The only door to Claude: every question is priced, counted, bounded in time, recorded, answered by a value.

A question goes to the role's model, or to the cheaper one where money is short. What comes back is held
against its schema here, after it is paid for.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from agents.llm.answers import AnswerModel
from agents.llm.batches import Batches, BatchLedger
from agents.llm.claude import Claude
from agents.llm.conversation import Conversation, Means
from agents.llm.models import ModelCheck, ModelSettings
from agents.llm.outcome import Answer, Fault, NoAnswer, Waiting, Why
from agents.llm.pricing import Prices, UnknownPrice
from agents.llm.questions import Question
from agents.llm.retries import RetryPolicy
from agents.llm.till import Till
from storage.records import AgentName

log = logging.getLogger(__name__)

T = TypeVar("T", bound=AnswerModel)

NO_KEY = "ANTHROPIC_API_KEY is not set: put it into .env and start again; until then rules answer"
CHECK_S = 10.0


def log_waiting(waiting: Waiting) -> None:
    """What is done with a wait where nobody else wants to know."""
    log.warning("%s", waiting)


class Gateway:
    """Made once a process by app/wiring.py; `claude` is None where there is no key."""

    def __init__(
        self,
        claude: Claude | None,
        ledger: BatchLedger,
        settings: ModelSettings,
        *,
        on_wait: Callable[[Waiting], None] = log_waiting,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`jitter` gives numbers in [0, 1), `clock` is the wall's, `timer` gives monotonic seconds."""
        self._claude = claude
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._means: Means | None = None
        self.batches: Batches | None = None  # None where there is no key
        if claude is not None:
            retries = RetryPolicy(tries=settings.tries, max_wait_s=settings.max_wait_s, jitter=jitter)
            prices = Prices(settings.prices)
            till = Till(claude, ledger, prices, retries, clock=clock, timer=timer)
            self.batches = Batches(claude, ledger, till, settings)
            self._means = Means(
                settings=settings,
                ledger=ledger,
                prices=prices,
                till=till,
                on_wait=on_wait,
                sleep=sleep,
                clock=clock,
                timer=timer,
            )

    async def ask(self, question: Question[T]) -> Answer[T] | NoAnswer:
        """Put a question. What a server does is a value, whatever it does.

        Raises sqlalchemy.exc.DBAPIError when the ledger is away; what was counted stays counted.
        """
        if self._claude is None or self._means is None:
            return NoAnswer(why=Why.NO_KEY, reason=NO_KEY)
        async with self._turns:
            await self._claude.ready()
            await self._means.prices.ready()
            return await Conversation(self._means, question).run()

    async def check_models(self) -> tuple[ModelCheck, ...]:
        """Each configured model as the server and the price list know it; never a failure."""
        return await check_models(self._claude, self._settings)

    async def close(self) -> None:
        if self._claude is not None:
            await self._claude.close()


async def check_models(claude: Claude | None, settings: ModelSettings) -> tuple[ModelCheck, ...]:
    """Each configured model as the server and the price list know it; never a failure."""
    return tuple([await _check(claude, settings, model) for model in settings.configured])


async def _check(claude: Claude | None, settings: ModelSettings, model: str) -> ModelCheck:
    try:
        price, note = Prices(settings.prices).source(model).name, ""
    except UnknownPrice as unknown:
        price, note = "", str(unknown)
    checked = ModelCheck(
        model=model,
        agents=tuple(agent for agent in AgentName if settings.of(agent).model == model),
        usable=None,
        lifecycle="",
        retires_at=None,
        price_source=price,
        note=note,
    )
    if claude is None:
        return replace(checked, note=note or NO_KEY)
    said = await claude.model(model, timeout_s=CHECK_S)
    if not isinstance(said, Fault):
        usable = said.lifecycle != "retired" and bool(price)
        return replace(checked, usable=usable, lifecycle=said.lifecycle, retires_at=said.retires_at)
    if said.why is not Why.NO_MODEL:
        return replace(checked, note=note or said.reason)
    known = await claude.model_ids(timeout_s=CHECK_S)
    if isinstance(known, Fault) or not known:  # a server without a list cannot be asked about one model
        return replace(checked, note=note or f"the server does not say: {said.reason}")
    return replace(checked, usable=False, note=f"no such model; there are {', '.join(known)}")
