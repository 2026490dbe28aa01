"""Migrations: to the newest schema from anywhere, by anyone, and back; or a refusal that changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from storage import schema
from storage.embedded import EmbeddedServer
from storage.errors import OperatorError
from storage.models import Base
from storage.server import EmbeddedDatabases
from tests.storage.desk_builder import execute, scalar

ROOT = Path(__file__).resolve().parents[2]
NEWEST = schema.known_revisions()[-1]

DUMP = """
    select 'column', table_name, column_name, data_type, is_nullable, column_default, numeric_precision::text,
           numeric_scale::text, character_maximum_length::text, udt_name
      from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'
    union all
    select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype::text,
           null, null, null, null, null
      from pg_constraint where connamespace = 'public'::regnamespace
       and conrelid::regclass::text <> 'alembic_version'
    union all
    select 'index', tablename, indexname, indexdef, null, null, null, null, null, null
      from pg_indexes where schemaname = 'public' and tablename <> 'alembic_version'
    union all
    select 'type', typname, typtype::text, null, null, null, null, null, null, null
      from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
    order by 1, 2, 3, 4
"""


def dump(conninfo: str) -> list[tuple[object, ...]]:
    """Everything the migrations made, down to each constraint and index."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(DUMP).fetchall()


@pytest.fixture
def bare(databases: EmbeddedDatabases) -> Iterator[str]:
    """The connection string of a database no migration has seen."""
    name = f"bare_{uuid4().hex[:12]}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield databases.conninfo(name)
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def migrate(conninfo: str, action: str, *target: str) -> None:
    """An alembic command over a connection of ours."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    configuration: Config = schema.alembic_config()
    with engine.connect() as connection:
        configuration.attributes["connection"] = connection
        getattr(command, action)(configuration, *target)


def test_an_empty_database_is_brought_to_the_newest_schema_and_then_left_alone(bare: str) -> None:
    assert schema.current_revision(bare) is None
    schema.upgrade(bare)
    assert schema.current_revision(bare) == NEWEST
    made = dump(bare)
    assert {row[1] for row in made if row[0] == "column"} == set(Base.metadata.tables)
    before = scalar(bare, "select xmin::text from alembic_version")
    schema.upgrade(bare)
    assert dump(bare) == made
    assert scalar(bare, "select xmin::text from alembic_version") == before


def test_the_models_and_the_migrations_agree(database: str) -> None:
    migrate(database, "check")


def test_every_rule_of_the_models_has_reached_the_database(database: str) -> None:
    tables = Base.metadata.tables.values()
    named = {str(rule.name) for table in tables for rule in table.constraints}
    named |= {str(index.name) for table in tables for index in table.indexes}
    there = {str(row[2]) for row in dump(database) if row[0] in ("constraint", "index")}
    assert named <= there


def test_up_down_and_up_again_give_the_same_schema(database: str) -> None:
    made = dump(database)
    migrate(database, "downgrade", "base")
    assert dump(database) == []
    assert schema.current_revision(database) is None
    migrate(database, "upgrade", "head")
    assert dump(database) == made
    assert len(made) > 200


def test_a_database_of_a_newer_version_is_named_and_not_touched(database: str) -> None:
    execute(database, "update alembic_version set version_num = '9999'")
    execute(database, "create table of_the_future (id int)")
    before = dump(database)
    with pytest.raises(OperatorError, match="schema 9999, newer than this Quorum knows") as refused:
        schema.upgrade(database)
    assert "update Quorum" in refused.value.remedy
    assert schema.current_revision(database) == "9999"
    assert dump(database) == before


def test_four_starters_at_once_all_find_the_schema(bare: str) -> None:
    program = "import sys; from storage import schema; schema.upgrade(sys.argv[1])"
    started = [
        subprocess.Popen([sys.executable, "-c", program, bare], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [(process.communicate(timeout=30)[1], process.returncode) for process in started]
    assert ends == [("", 0)] * 4
    assert schema.current_revision(bare) == NEWEST
    assert scalar(bare, "select count(*) from alembic_version") == 1


def test_a_migration_that_fails_leaves_nothing_behind(bare: str) -> None:
    execute(bare, "create table votes (surprise int)")
    with pytest.raises(Exception, match="votes"):
        schema.upgrade(bare)
    tables = "select array_agg(table_name::text) from information_schema.tables where table_schema = 'public'"
    assert scalar(bare, tables) == ["votes"]


def test_revisions_form_one_line_in_the_order_of_their_numbers() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(schema.alembic_config())
    assert [one.revision for one in script.walk_revisions()][::-1] == schema.known_revisions()
    assert script.get_heads() == [NEWEST]


def test_alembic_itself_goes_up_down_and_up_from_the_shell(shared_home: Path) -> None:
    home = shared_home / "shell"
    home.mkdir(mode=0o755)
    environment = os.environ | {"QUORUM_HOME": str(home)}

    def alembic(*arguments: str) -> list[tuple[object, ...]]:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dump(databases.conninfo("quorum_paper"))

    with EmbeddedServer(home, durable=False) as server:
        databases = EmbeddedDatabases(server)
        made = alembic("upgrade", "head")
        assert len(made) > 200
        assert alembic("downgrade", "base") == []
        assert alembic("upgrade", "head") == made
