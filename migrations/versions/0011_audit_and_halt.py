"""audit and halt: a chain of everything done with consequence, and stops that only a named human lifts

The chain is written by the database itself, whoever writes to a table it watches. The way back drops it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A deferred trigger fires at commit, so the chain's lock is held for the length of a commit only: a step that
# takes minutes is in nobody's way, and no row lock is taken after it.
APPEND = """
create function audit_append(event text, subject text, subject_id text, told jsonb) returns void
    language plpgsql set timezone = 'UTC' set search_path = public, pg_temp as $$
declare
    last_seq bigint;
    last_hash text;
    now_at timestamptz;
    at_text text;
begin
    perform pg_advisory_xact_lock(1364676437);
    select a.seq, a.hash into last_seq, last_hash from audit_log a order by a.seq desc limit 1;
    last_seq := coalesce(last_seq, 0) + 1;
    last_hash := coalesce(last_hash, repeat('0', 64));
    now_at := clock_timestamp();
    at_text := to_char(now_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    insert into audit_log (seq, at, event, subject, subject_id, payload, prev_hash, hash)
    values (last_seq, now_at, event, subject, subject_id, told::text, last_hash,
            encode(sha256(convert_to(concat_ws(E'\\n', last_hash, last_seq::text, at_text, event, subject,
                                               subject_id, told::text), 'UTF8')), 'hex'));
end $$
"""
NOTE = """
create function audit_note() returns trigger language plpgsql
    set timezone = 'UTC' set search_path = public, pg_temp as $$
declare
    told jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
    subject_id text := told ->> tg_argv[0];
begin
    if tg_op = 'UPDATE' then
        select jsonb_object_agg(n.key, n.value) into told
          from jsonb_each(told) n where n.value is distinct from to_jsonb(old) -> n.key;
    end if;
    if told is not null then
        perform audit_append(lower(tg_op), tg_table_name, subject_id, told);
    end if;
    return null;
end $$
"""
REFUSE = """
create function audit_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is only ever added to' using errcode = 'integrity_constraint_violation';
end $$
"""
# Table, its key, and of an update which columns count; None: every change does.
WATCHED: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
    ("approvals", "id", ("state", "digest", "typed_id", "decided_by", "effective_at", "max_shares", "stop")),
    ("verdicts", "id", None),
    ("orders", "id", None),
    ("fills", "id", None),
    ("cash_events", "id", None),
    ("positions", "id", ("state", "shares", "stop", "target")),
    ("rearms", "id", None),
    ("halts", "id", None),
    ("operations", "id", None),
    ("parameter_versions", "version", None),
    ("strategy_adjustments", "id", ("status", "digest", "new_value", "decided_by", "effective_at")),
    ("desk", "id", ("kind", "name", "verdict_mode", "undo_s", "undo_risky_s", "start_equity")),
)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("operations", sa.Column("origin", sa.String(), server_default="", nullable=False))
    op.create_table(
        "halts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("halted_by", sa.String(), nullable=False),
        sa.Column("halted_from", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("lifted_at", moment, nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_from", sa.String(), nullable=True),
        sa.Column("lift_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(lifted_at is null and lifted_by is null and lift_reason is null)"
            " or (lifted_at is not null and length(lifted_by) > 0 and length(lift_reason) > 0)",
            name=op.f("ck_halts_lifted"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_halts")),
    )
    op.create_index(
        "uq_halts_standing",
        "halts",
        [sa.text("(lifted_at is null)")],
        unique=True,
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
    )
    op.execute(APPEND)
    op.execute(NOTE)
    op.execute(REFUSE)
    op.execute(
        "create trigger audit_log_grows before update or delete on audit_log"
        " for each row execute function audit_refuse()"
    )
    op.execute(
        "create trigger audit_log_stays before truncate on audit_log"
        " for each statement execute function audit_refuse()"
    )
    for table, key, columns in WATCHED:
        op.execute(  # what a desk did before it had a chain is where its chain begins
            f"select audit_append('insert', '{table}', t.{key}::text, to_jsonb(t))"  # noqa: S608 - ours
            f" from {table} t order by t.{key}"
        )
        for event, when in (("insert or delete", ""), ("update", _changed(columns))):
            name = f"audit_{table}_{event.split()[0]}"
            op.execute(
                f"create constraint trigger {name} after {event} on {table}"
                f" deferrable initially deferred for each row {when} execute function audit_note('{key}')"
            )


def downgrade() -> None:
    for table, _, _ in WATCHED:
        for event in ("insert", "update"):
            op.execute(f"drop trigger audit_{table}_{event} on {table}")
    op.drop_table("audit_log")
    op.execute("drop function audit_note()")
    op.execute("drop function audit_append(text, text, text, jsonb)")
    op.execute("drop function audit_refuse()")
    op.drop_table("halts")
    op.drop_column("operations", "origin")


def _changed(columns: tuple[str, ...] | None) -> str:
    """Which updates are told: those that change one of these columns."""
    if columns is None:
        return ""
    return "when (" + " or ".join(f"old.{name} is distinct from new.{name}" for name in columns) + ")"
