"""Settings from the environment and `.env`: read once, checked whole, handed on as each room's own config."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from dotenv import dotenv_values
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agents.trading.costs import Costs
from agents.trading.limits import Limits
from agents.trading.screener import ScreenRules
from agents.trading.setups import OversoldBounceParameters
from storage.errors import OperatorError

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "QUORUM_"


def default_home() -> Path:
    """Where everything but the environment lives: /var/lib/quorum for root, else below the user's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/quorum")
    return Path.home() / ".local/share/quorum"


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

    home: Path = Field(default_factory=default_home, description="Folder for databases and imported packs")
    database_url: str | None = Field(
        None, validation_alias="DATABASE_URL", description="A PostgreSQL server instead of the embedded one"
    )
    fmp_api_key: SecretStr | None = Field(
        None, validation_alias="FMP_API_KEY", description="Financial Modeling Prep key of a live desk"
    )
    anthropic_api_key: SecretStr | None = Field(
        None, validation_alias="ANTHROPIC_API_KEY", description="Claude key of a live desk"
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
    oversold_bounce: OversoldBounceParameters = OversoldBounceParameters()

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

    @property
    def library(self) -> Path:
        """Imported history packs."""
        return self.home / "history"


def load_settings(env_file: Path = ROOT / ".env") -> Settings:
    """Read and check everything. Raises OperatorError naming the first wrong setting and the remedy."""
    known = dict(_names(Settings))
    for source, names in ((str(env_file), _file_names(env_file)), ("the environment", _own_names())):
        for name in names:
            if name.upper() not in known:
                raise _unknown(name, source, list(known))
    try:
        return Settings(_env_file=env_file)
    except ValidationError as invalid:
        raise _refused(invalid) from invalid


def _names(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, str]]:
    """Every environment name a model takes, with its description."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        own = alias if isinstance(alias, str) else f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{own}__")
        else:
            yield own, field.description or ""


def _file_names(env_file: Path) -> list[str]:
    try:
        return list(dotenv_values(env_file, encoding="utf-8")) if env_file.exists() else []
    except (OSError, UnicodeDecodeError) as unreadable:
        raise OperatorError(
            f"{env_file} cannot be read ({unreadable})", "make it a UTF-8 file that you may read"
        ) from unreadable


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
    aliased = bool(parts) and parts[0] in ("DATABASE_URL", "FMP_API_KEY", "ANTHROPIC_API_KEY")
    name = "__".join(parts) if aliased else PREFIX + "__".join(parts)
    return OperatorError(f"{name} is refused: {first['msg']}", "correct it in the environment or in .env")
