import pytest

from agents.base import Abstention, AgentUnavailable, BaseAgent
from storage.records import AgentName


class Echo(BaseAgent[str, str]):
    """Answers what it is told; two words make it fail."""

    name = AgentName.RESEARCH

    async def execute(self, context: str) -> str | Abstention:
        if context == "nobody":
            raise AgentUnavailable("nobody answers")
        if context == "bug":
            raise KeyError("a bug")
        return context


def echo() -> Echo:
    ticks = iter((10.0, 10.25))
    return Echo(timer=lambda: next(ticks))


async def test_a_report_says_who_answered_and_how_long_it_took() -> None:
    report = await echo().run("yes")
    assert (report.agent, report.outcome, report.source) == (AgentName.RESEARCH, "yes", "rules")
    assert report.latency_ms == 250.0


async def test_an_unavailable_agent_abstains_with_the_reason() -> None:
    report = await echo().run("nobody")
    assert report.outcome == Abstention("nobody answers")
    assert report.latency_ms == 250.0


async def test_a_bug_in_an_agent_surfaces() -> None:
    with pytest.raises(KeyError):
        await echo().run("bug")
