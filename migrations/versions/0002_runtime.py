"""The runtime: leadership, workers, schedule, agent states, operations, and the job queue.

The queue is procrastinate's own schema, in a PostgreSQL schema of its own; pyproject.toml pins the version it
is of. A newer one comes with a migration of ours that runs its migration scripts.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CHECKS = {  # the words of two columns, before and after
    "slot": (
        ("cutoff", "open", "settle", "regime", "screen", "deliberate", "digest"),
        (
            "corporate_actions",
            "news",
            "recheck",
            "cutoff",
            "open",
            "mark_noon",
            "mark_late",
            "settle",
            "regime",
            "screen",
            "deliberate",
            "digest",
            "settle_evening",
            "learn",
            "housekeeping",
            "settle_morning",
        ),
    ),
    "state": (("done", "skipped"), ("queued", "running", "done", "skipped", "failed")),
}

# procrastinate announces a job when it is inserted. The next of its lane, and one that is given back, would
# wait until a worker happens to look again.
NEXT_OF_LANE = """
    create function announce_next_of_lane() returns trigger language plpgsql as $$
    declare
        next record;
    begin
        select id, queue_name into next from procrastinate.procrastinate_jobs
         where status = 'todo' and (lock = new.lock or id = new.id)
         order by priority desc, id limit 1;
        if found then
            perform pg_notify('procrastinate_queue_v1#' || next.queue_name,
                              json_build_object('type', 'job_inserted', 'job_id', next.id)::text);
        end if;
        return new;
    end;
    $$;
    create trigger announce_next_of_lane after update of status on procrastinate_jobs
       for each row when (old.status = 'doing' and new.status <> 'doing')
       execute function announce_next_of_lane();
"""


def upgrade() -> None:
    op.create_table(
        "agent_states",
        sa.Column(
            "agent_name",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="agent_name",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("symbol", sa.String(), nullable=True),
        sa.Column("working_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_agent_states")),
    )
    op.create_table(
        "leadership",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stops", sa.Integer(), server_default="0", nullable=False),
        sa.Column("stop_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_asked_by", sa.String(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_leadership_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leadership")),
        sa.UniqueConstraint("epoch", name=op.f("uq_leadership_epoch")),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "led",
                "stepped_down",
                "caught_up",
                "rescued",
                "stop",
                "pause",
                "resume",
                "run_now",
                "fault",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_table(
        "schedule",
        sa.Column(
            "slot",
            sa.Enum(
                "corporate_actions",
                "news",
                "recheck",
                "cutoff",
                "open",
                "mark_noon",
                "mark_late",
                "settle",
                "regime",
                "screen",
                "deliberate",
                "digest",
                "settle_evening",
                "learn",
                "housekeeping",
                "settle_morning",
                name="slot",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("agents", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lacks", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_schedule")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.add_column("desk", sa.Column("clock_speed", sa.Double(), server_default="1", nullable=False))
    op.add_column("desk", sa.Column("clock_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("desk", sa.Column("clock_anchor", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("desk", "last_session", existing_type=sa.DATE(), nullable=True)
    op.alter_column("desk", "sessions_total", existing_type=sa.INTEGER(), nullable=True)
    op.add_column("runs", sa.Column("late_s", sa.Double(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
    op.add_column("runs", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("worker", sa.String(), server_default="", nullable=False))
    op.add_column("runs", sa.Column("epoch", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("asked_by", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("runs", "seconds", existing_type=sa.DOUBLE_PRECISION(precision=53), nullable=True)
    op.alter_column("runs", "finished_at", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=True)
    op.create_index("ix_runs_slot_desk_time", "runs", ["slot", "desk_time"])
    unfinished = sa.text("state in ('queued', 'running')")
    op.create_index("ix_runs_unfinished", "runs", ["desk_time"], postgresql_where=unfinished)
    _check_runs(1)
    op.execute("create schema procrastinate")
    op.execute("set local search_path = procrastinate, public")
    # Through the driver: its own percent signs must not be taken for parameters.
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.execute(NEXT_OF_LANE)
    op.execute("set local search_path to default")


def downgrade() -> None:
    op.drop_index("ix_runs_unfinished", table_name="runs")
    op.drop_index("ix_runs_slot_desk_time", table_name="runs")
    op.execute("drop schema procrastinate cascade")
    # What the older schema cannot hold: unfinished runs, slots it does not know, a desk without an end.
    op.execute("delete from runs where finished_at is null or seconds is null or state = 'failed'")
    known = ", ".join(f"'{word}'" for word in CHECKS["slot"][0])
    op.execute(f"delete from runs where slot not in ({known})")  # noqa: S608 - our own words
    op.execute("update desk set last_session = first_session where last_session is null")
    op.execute("update desk set sessions_total = 0 where sessions_total is null")
    _check_runs(0)
    op.alter_column("runs", "finished_at", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=False)
    op.alter_column("runs", "seconds", existing_type=sa.DOUBLE_PRECISION(precision=53), nullable=False)
    op.drop_column("runs", "started_at")
    op.drop_column("runs", "queued_at")
    op.drop_column("runs", "asked_at")
    op.drop_column("runs", "asked_by")
    op.drop_column("runs", "epoch")
    op.drop_column("runs", "worker")
    op.drop_column("runs", "failures")
    op.drop_column("runs", "attempts")
    op.drop_column("runs", "late_s")
    op.alter_column("desk", "sessions_total", existing_type=sa.INTEGER(), nullable=False)
    op.alter_column("desk", "last_session", existing_type=sa.DATE(), nullable=False)
    op.drop_column("desk", "clock_anchor")
    op.drop_column("desk", "clock_from")
    op.drop_column("desk", "clock_speed")
    op.drop_table("workers")
    op.drop_table("schedule")
    op.drop_table("operations")
    op.drop_table("leadership")
    op.drop_table("agent_states")


def _check_runs(age: int) -> None:
    for column, words in CHECKS.items():
        op.drop_constraint(op.f(f"ck_runs_{column}"), "runs")
        allowed = ", ".join(f"'{word}'" for word in words[age])
        op.create_check_constraint(op.f(f"ck_runs_{column}"), "runs", f"{column} in ({allowed})")
