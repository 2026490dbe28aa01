"""Bring a desk's database to this version's schema, or say why it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from storage.errors import OperatorError

if TYPE_CHECKING:
    from alembic.config import Config

ROOT = Path(__file__).resolve().parents[1]
# The advisory lock every migration takes, so that starters who collide take turns.
MIGRATION_LOCK = 0x51554F52


def known_revisions() -> list[str]:
    """The revisions of this version, oldest first, read from the file names (0001_..., 0002_...)."""
    return sorted(path.name.split("_")[0] for path in (ROOT / "migrations/versions").glob("[0-9]*.py"))


def current_revision(conninfo: str) -> str | None:
    """The revision a database stands at; None before its first migration."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def require_newest(conninfo: str) -> None:
    """Raises OperatorError when the database stands at another revision than this version's."""
    current, newest = current_revision(conninfo), known_revisions()[-1]
    if current != newest:
        raise OperatorError(
            f"the database is at schema {current or 'none'}, this Quorum works with {newest}",
            "start its runtime first: quorum run",
        )


def upgrade(conninfo: str) -> None:
    """Migrate to the newest revision; does nothing, and imports nothing heavy, when already there.

    Raises OperatorError for a database made by a newer version and where pgvector cannot be had.
    """
    revisions = known_revisions()
    current = current_revision(conninfo)
    if current == revisions[-1]:
        return
    if current is not None and current not in revisions:
        raise OperatorError(
            f"the database is at schema {current}, newer than this Quorum knows ({revisions[-1]})",
            "update Quorum, or use another QUORUM_HOME or desk; nothing was changed",
        )
    # alembic costs most of a second: only a database that must be migrated pays for it.
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    configuration = alembic_config()
    try:
        with engine.connect() as connection:
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
    except DBAPIError as failed:
        if "vector" in str(failed.orig) and isinstance(failed.orig, psycopg.errors.InsufficientPrivilege):
            raise OperatorError(
                "the database user may not load pgvector",
                "let an administrator of the server run, once: "
                f"for db in template1 {conninfo_to_dict(conninfo)['dbname']}; "
                "do psql $db -c 'create extension vector'; done",
            ) from failed
        if "vector" in str(failed.orig):
            raise OperatorError(
                f"the database server cannot load pgvector: {failed.orig}".splitlines()[0],
                "install the pgvector extension for it, or unset DATABASE_URL to use the embedded server",
            ) from failed
        raise
    finally:
        engine.dispose()


def downgrade(conninfo: str, revision: str) -> None:
    """Migrate back to an earlier revision, or to `base`; what later ones added is lost.

    Raises OperatorError for a revision that is none of this version's, or is a later one.
    """
    revisions = known_revisions()
    current = current_revision(conninfo)
    if current not in revisions or revision not in ("base", *revisions[: revisions.index(current) + 1]):
        raise OperatorError(
            f"the database at schema {current or 'none'} cannot go back to {revision}",
            f"name one of base, {', '.join(revisions)} that comes before; nothing was changed",
        )
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    configuration = alembic_config()
    try:
        with engine.connect() as connection:
            configuration.attributes["connection"] = connection
            command.downgrade(configuration, revision)
    finally:
        engine.dispose()


def alembic_config() -> Config:
    """Alembic as configured in pyproject.toml."""
    from alembic.config import Config

    return Config(toml_file=str(ROOT / "pyproject.toml"))
