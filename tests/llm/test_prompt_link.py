"""A call names the version of the prompt that asked it."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from agents.llm.outcome import Answer
from agents.llm.questions import POLICY, Prompt
from storage.engine import open_engine
from storage.prompts import Prompts
from storage.records import AgentName
from tests.standins.claude import ClaudeStandIn

from .desk import View, asking, question, rows


async def test_a_call_is_recorded_with_its_prompt_and_every_word_that_was_sent(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session, session.begin():
        champion = await Prompts(session).ensure_champion(AgentName.NEWS, "Weigh them.", "You read news.")
        prompt = Prompt(
            id=champion.id,
            version=champion.prompt_version,
            system=champion.system_message,
            instruction=champion.prompt_template,
        )
    await engine.dispose()
    with ClaudeStandIn() as claude:
        async with asking(database, claude.url) as desk:
            answer = await desk.gateway.ask(replace(question(), prompt=prompt))
    assert isinstance(answer, Answer)
    assert answer.prompt_version == 1
    (row,) = rows(database)
    assert row["prompt_id"] == prompt.id
    assert row["input_context"] == claude.asked[0]
    assert claude.asked[0]["system"][0]["text"] == "You read news." + POLICY
    assert claude.asked[0]["messages"][0]["content"][0]["text"] == "Weigh them."
    output = row["output_result"]
    assert isinstance(output, dict)
    assert answer.value == View.model_validate_json(output["text"])
    tokens = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    assert row["tokens_used"] == sum(int(str(row[name])) for name in tokens) > 0
    assert row["thinking_tokens"] == 60
    assert row["latency_ms"] is not None
    assert str(row["request_id"]).startswith("req_")
