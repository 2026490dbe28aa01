"""Settings: what is read from where, and that nothing wrong or secret slips through."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.limits import Limits
from agents.trading.setups import MomentumParameters
from app.settings import Settings, default_home, env_example, load_settings
from storage.errors import OperatorError
from tests.trading.builders import bounds_of

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "DATABASE_URL": "postgresql://quorum:geheim-1@db/quorum",
    "POSTGRES_PASSWORD": "geheim-2",
    "FMP_API_KEY": "geheim-3",
    "ANTHROPIC_API_KEY": "geheim-4",
    "ANTHROPIC_BASE_URL": "http://ada:geheim-5@localhost:8787",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any setting of ours."""
    for name in list(os.environ):
        if name.upper().startswith("QUORUM_") or name in SECRETS:
            monkeypatch.delenv(name)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def refusal(env_file: Path) -> str:
    with pytest.raises(OperatorError) as refused:
        load_settings(env_file)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# -- where they come from ------------------------------------------------------------------------------------


def test_without_anything_set_the_defaults_hold(env_file: Path) -> None:
    settings = load_settings(env_file)
    assert settings.home == default_home()
    assert settings.library == default_home() / "history"
    assert settings.start_equity == Decimal("100000.00")
    assert settings.limits == Limits(risk_per_trade=0.005, heat=0.06, min_cash=0.0, daily_loss=0.02)
    assert (settings.database_url, settings.fmp_api_key, settings.anthropic_api_key) == (None, None, None)


def test_a_home_of_root_is_the_systems_and_of_anybody_else_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/quorum")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_home() == Path("/home/ada/.local/share/quorum")


def test_the_env_file_is_read(env_file: Path) -> None:
    env_file.write_text(
        "# my desk\n\nexport QUORUM_START_EQUITY='25000.50'\nQUORUM_LIMITS__HEAT=0.03\n"
        "quorum_costs__market_bps = 7.5\nQUORUM_SETUPS__OVERSOLD_BOUNCE__MAX_HOLD=5\nFMP_API_KEY=\n"
    )
    settings = load_settings(env_file)
    assert settings.start_equity == Decimal("25000.50")
    assert settings.limits == Limits(heat=0.03)
    assert settings.costs.market_bps == 7.5
    assert settings.setups.oversold_bounce.max_hold == 5
    assert settings.setups.momentum == MomentumParameters()
    assert settings.fmp_api_key is None


