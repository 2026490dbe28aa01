"""Settings from the environment and `.env`: read once, checked whole, handed on as each room's own config."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from agents.consensus import ConsensusRules
from agents.llm.models import ModelSettings
from agents.market.fmp.config import LOOPBACK, FMPConfig
from agents.market.news.config import NewsConfig
from agents.market.quota import FmpQuota
from agents.market.volatility_config import VolatilityConfig
from agents.trading.costs import Costs
from agents.trading.limits import Limits, Protections
from agents.trading.policy import RegimePolicy
from agents.trading.screener import ScreenRules
from agents.trading.setups import Setups
from storage.backup import BackupSettings
from storage.errors import OperatorError
from storage.notices import NotifySettings
from storage.retention import RetentionSettings

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "QUORUM_"
BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
EXAMPLE_HEAD = """\
# Every setting of Quorum with its default, written by env_example() in app/settings.py.
# Copy this file to .env and take the # away from what you change. The environment wins over .env."""


def default_home() -> Path:
    """Where everything but the environment lives: /var/lib/quorum for root, else below the user's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/quorum")
    return Path.home() / ".local/share/quorum"


class RehearsalSettings(BaseModel):
    """A test of the whole runtime: its clock accelerated, its market a history pack or a stand-in of FMP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: str | None = Field(
        None,
        description="History pack over which `quorum run --desk NAME` rehearses with an accelerated clock; "
        "for tests, unset on a desk that trades the present",
    )
    first: date | None = Field(
        None,
        description="First session of the rehearsal, as YYYY-MM-DD; without a history FMP_BASE_URL must be "
        "on this machine: the vendor's own day does not run faster",
    )
    speed: float = Field(300.0, ge=1, le=3600, description="Rehearsed seconds a second")
    models: bool = Field(
        False,
        description="Whether a HISTORY desk may ask models, which costs money; for tests against a stand-in "
        "at ANTHROPIC_BASE_URL, since a model knows how history went on",
    )


