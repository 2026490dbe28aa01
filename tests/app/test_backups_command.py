"""`quorum backup` and `backups`: a file that is of no use hides no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.test_runtime_commands import Here, here, paper

__all__ = ["here", "paper"]


def test_what_cannot_be_restored_is_listed_as_such(
    here: Here, paper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORUM_BACKUP__FOLDER", str(tmp_path))
    assert "it was restored once and came back whole" in here.run("backup").out
    foreign = tmp_path / "paper-20250102T030405Z.quorum"
    foreign.write_bytes(b"no backup")
    said = here.run("backups")
    good, bad = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert ": made 20" in good
    assert bad.startswith(f"{foreign}: NOT USABLE, {foreign.name} cannot be restored: it is cut off")
    told = json.loads(here.run("backups", "--json").out)
    assert [sorted(row)[:2] for row in told][1] == ["file", "problem"] and told[0]["desk"] == "paper"
