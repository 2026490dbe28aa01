"""Logs rotate, are JSON, belong to one process each, and hold no secret."""

from __future__ import annotations

import json
import logging
import os
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app import logs, shared_log
from app.logs import secrets_of
from app.settings import Settings
from app.shared_log import is_shared, open_shared
from storage.notices import NotifySettings
from storage.redaction import HIDDEN, Redaction
from tests.forks import FORK, PATIENCE_S, become, ended, forked

KEY = "k3y-of-the-vendor"
TEXTS = st.text(max_size=40)
SECRETS = st.text(min_size=6, max_size=20, alphabet="abcdefgh0123456789!$%+/=-_~").filter(
    lambda s: s not in HIDDEN
)


@given(SECRETS, TEXTS, TEXTS)
def test_no_known_secret_is_left_in_any_shape(secret: str, before: str, after: str) -> None:
    redaction = Redaction([secret])
    shapes = (secret, quote(secret, safe=""), f"{{'key': '{secret}'}}")
    for shape in shapes:
        said = redaction.text(f"{before} {shape} {after}")
        assert secret not in said.replace(before, "").replace(after, "")
    deep = redaction.value({"a": [{"b": (secret,)}], secret: 1})
    assert secret not in json.dumps(deep)


@given(st.text(min_size=1, max_size=30, alphabet="abcdefgh0123456789-_"))
def test_what_is_secret_by_its_name_goes_without_being_known(value: str) -> None:
    secret = f"Q{value}Z"
    for text in (
        f"GET https://host/quote?symbol=A&apikey={secret}&x=1",
        f"postgresql://quorum:{secret}@db:5432/quorum is away",
        f"{{'Authorization': 'Bearer {secret}'}}",
        f"x-api-key: {secret}",
        f"sk-ant-{secret} was refused",
    ):
        assert secret not in Redaction([]).text(text), text


def test_every_secret_of_the_settings_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMP_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "claude-key")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:pass%21word@h/d")
    monkeypatch.setenv("QUORUM_NOTIFY__URLS", "tgram://bot/chat mailto://a:mailpass@h")
    known = set(secrets_of(Settings(_env_file=None)))
    assert {KEY, "claude-key", "pass!word", "mailpass", "tgram://bot/chat"} <= known


def log_a_lot(home: Path, said: Path, ready: Event, leave: Event) -> None:
    """What each process does: a log of its own that rotates, and the key in every line."""
    opened = open_shared(said)
    become({"QUORUM_HOME": str(home), "FMP_API_KEY": KEY}, opened, opened)
    os.close(opened)
    logs.MOST_BYTES, logs.KEPT = 3000, 2
    shared_log.MOST_BYTES, shared_log.KEPT_BYTES = 9000, 6000
    logs.log_to(Settings(_env_file=None), "run-paper")
    log = logging.getLogger("app.runtime.leader")
    for number in range(60):
        log.info("asked with %s, number %d", KEY, number)
    try:
        raise ValueError(f"apikey={KEY}")
    except ValueError:
        log.exception("it broke")
    ready.set()
    leave.wait()


def test_lines_rotate_and_two_processes_have_a_file_each(tmp_path: Path) -> None:
    both = tmp_path / "log/run-paper.log"
    both.parent.mkdir()
    both.write_bytes(500 * b"a line of a runtime that is long gone\n")
    leave, runs = FORK.Event(), []
    for _ in range(2):
        ready = FORK.Event()
        runs.append(forked(log_a_lot, tmp_path, both, ready, leave))
        assert ready.wait(PATIENCE_S)
    leave.set()
    assert [ended(run) for run in runs] == [0, 0]
    files = sorted(path.name for path in (tmp_path / "log").glob("*.jsonl*"))
    assert set(files) == {f"run-paper{n}.jsonl{k}" for n in ("", "-2") for k in ("", ".1", ".2")}
    for path in (tmp_path / "log").glob("*.jsonl*"):
        assert path.stat().st_size <= 4000 and path.stat().st_mode & 0o007 == 0
        for line in path.read_text().splitlines():
            event = json.loads(line)
            assert event["level"] in ("info", "error") and event["logger"] == "app.runtime.leader"
            assert KEY not in line and event["at"].endswith("Z")
    newest = [json.loads(line) for line in (tmp_path / "log/run-paper.jsonl").read_text().splitlines()][-1]
    assert newest["event"] == "it broke" and "ValueError" in newest["exception"]
    said = both.read_text()
    assert KEY not in said and "INFO app.runtime.leader: asked with ***, number 59" in said
    assert len(said) < 9000 + 2 * 1000 and "long gone" not in said


def test_a_file_the_user_named_is_not_cut(tmp_path: Path) -> None:
    opened = open_shared(tmp_path / "ours.log")
    assert is_shared(opened) and (tmp_path / "ours.log").stat().st_mode & 0o077 == 0
    os.close(opened)
    with (tmp_path / "mine.log").open("ab") as mine:  # as `2>> mine.log` opens it
        assert not is_shared(mine.fileno())


@pytest.mark.parametrize("folder", ["a file", "/proc/1"])
def test_a_folder_that_takes_no_log_is_said_once_and_stops_nobody(folder: str, tmp_path: Path) -> None:
    home = tmp_path / "home" if folder == "a file" else Path(folder)
    if folder == "a file":
        home.write_text("")
    said, ready, leave = tmp_path / "said", FORK.Event(), FORK.Event()
    leave.set()
    assert ended(forked(log_a_lot, home, said, ready, leave)) == 0
    assert ready.is_set() and said.read_text().count("no log is kept") == 1


def test_the_addresses_of_notices_are_never_shown() -> None:
    told = NotifySettings(urls=SecretStr("tgram://bottoken/chat"))
    assert "bottoken" not in repr(told)