def test_the_environment_wins_one_setting_at_a_time(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("QUORUM_LIMITS__HEAT=0.03\nQUORUM_LIMITS__DAILY_LOSS=0.01\nQUORUM_HOME=/file\n")
    monkeypatch.setenv("QUORUM_LIMITS__HEAT", "0.02")
    monkeypatch.setenv("QUORUM_HOME", "")
    settings = load_settings(env_file)
    assert settings.limits == Limits(heat=0.02, daily_loss=0.01)
    assert settings.home == Path("/file")


def test_what_compose_reads_from_the_same_file_is_no_mistake(env_file: Path) -> None:
    env_file.write_text("POSTGRES_PASSWORD=geheim\nQUORUM_START_EQUITY=5000\n")
    assert load_settings(env_file).start_equity == 5000


def test_other_programs_variables_are_not_our_business(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORUMS", "1")
    monkeypatch.setenv("LIMITS__HEAT", "9")
    assert load_settings(env_file).limits == Limits()


def test_a_home_is_known_in_full_wherever_the_desk_is_started(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("QUORUM_HOME", "~/desk")
    assert load_settings(env_file).library == Path("/home/ada/desk/history")
    monkeypatch.setenv("QUORUM_HOME", "desk")
    assert load_settings(env_file).home == Path.cwd() / "desk"


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("QUORUM_HOEM", "unknown setting QUORUM_HOEM in {source}; did you mean QUORUM_HOME?"),
        ("QUORUM_FMP_API_KEY", "unknown setting QUORUM_FMP_API_KEY in {source}; did you mean FMP_API_KEY?"),
        ("QUORUM_ZZZZZZZZ", "unknown setting QUORUM_ZZZZZZZZ in {source}; .env.example lists every setting"),
        (
            "QUORUM_LIMITS__HEATT",
            "unknown limit QUORUM_LIMITS__HEATT in {source}; did you mean QUORUM_LIMITS__HEAT?",
        ),
        (
            "quorum_limits__max_risk",
            "unknown limit quorum_limits__max_risk in {source}; did you mean QUORUM_LIMITS__MIN_REWARD_RISK?",
        ),
        ("QUORUM_LIMITS", "unknown setting QUORUM_LIMITS in {source}; did you mean QUORUM_LIMITS__HEAT?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_may_have_been_meant(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(name, "1")
        assert refusal(env_file) == problem.format(source="the environment")
    env_file.write_text(f"{name}=1\n")
    assert refusal(env_file) == problem.format(source=env_file)


def test_in_our_own_file_any_unknown_name_is_a_mistake(env_file: Path) -> None:
    env_file.write_text("DATABASE_URI=postgresql://u:geheim@h/d\n")
    assert refusal(env_file) == f"unknown setting DATABASE_URI in {env_file}; did you mean DATABASE_URL?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUORUM_LIMITS__RISK_PER_TRADE", "0.0076"),
        ("QUORUM_LIMITS__RISK_PER_TRADE", "0"),
        ("QUORUM_LIMITS__HEAT", "0.0601"),
        ("QUORUM_LIMITS__HEAT", "6"),
        ("QUORUM_LIMITS__HEAT", "nan"),
        ("QUORUM_LIMITS__HEAT", "inf"),
        ("QUORUM_LIMITS__MIN_CASH", "-0.01"),
        ("QUORUM_LIMITS__MIN_CASH", "nan"),
        ("QUORUM_LIMITS__DAILY_LOSS", "0.051"),
        ("QUORUM_LIMITS__DAILY_LOSS", "two percent"),
        ("QUORUM_COSTS__COMMISSION_USD", "-1"),
        ("QUORUM_SCREEN__MIN_BARS", "200.5"),
        ("QUORUM_START_EQUITY", "much"),
        ("QUORUM_START_EQUITY", "0"),
        ("QUORUM_START_EQUITY", "NaN"),
        ("QUORUM_START_EQUITY", "100.001"),
        ("QUORUM_LLM__BUDGET__DAY_USD", "-0.01"),
        ("QUORUM_LLM__BUDGET__DAY_USD", "nan"),
        ("QUORUM_LLM__BUDGET__MONTH_USD", "2001"),
        ("QUORUM_LLM__TIMEOUT_S", "inf"),
        ("QUORUM_LLM__PROVIDER", "openai"),
        ("QUORUM_LLM__NEWS__EFFORT", "max"),
        ("QUORUM_LLM__PRICES", "{"),
        ("QUORUM_LLM__PRICES", "[]"),
    ],
)
def test_a_value_beyond_its_bounds_or_no_number_is_refused_by_name(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    said = refusal(env_file)
    assert said.startswith(f"{name} is refused: ")
    assert said.endswith("; correct it in the environment or in .env")


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(sorted(set(Limits.model_fields) - {"margin_mode", "earnings_hold"})),
)
def test_no_value_at_all_widens_a_limit(value: float, name: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(f"QUORUM_LIMITS__{name.upper()}", repr(value))
        try:
            limits = load_settings(Path("/nowhere/.env")).limits
        except OperatorError:
            return
    assert 0 <= getattr(limits, name) <= bounds_of(name)[1]


@pytest.mark.parametrize("content", [b"\xff\xfeQ", b"QUORUM_HOME=/caf\xe9"])
def test_a_file_that_is_not_utf8_is_refused(env_file: Path, content: bytes) -> None:
    env_file.write_bytes(content)
    assert refusal(env_file).endswith("make it a UTF-8 file that you may read")
    assert str(env_file) in refusal(env_file)


def test_a_folder_in_place_of_the_file_is_refused(env_file: Path) -> None:
    env_file.mkdir()
    assert refusal(env_file).endswith("make it a UTF-8 file that you may read")


def test_a_file_one_may_not_read_is_refused(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", forbidden)
    assert "Permission denied" in refusal(env_file)


def test_a_line_that_sets_nothing_is_refused_without_repeating_it(env_file: Path) -> None:
    env_file.write_text("QUORUM_START_EQUITY=5000\n\n'geheim' QUORUM_LIMITS__HEAT 0.01\n")
    said = refusal(env_file)
    assert said.startswith(f"{env_file} line ")
    assert said.endswith(" is no setting; write it as NAME=value")
    assert "geheim" not in said


# -- secrets -------------------------------------------------------------------------------------------------


def test_secrets_are_known_and_never_shown(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(env_file)
    assert settings.database_url == SECRETS["DATABASE_URL"]
    assert settings.fmp_api_key is not None
    assert settings.fmp_api_key.get_secret_value() == "geheim-3"
    for shown in (repr(settings), str(settings), f"{settings.fmp_api_key} {settings.anthropic_api_key}"):
        assert "geheim" not in shown


def test_no_refusal_repeats_a_secret(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QUORUM_START_EQUITY", "geheim-5")
    assert "geheim" not in refusal(env_file)
    monkeypatch.delenv("QUORUM_START_EQUITY")
    monkeypatch.setenv("QUORUM_ANTHROPIC_API_KEY", "geheim-6")
    assert "geheim" not in refusal(env_file)


def test_settings_do_not_change_under_way(env_file: Path) -> None:
    settings = load_settings(env_file)
    with pytest.raises(ValueError, match="frozen"):
        settings.start_equity = Decimal(1)  # type: ignore[misc]


def test_text_is_kept_long_enough_and_removed_only_where_a_backup_is_made(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORUM_RETENTION__LLM_TEXT_DAYS", "")
    assert not load_settings(env_file).retention.removes
    monkeypatch.setenv("QUORUM_RETENTION__LLM_TEXT_DAYS", "7")
    assert "QUORUM_RETENTION__LLM_TEXT_DAYS is refused" in refusal(env_file)
    monkeypatch.setenv("QUORUM_RETENTION__LLM_TEXT_DAYS", "90")
    assert load_settings(env_file).retention.removes
    monkeypatch.setenv("QUORUM_BACKUP__NIGHTLY", "false")
    assert refusal(env_file).startswith(
        "QUORUM_RETENTION is refused: Value error, text is removed only after"
    )


# -- .env.example --------------------------------------------------------------------------------------------


def test_the_example_in_the_repository_is_the_one_the_settings_write() -> None:
    assert (ROOT / ".env.example").read_text() == env_example()


def test_the_example_copied_and_uncommented_sets_the_defaults(env_file: Path) -> None:
    lines = env_example().splitlines()
    env_file.write_text("\n".join(line.removeprefix("#") for line in lines if not line.startswith("# ")))
    assert load_settings(env_file) == load_settings(ROOT / "nowhere")
    names = [line.partition("=")[0] for line in env_file.read_text().splitlines() if line]
    assert set(SECRETS) < set(names)
    assert len(names) == len(set(names)) > 20


def test_the_example_as_it_is_sets_nothing(env_file: Path) -> None:
    env_file.write_text(env_example())
    assert load_settings(env_file) == load_settings(ROOT / "nowhere")


def test_each_setting_in_the_example_has_its_meaning_above_it() -> None:
    blocks = env_example().split("\n\n")[1:]
    for block in blocks:
        meaning, setting = block.splitlines()
        assert meaning.startswith("# ")
        assert len(meaning) > 20
        assert setting.startswith("#")
    assert any(
        block
        == "# Most that one trade may lose at its stop, fraction of equity, more than 0, at most 0.0075\n"
        "#QUORUM_LIMITS__RISK_PER_TRADE=0.005"
        for block in blocks
    )


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description or hasattr(field.annotation, "model_fields"), name
