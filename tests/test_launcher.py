"""The launcher, run for real in a copy of its own; only uv is a stand-in that records what it is asked."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # environments are made

ROOT = Path(__file__).parents[1]
USED = ("cat", "cmp", "cp", "id", "mkdir", "mv", "readlink", "rm", "sh", "sleep")

FAKE_UV = """#!/bin/sh
[ "$1" != --version ] || { echo "uv 0.13.9"; exit 0; }
echo "$@" >>"$UV_CALLS"
env | grep '^UV_\\|^SSL_CERT_FILE' >"$UV_CALLS.env"
for last in "$@"; do :; done
case $2 in
  venv)
    mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"
    cp "$FAKE_PYTHON" "$last/bin/python" ;;
  pip)
    sleep "${UV_SLEEP:-0}"
    [ -z "${UV_FAILS-}" ] || { echo "error: no route to host" >&2; exit 1; } ;;
esac
"""

# Stands for .venv/bin/python: tells how it was called, one argument a line after the working directory.
FAKE_PYTHON = """#!/bin/sh
[ "$*" != "-I -c " ] || exit 0
printf '%s\\n' "$PWD" "$@"
"""

# Stands for the machine's python3: makes a "venv" whose pip brings the stand-in uv; else the real one.
FAKE_PYTHON3 = """#!/bin/sh
case $* in
  *_base_executable*) echo "$0" ;;
  *"import ensurepip, venv"*) exit "${NO_VENV:-0}" ;;
  "-I -m venv --clear "*) mkdir -p "$5/bin" && cp "$0" "$5/bin/python" ;;
  *"pip install"*) echo "$@" >>"$UV_CALLS"; cp "$FAKE_UV" "${0%/*}/uv" ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class Machine:
    """A copy of the launcher in a folder with a space in its name, on a machine with few tools."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "the desk"
        self.bin = folder / "bin"
        self.elsewhere = folder / "else where"
        self.calls = folder / "calls"
        self.venv = self.root / ".venv"
        for new in (self.root, self.bin, self.elsewhere, folder / "home"):
            new.mkdir()
        shutil.copy(ROOT / "quorum", self.root)
        (self.root / "requirements.lock").write_text("textual==8\n")
        (self.root / "requirements-test.lock").write_text("pytest==8\ntextual==8\n")
        for name in (*USED, "env", "grep"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        (self.bin / "python3").symlink_to(Path(sys.executable).resolve())
        uv = script(self.bin / "uv", FAKE_UV)
        self.env = {
            "PATH": str(self.bin),
            "HOME": str(folder / "home"),
            "QUORUM_HOME": str(folder / "home/quorum"),
            "UV_CALLS": str(self.calls),
            "FAKE_UV": str(uv),
            "FAKE_PYTHON": str(script(folder / "python-stub", FAKE_PYTHON)),
            "REAL_PYTHON": str(Path(sys.executable).resolve()),
        }

    def start(self, *args: str, by: Path | str | None = None, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(by or self.root / "quorum"), *args],
            cwd=self.elsewhere,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, by: Path | str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*args, by=by, **env)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ready(self, *, tests: bool = False) -> None:
        """Put an environment in place as a finished set-up leaves it."""
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "lib/python3.11/site-packages").mkdir(parents=True)
        script(self.venv / "bin/python", FAKE_PYTHON)
        shutil.copy(self.root / "requirements.lock", self.venv / "installed.lock")
        if tests:
            shutil.copy(self.root / "requirements-test.lock", self.venv / "installed-test.lock")

    def asked(self) -> list[str]:
        """What was asked of uv, in order: "venv" or the lock that was installed."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return ["venv" if " venv " in line else line.rpartition("/new-")[2] for line in lines]

    def without(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_alone_it_goes_straight_to_the_console(machine: Machine) -> None:
    machine.ready()
    done = machine.run()
    assert done.stdout.splitlines() == [str(machine.elsewhere), "-I", "-m", "app.console"]
    assert (done.returncode, done.stderr, machine.asked()) == (0, "", [])


def test_a_command_keeps_its_arguments_and_the_users_folder(machine: Machine) -> None:
    machine.ready()
    done = machine.run("replay", "--history", "my bars", "", "*", "$HOME", 'say "hi"')
    words = ["replay", "--history", "my bars", "", "*", "$HOME", 'say "hi"']
    assert done.stdout.splitlines() == [str(machine.elsewhere), "-I", "-m", "app.cli", *words]


def test_tests_run_in_the_project_folder(machine: Machine) -> None:
    machine.ready(tests=True)
    done = machine.run("test", "-k", "one or two")
    assert done.stdout.splitlines() == [str(machine.root), "-m", "pytest", "-k", "one or two"]
    assert machine.asked() == []


def test_it_is_found_through_symlinks_on_the_path(machine: Machine) -> None:
    machine.ready()
    (machine.root / "short").symlink_to("quorum")
    (machine.bin / "quorum").symlink_to(machine.root / "short")
    for by in (machine.bin / "quorum", "quorum", os.path.relpath(machine.root / "quorum", machine.elsewhere)):
        shell = script(machine.bin / "shell", f"#!/bin/sh\nexec '{by}' status\n")
        done = machine.run(by=shell, CDPATH="/")
        assert done.stdout.splitlines() == [str(machine.elsewhere), "-I", "-m", "app.cli", "status"]


def test_neither_a_stray_folder_nor_pythonpath_stands_in_for_ours(machine: Machine) -> None:
    for folder, word in ((machine.root, "ours"), (machine.elsewhere, "stray")):
        (folder / "app").mkdir()
        (folder / "app/__init__.py").touch()
        (folder / "app/cli.py").write_text(f"print({word!r})\n")
    venv.create(machine.venv, symlinks=True)
    done = machine.run("status", PYTHONPATH=str(machine.elsewhere))
    assert done.stdout.splitlines() == ["ours"]
    moved = machine.root.rename(machine.root.with_name("moved"))
    assert machine.run("status", by=moved / "quorum").stdout.splitlines() == ["ours"]


def test_a_fresh_copy_is_set_up_once(machine: Machine) -> None:
    first = machine.run()
    assert (first.returncode, first.stderr) == (0, "Setting up Quorum (once, about 30 s) ...\n")
    assert first.stdout.splitlines()[-1] == "app.console"
    assert machine.asked() == ["venv", "requirements.lock"]
    sync = machine.calls.read_text().splitlines()[-1]
    assert "--require-hashes" in sync
    assert "--compile-bytecode" in sync
    assert "UV_PYTHON_DOWNLOADS=never" in machine.calls.with_suffix(".env").read_text()

    second = machine.run()
    assert (second.returncode, second.stderr) == (0, "")
    assert machine.asked() == ["venv", "requirements.lock"]


def test_set_up_alone_starts_nothing(machine: Machine) -> None:
    done = machine.run("--setup")
    assert (done.returncode, done.stdout) == (0, "")
    assert (machine.venv / "installed.lock").exists()


def test_the_test_packages_are_added_and_stay(machine: Machine) -> None:
    machine.ready()
    assert "Installing the test packages" in machine.run("test").stderr
    assert machine.run().stderr == machine.run("test").stderr == ""
    assert machine.asked() == ["requirements-test.lock"]

    for name in ("requirements.lock", "requirements-test.lock"):
        with (machine.root / name).open("a") as lock:
            lock.write("numpy==2\n")
    assert "Updating Quorum's packages" in machine.run().stderr
    assert machine.run("test").stderr == ""
    assert machine.asked() == ["requirements-test.lock"] * 2


def test_a_changed_lock_is_installed(machine: Machine) -> None:
    machine.ready()
    (machine.root / "requirements.lock").write_text("textual==9\n")
    assert machine.run().returncode == 0
    assert machine.asked() == ["requirements.lock"]
    assert (machine.venv / "installed.lock").read_text() == "textual==9\n"


def test_a_failed_set_up_says_why_and_is_done_again(machine: Machine) -> None:
    failed = machine.run(UV_FAILS="1")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "no route to host" in failed.stderr
    assert "run ./quorum again" in failed.stderr
    assert machine.run().returncode == 0
    assert machine.asked() == ["venv", "requirements.lock", "requirements.lock"]


def test_an_update_that_fails_leaves_no_stamp_of_the_old_lock(machine: Machine) -> None:
    machine.ready(tests=True)
    (machine.root / "requirements.lock").write_text("textual==9\n")
    assert machine.run(UV_FAILS="1").returncode == 2
    (machine.root / "requirements.lock").write_text("textual==8\n")
    assert machine.run().returncode == 0
    assert machine.asked() == ["requirements-test.lock", "requirements.lock"]


def test_a_half_written_stamp_is_repaired(machine: Machine) -> None:
    machine.ready()
    (machine.venv / "installed.lock").write_text("text")
    assert machine.run().returncode == 0
    assert machine.asked() == ["requirements.lock"]


def test_an_environment_whose_python_is_gone_is_rebuilt(machine: Machine) -> None:
    machine.ready()
    (machine.venv / "bin/python").unlink()
    (machine.venv / "bin/python").symlink_to("/usr/bin/python3.no-longer-here")
    (machine.venv / "lib/left-over").touch()
    assert machine.run().returncode == 0
    assert machine.asked() == ["venv", "requirements.lock"]
    assert not (machine.venv / "lib/left-over").exists()


def test_two_at_once_set_up_once(machine: Machine) -> None:
    both = [machine.start("status", UV_SLEEP="1") for _ in range(2)]
    said = [process.communicate(timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(out.splitlines()[-1] == "status" for out, _ in said)
    assert machine.asked() == ["venv", "requirements.lock"]
    assert sum("waiting for it" in err for _, err in said) == 1


def test_the_lock_ends_with_a_killed_set_up(machine: Machine) -> None:
    killed = machine.start(UV_SLEEP="1")
    while "venv" not in machine.asked():
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    assert machine.run().returncode == 0


def test_without_uv_one_is_installed_privately_once(machine: Machine) -> None:
    uv = machine.bin.rename(machine.bin.with_name("tools")) / "uv"
    machine.bin.mkdir()
    for name in (*USED, "env", "grep"):
        (machine.bin / name).symlink_to(shutil.which(name) or name)
    script(machine.bin / "python3", FAKE_PYTHON3)
    machine.env |= {"FAKE_UV": str(uv), "QUORUM_HOME": "state here"}

    assert machine.run().returncode == 0
    private = machine.elsewhere / "state here/tools/bin/uv"
    assert private.exists()
    lines = machine.calls.read_text().splitlines()
    assert next(line for line in lines if "pip install" in line).endswith(" uv==0.13.9")
    assert (
        f"UV_CACHE_DIR={machine.elsewhere}/state here/cache/uv"
        in machine.calls.with_suffix(".env").read_text()
    )

    (machine.venv / "installed.lock").unlink()
    assert machine.run().returncode == 0
    assert machine.calls.read_text().count("pip install") == 1


def test_without_venv_the_system_package_is_named(machine: Machine) -> None:
    machine.without("uv", "python3")
    script(machine.bin / "python3", FAKE_PYTHON3)
    done = machine.run(NO_VENV="1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("quorum: ")
    assert "install the system package python3-venv" in done.stderr


def test_without_python_the_system_package_is_named(machine: Machine) -> None:
    machine.without("python3")
    done = machine.run()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "found no python3; install the system package python3" in done.stderr


def test_an_old_python_is_named(machine: Machine) -> None:
    machine.without("python3")
    script(machine.bin / "python3", '#!/bin/sh\n[ "$1" != --version ] || echo "Python 3.9.2"\n')
    done = machine.run()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "needs Python 3.11 or newer, found Python 3.9.2" in done.stderr


@pytest.mark.parametrize("home", ["", None], ids=["empty", "unset"])
def test_without_home_root_has_a_place_and_others_are_told(machine: Machine, home: str | None) -> None:
    machine.ready()
    machine.env = {name: value for name, value in machine.env.items() if not name.endswith("HOME")}
    machine.env |= {} if home is None else {"HOME": home}
    machine.without("id")
    script(machine.bin / "id", "#!/bin/sh\necho 0\n")
    assert machine.run().stdout.splitlines()[-1] == "app.console"
    script(machine.bin / "id", "#!/bin/sh\necho 1000\n")
    done = machine.run()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "HOME is not set" in done.stderr
    assert machine.run(QUORUM_HOME="/srv/quorum").returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_named(machine: Machine) -> None:
    machine.root.chmod(0o555)
    done = machine.run()
    machine.root.chmod(0o755)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"cannot write to {machine.root}" in done.stderr


def test_pips_settings_are_handed_to_uv(machine: Machine) -> None:
    (machine.root.parent / "pip.conf").write_text(
        "[global]\nindex-url = file:///ignored\nextra-index-url = file:///a\n    file:///b\n"
    )
    given = {
        "PIP_CONFIG_FILE": str(machine.root.parent / "pip.conf"),
        "PIP_INDEX_URL": "file:///mirror/it's",
        "PIP_CERT": "/certs/ours.pem",
    }
    assert machine.run(**given).returncode == 0
    seen = machine.calls.with_suffix(".env").read_text().splitlines()
    assert {
        "UV_DEFAULT_INDEX=file:///mirror/it's",
        "UV_INDEX=file:///a file:///b",
        "UV_INDEX_STRATEGY=unsafe-best-match",
        "SSL_CERT_FILE=/certs/ours.pem",
    } <= set(seen)


def test_uvs_own_settings_win_over_pips(machine: Machine) -> None:
    assert machine.run(PIP_INDEX_URL="file:///pips", UV_INDEX_URL="file:///uvs").returncode == 0
    seen = machine.calls.with_suffix(".env").read_text()
    assert "UV_INDEX_URL=file:///uvs" in seen
    assert "UV_DEFAULT_INDEX" not in seen


def pins(name: str) -> dict[str, str]:
    """Each requirement of a lock, as "numpy==2.4.6 ; python_full_version < '3.12'", with its hashes."""
    text = re.sub(r"\n *#.*", "", (ROOT / name).read_text()).replace("\\\n", "")
    lines = (line.partition(" --hash=") for line in text.splitlines())
    return {requirement.strip(): hashes for requirement, _, hashes in lines}


def test_the_test_lock_holds_the_runtime_lock() -> None:
    run, test = pins("requirements.lock"), pins("requirements-test.lock")
    assert len(run) > 20
    for pin, hashes in run.items():
        unconditional = pin.partition(" ;")[
            0
        ]  # a test package may need on every platform what we need on one
        assert hashes in (test.get(pin), test.get(unconditional)), pin


def test_no_installed_package_hides_one_of_our_rooms() -> None:
    site = Path(importlib.util.find_spec("pytest").origin or "").parents[1]  # type: ignore[union-attr]
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"app", "migrations", "tests"}
    assert not [room for room in sorted(rooms) if (site / room).exists() or (site / f"{room}.py").exists()]
