"""How alembic reaches a desk: over the connection it is handed, or the main desk of the settings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from storage.models import Base
from storage.schema import MIGRATION_LOCK


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        # Held to the end of the migration: of several starters one migrates, the others find it done.
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


def migrate_from_shell() -> None:
    import psycopg

    from app.settings import load_settings
    from storage.server import MAIN_DESK, open_server

    settings = load_settings()
    server = open_server(settings.home, settings.database_url)
    server.create_desk(MAIN_DESK)
    conninfo = server.conninfo(server.desk_database(MAIN_DESK))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    with engine.connect() as connection:
        migrate(connection)
    engine.dispose()


handed: Connection | None = context.config.attributes.get("connection")
if handed is not None:
    migrate(handed)
else:
    migrate_from_shell()