class Settings(BaseSettings):
    """Every setting, by its environment name; those of a group are written QUORUM_GROUP__NAME."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        env_file_encoding="utf-8",
    )

    home: Path = Field(
        default_factory=default_home,
        description="Folder for databases and imported packs; without it /var/lib/quorum for root, "
        "else ~/.local/share/quorum",
    )
    database_url: str | None = Field(
        None,
        validation_alias="DATABASE_URL",
        repr=False,  # it may hold a password
        description="A PostgreSQL server instead of the embedded one, "
        "as postgresql://user:password@host:5432/database",
    )
    postgres_password: SecretStr | None = Field(
        None,
        validation_alias="POSTGRES_PASSWORD",
        description="Read by docker compose alone: the password of the database it starts, "
        "in characters that may stand in a URL",
    )
    fmp_api_key: SecretStr | None = Field(
        None, validation_alias="FMP_API_KEY", description="Financial Modeling Prep key of a live desk"
    )
    fmp_base_url: str = Field(
        FMPConfig.model_fields["base_url"].default,
        validation_alias="FMP_BASE_URL",
        description="Address below which FMP's endpoints lie; https, or http on this machine",
    )
    cboe_vix_url: str = Field(
        VolatilityConfig.model_fields["cboe_url"].default,
        validation_alias="CBOE_VIX_URL",
        description="Cboe's public file of daily VIX prices",
    )
    fred_vix_url: str = Field(
        VolatilityConfig.model_fields["fred_url"].default,
        validation_alias="FRED_VIX_URL",
        description="FRED's public file of daily VIX closes, for when Cboe's is not there",
    )
    anthropic_api_key: SecretStr | None = Field(
        None, validation_alias="ANTHROPIC_API_KEY", description="Claude key of a live desk"
    )
    anthropic_base_url: str | None = Field(
        None,
        validation_alias="ANTHROPIC_BASE_URL",
        repr=False,  # it may hold a password
        description="Another server that speaks Claude's Messages API, without /v1 at its end",
    )
    agent_orchestrator_enabled: bool = Field(
        True,
        validation_alias="AGENT_ORCHESTRATOR_ENABLED",
        description="Whether the clock calls the agents; when false a runtime keeps the book, its data, "
        "exits, protection and halts, but no agent reads news, argues or learns, the clock asks no model, "
        "and no console starts a runtime; the same on every machine that works for the desk",
    )
    start_equity: Decimal = Field(
        Decimal("100000.00"),
        gt=0,
        le=Decimal("1e9"),
        decimal_places=2,
        description="Dollars a new desk begins with",
    )
    limits: Limits = Limits()
    costs: Costs = Costs()
    screen: ScreenRules = ScreenRules()
    setups: Setups = Setups()
    regime_policy: RegimePolicy = RegimePolicy()
    protections: Protections = Protections()
    consensus: ConsensusRules = ConsensusRules()
    fmp: FmpQuota = FmpQuota()
    llm: ModelSettings = ModelSettings()
    news: NewsConfig = NewsConfig()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()
    notify: NotifySettings = NotifySettings()
    rehearsal: RehearsalSettings = RehearsalSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over `.env`; nothing else is read."""
        return env_settings, dotenv_settings

    @field_validator("home")
    @classmethod
    def _home_in_full(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("retention")
    @classmethod
    def _backed_up_before(cls, retention: RetentionSettings, info: ValidationInfo) -> RetentionSettings:
        backup = info.data.get("backup")
        if retention.removes and backup is not None and not backup.nightly:
            raise ValueError("text is removed only after a nightly backup, and QUORUM_BACKUP__NIGHTLY is off")
        return retention

    @field_validator("fmp_base_url")
    @classmethod
    def _keeps_the_key_private(cls, url: str) -> str:
        return FMPConfig(base_url=url).base_url

    @field_validator("cboe_vix_url", "fred_vix_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            raise ValueError("expected an https address, or http on this machine")
        return url

    @property
    def volatility(self) -> VolatilityConfig:
        """Where the volatility index is read."""
        return VolatilityConfig(cboe_url=self.cboe_vix_url, fred_url=self.fred_vix_url)

    @property
    def library(self) -> Path:
        """Imported history packs."""
        return self.home / "history"


def load_settings(env_file: Path = ROOT / ".env") -> Settings:
    """Read and check everything. Raises OperatorError naming the first wrong setting and the remedy."""
    known = dict(_fields(Settings))
    for source, names in ((str(env_file), _file_names(env_file)), ("the environment", _own_names())):
        for name in names:
            if name.upper() not in known:
                raise _unknown(name, source, list(known))
    try:
        return Settings(_env_file=env_file)
    except ValidationError as invalid:
        raise _refused(invalid) from invalid
    except SettingsError as unread:  # of all settings one takes JSON
        raise OperatorError(
            "QUORUM_LLM__PRICES is refused: it is no JSON", "correct it in the environment or in .env"
        ) from unread


def env_example() -> str:
    """The text of `.env.example`: each setting's meaning, unit, bounds and default."""
    blocks = [EXAMPLE_HEAD]
    for name, field in _fields(Settings):
        default = "" if field.default in (None, PydanticUndefined) else field.default
        if isinstance(default, tuple):  # read back as JSON
            default = json.dumps(default)
        meaning = ", ".join([field.description or "", *_bounds(field)])
        blocks.append(f"# {meaning}\n#{name}={default}")
    return "\n\n".join(blocks) + "\n"


def _bounds(field: FieldInfo) -> Iterator[str]:
    """What a value must keep to, in words."""
    for constraint in field.metadata:
        for attribute, words in BOUNDS.items():
            bound = getattr(constraint, attribute, None)
            if bound is not None:
                yield f"{words} {float(bound):,.15g}"


def _fields(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """Every environment name a model takes, with its field."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        own = alias if isinstance(alias, str) else f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{own}__")
        else:
            yield own, field


def _file_names(env_file: Path) -> list[str]:
    """The names a `.env` sets. A line that is none would be passed over, and with it perhaps a limit."""
    try:
        text = env_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as unreadable:
        raise OperatorError(
            f"{env_file} cannot be read ({unreadable})", "make it a UTF-8 file that you may read"
        ) from unreadable
    lines = list(parse_stream(StringIO(text)))
    for line in lines:
        if line.error:
            raise OperatorError(
                f"{env_file} line {line.original.line} is no setting", "write it as NAME=value"
            )
    return [line.key for line in lines if line.key]


def _own_names() -> list[str]:
    """What in the environment claims to be ours. Other programs' variables are not our business."""
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX))


def _unknown(name: str, source: str, known: list[str]) -> OperatorError:
    nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.6)
    remedy = f"did you mean {nearest[0]}?" if nearest else ".env.example lists every setting"
    what = "limit" if name.upper().startswith(f"{PREFIX}LIMITS__") else "setting"
    return OperatorError(f"unknown {what} {name} in {source}", remedy)


def _refused(invalid: ValidationError) -> OperatorError:
    first = invalid.errors(include_url=False)[0]
    parts = [str(part).upper() for part in first["loc"]]
    name = "__".join(parts)
    if name not in dict(_fields(Settings)):
        name = PREFIX + name
    return OperatorError(f"{name} is refused: {first['msg']}", "correct it in the environment or in .env")
