"""What a server without containers is given: the install script, its units, what the page says of them."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.settings import ROOT
from tests.deploy.commands import parsed

SCRIPT = ROOT / "deploy/install.sh"
UNITS = sorted((ROOT / "deploy").glob("*.service"))


def test_every_word_the_page_gives_the_install_script_is_one_it_takes() -> None:
    taken = re.search(r"case \$1 in\n(.*?)esac", SCRIPT.read_text(), re.DOTALL)
    assert taken is not None
    page = (ROOT / "docs/operate.md").read_text()
    told = set(re.findall(r"deploy/install\.sh (--[\w-]+|[a-z]+)", page)) | {"--purge"}
    assert {"rollback", "uninstall", "--database-url"} < told
    assert all(re.search(rf"(^|[ |]){word}[ |)]", taken[1], re.MULTILINE) for word in told)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_a_unit_starts_is_there(unit: Path) -> None:
    started = re.search(r"^ExecStart=/opt/quorum/current/quorum (.*)$", unit.read_text(), re.MULTILINE)
    assert started is not None
    assert parsed(shlex.split(started[1])) in ("run", "notify check")
    assert unit.name in SCRIPT.read_text()


def test_the_scripts_are_plain_sh() -> None:
    for script in (SCRIPT, ROOT / "deploy/quorum.wrapper", ROOT / "quorum"):
        subprocess.run(["sh", "-n", script], check=True)
