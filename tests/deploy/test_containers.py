"""docker-compose.yml and the Dockerfile as Docker reads them: what starts, with what, what watches it."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import ROOT, load_settings
from tests.app.test_settings import nothing_set
from tests.deploy.commands import parsed

__all__ = ["nothing_set"]

PROGRAM = "/quorum/quorum"
OURS = ("desk", "worker", "console")
TERMINAL = {"TERM", "COLORTERM"}  # of the terminal, and no setting
GIVEN = {"POSTGRES_PASSWORD": "secret-word"}  # what a .env must set


@cache
def services() -> dict[str, Any]:
    """Services by name, anchors resolved."""
    found = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert isinstance(found, dict)
    return found


def environment(service: str) -> dict[str, str]:
    """What a service is told, its ${...} filled in from GIVEN."""

    def given(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        assert operator == ":-" or name in GIVEN, f"{name} has neither a value nor a default"
        return GIVEN.get(name, rest)

    told = services()[service]["environment"]
    return {name: re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", given, text) for name, text in told.items()}


def image() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, rest) for word, _, rest in lines]


def test_a_database_a_runtime_a_worker_on_request_and_a_console_to_run() -> None:
    profiles = {name: service.get("profiles", []) for name, service in services().items()}
    assert profiles == {"db": [], "desk": [], "worker": ["worker"], "console": ["console"]}
    assert services()["console"]["tty"] and services()["console"]["stdin_open"]
    assert "command" not in services()["console"]
    for name in ("db", "desk"):  # both come back after the machine was started anew
        assert services()[name]["restart"] == "unless-stopped"


def test_what_comes_from_elsewhere_is_pinned_to_a_version() -> None:
    assert re.fullmatch(r"pgvector/pgvector:\d+\.\d+\.\d+-pg18(-\w+)?", services()["db"]["image"])
    bases = [rest for word, rest in image() if word == "FROM"]
    assert len(bases) == 1 and re.fullmatch(r"python:3\.1[1-9]\.\d+-slim-\w+", bases[0])
    assert {services()[name]["image"] for name in OURS} == {"quorum"}  # built here


def test_every_command_is_one_that_the_command_line_has() -> None:
    assert image()[-1] == ("ENTRYPOINT", f'["{PROGRAM}"]')
    asked = {name: parsed(shlex.split(services()[name]["command"])) for name in ("desk", "worker")}
    assert asked == {"desk": "run", "worker": "worker"}
    kind, program, *words = services()["desk"]["healthcheck"]["test"]
    assert (kind, program, parsed(words)) == ("CMD", PROGRAM, "status")
    head = (ROOT / "docker-compose.yml").read_text().partition("\n\n")[0]
    told = re.findall(r"run --rm console (\w+)", head)
    assert told and [parsed([word]) for word in told] == told


def test_who_needs_another_waits_until_it_is_healthy() -> None:
    assert "pg_isready" in services()["db"]["healthcheck"]["test"]
    for name in OURS:
        for needed, how in services()[name]["depends_on"].items():
            assert how == {"condition": "service_healthy"}
            assert services()[needed]["healthcheck"]


@pytest.mark.parametrize("name", OURS)
def test_everything_a_service_is_told_is_a_setting(name: str, tmp_path: Path) -> None:
    assert services()[name]["env_file"] == ".env"
    told = {setting: text for setting, text in environment(name).items() if setting not in TERMINAL}
    written = tmp_path / ".env"  # in a file every name that is none is refused, whatever it begins with
    written.write_text("".join(f"{setting}={text}\n" for setting, text in (GIVEN | told).items()))
    settings = load_settings(written)
    assert settings.database_url == "postgresql://quorum:secret-word@db:5432/quorum"
    assert settings.home == Path("/var/lib/quorum")
    assert settings.agent_orchestrator_enabled is (name != "console")


def test_the_data_outlive_the_containers_and_belong_to_the_user_they_run_as() -> None:
    home = environment("desk")["QUORUM_HOME"]
    assert [services()[name]["volumes"] for name in OURS] == [[f"state:{home}"]] * len(OURS)
    assert services()["db"]["volumes"] == ["db:/var/lib/postgresql"]
    made, user = next(rest for word, rest in image() if word == "RUN"), dict(image())["USER"]
    assert f"useradd --uid 10001 --create-home {user}" in made
    assert f"--owner {user} --group {user} {home}" in made
    assert ".env" in (ROOT / ".dockerignore").read_text().split()  # keys are in no image
