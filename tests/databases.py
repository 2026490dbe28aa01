"""The test server's databases, and desks on it that are copies and need no migration."""

from __future__ import annotations

from functools import cached_property
from uuid import uuid4

import psycopg

from storage import schema
from storage.server import EmbeddedDatabases


class TemplateDatabases(EmbeddedDatabases):
    """The embedded server, with a database at the newest schema to copy: to migrate one takes a second."""

    @cached_property
    def template(self) -> str:
        """The name of a database at the newest schema, to be copied."""
        name = f"template_{uuid4().hex[:8]}"
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        schema.upgrade(self.conninfo(name))
        return name

    def make_desk(self, desk: str) -> None:
        """Make the desk's database at the newest schema, unless it is there: who founds it has less to do."""
        if not self.has_desk(desk):
            try:
                self.copy(self.template, self.desk_database(desk))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another starter was faster

    def keep_as_template(self, desk: str) -> str:
        """Make a founded desk, open nowhere, a database to be copied, which is no desk any more; its name."""
        name = f"kept_{uuid4().hex[:8]}"
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f'alter database "{self.desk_database(desk)}" rename to {name}'.encode())
        return name

    def copy(self, template: str, name: str) -> None:
        """Make the database `name` as a copy of another, to which nobody is connected."""
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f'create database "{name}" template "{template}" strategy file_copy'.encode())

    def drop(self, name: str) -> None:
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f'drop database "{name}" with (force)'.encode())
