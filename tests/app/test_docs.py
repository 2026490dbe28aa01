"""Whatever command a page names is there, with the options it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from app.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BY_THE_LAUNCHER = {"test", "--setup"}
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:\./)?quorum(?: [^`]*)?)`")
COMMAND = re.compile(r"^(?:[A-Z_0-9]+=\S+\s+)*(?:\.venv/bin/|\./)?quorum(?=\s|$) ?(.*)$")
TREE = typer.main.get_command(app)


def named_on(page: Path) -> Iterator[str]:
    """The words behind `quorum`, of a list "one, two --three  what they do" each by itself."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if found := COMMAND.match(line.strip()):
                words = re.split(r"\s{2,}|\s#|\s2?>|\s\|", found[1])[0]
                yield from re.split(r"[,;]\s+", words)
    for code in INLINE.findall(BLOCK.sub("", text)):
        yield COMMAND.match(code)[1]  # type: ignore[index]  # it begins with quorum


def missing(words: str) -> str:
    """What of a command the command line does not have; nothing where all is there."""
    command, asked = TREE, shlex.split(re.sub(r"[\[\]]|\.\.\.", "", words))
    if asked and asked[0] in BY_THE_LAUNCHER:
        return ""
    after_option = False
    for word in asked:
        known = getattr(command, "commands", {})
        if word.startswith("--"):
            options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if word.partition("=")[0] not in options | {"--help"}:
                return word
        elif known and not after_option and not word.isupper():  # ROLE stands for any of them
            if not set(word.split("|")) <= set(known):
                return word
            command = known[word.split("|")[0]]
        after_option = word.startswith("--")
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_a_page_names_is_there(page: Path) -> None:
    assert {words: missing(words) for words in named_on(page) if missing(words)} == {}


def test_a_command_that_is_not_there_would_be_found() -> None:
    assert missing("backups --jason") == "--jason"
    assert missing("agents run-later NAME") == "run-later"
    assert missing("sell") == "sell"
    assert missing("approve ID --id ID --yes") != ""
    assert len([words for page in PAGES for words in named_on(page)]) > 100
