"""broker: the paper broker's own book, what protects a position, differences, what humans ask of positions

A desk that holds something already gets a paper account that holds the same; its protections are sent by the
first step that looks. The way back forgets the paper account: the desk's own book has all it came to.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
PRICE, MONEY = sa.Numeric(18, 4), sa.Numeric(18, 2)
EXITS = (
    *("stop_loss", "take_profit", "time_exit", "trailing_stop", "manual", "circuit_breaker"),
    *("regime_change", "corporate_action", "earnings"),
)
KINDS = ("limit_on_open", "market_on_open", "market_on_close", "protection")
STATES = ("resting", "filled", "expired", "cancelled")
LEGS = ("open", "close", "stop", "target")
TABLES = ("position_requests", "differences")
SIDES = ("buy", "sell")
DIFFERENCES = ("cash", "position", "order", "fill")
ENDINGS = ("open", "gone", "adopted", "corrected", "ignored")
VERBS = ("close", "stop", "adopt")
REQUESTS = ("waiting", "sent", "done", "refused", "undone")

# What fills and actions took and brought so far is what a paper account came to by them.
CARRIED = """
    insert into paper_actions (key, symbol, cash, session)
    select 'carried over', '', coalesce(sum(amount), 0), current_date from cash_events
     where kind not in ('deposit', 'withdrawal', 'interest')
    having count(*) > 0
"""
HELD = """
    insert into paper_holdings (symbol, shares, entry_session, last_close, last_session, met_session)
    select symbol, shares, entry_session, last_close, last_session,
           case when last_session > entry_session then last_session end
      from positions where state = 'open'
"""
# An order that waits for its open waits at the broker too, as large as it was approved.
WAITING = """
    insert into paper_orders (client_order_id, kind, symbol, side, shares, session, limit_price, floor_price,
                              state, placed_at)
    select o.client_order_id, 'limit_on_open', o.symbol, 'buy', o.shares, o.session, a.max_entry, a.min_entry,
           'resting', o.created_at
      from orders o join approvals a on a.id = o.approval_id where o.state = 'resting'
"""


def upgrade() -> None:
    op.add_column(
        "positions",
        sa.Column("stop_reason", sa.String(24), server_default="stop_loss", nullable=False),
    )
    op.create_check_constraint(op.f("ck_positions_stop_reason"), "positions", _one_of("stop_reason", EXITS))
    op.add_column("positions", sa.Column("protected_by", sa.String(), nullable=True))
    op.add_column("positions", sa.Column("protections", sa.Integer(), server_default="0", nullable=False))
    op.add_column("positions", sa.Column("unprotected_since", MOMENT, nullable=True))
    op.execute("update positions set stop_reason = 'regime_change' where stop > initial_stop")
    op.add_column("positions", sa.Column("alarmed_at", MOMENT, nullable=True))
    op.add_column("fills", sa.Column("broker_fill_id", sa.String(), nullable=True))
    op.create_unique_constraint(op.f("uq_fills_broker_fill_id"), "fills", ["broker_fill_id"])
    _orders()
    _fills()
    op.create_table(
        "paper_holdings",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("entry_session", sa.Date(), nullable=False),
        sa.Column("last_close", PRICE, nullable=False),
        sa.Column("last_session", sa.Date(), nullable=False),
        sa.Column("met_session", sa.Date(), nullable=True),
        sa.CheckConstraint("shares > 0", name=op.f("ck_paper_holdings_shares")),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_paper_holdings")),
    )
    op.create_table(
        "paper_actions",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("cash", MONEY, nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_paper_actions")),
    )
    _differences()
    _requests()
    for table in TABLES:
        for event, when in (("insert or delete", ""), ("update", "when (old.state <> new.state)")):
            op.execute(
                f"create constraint trigger audit_{table}_{event.split()[0]} after {event} on {table}"
                f" deferrable initially deferred for each row {when} execute function audit_note('id')"
            )
    for carry in (CARRIED, HELD, WAITING):
        op.execute(carry)
    _audited("state", "shares", "stop", "target", "protected_by")


def downgrade() -> None:
    _audited("state", "shares", "stop", "target")
    for table in (*TABLES, "paper_actions", "paper_holdings", "paper_fills", "paper_orders"):
        op.drop_table(table)
    op.drop_constraint(op.f("uq_fills_broker_fill_id"), "fills")
    op.drop_column("fills", "broker_fill_id")
    for column in ("alarmed_at", "unprotected_since", "protections", "protected_by"):
        op.drop_column("positions", column)
    op.drop_constraint(op.f("ck_positions_stop_reason"), "positions")
    op.drop_column("positions", "stop_reason")


def _audited(*columns: str) -> None:
    """Which changes of a position the audit tells."""
    when = " or ".join(f"old.{name} is distinct from new.{name}" for name in columns)
    op.execute("drop trigger audit_positions_update on positions")
    op.execute(
        "create constraint trigger audit_positions_update after update on positions"
        f" deferrable initially deferred for each row when ({when}) execute function audit_note('id')"
    )


def _orders() -> None:
    op.create_table(
        "paper_orders",
        sa.Column("client_order_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(24), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("session", sa.Date(), nullable=True),
        sa.Column("limit_price", PRICE, nullable=True),
        sa.Column("floor_price", PRICE, nullable=True),
        sa.Column("write_off", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("position", sa.String(), nullable=True),
        sa.Column("stop", PRICE, nullable=True),
        sa.Column("target", PRICE, nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.CheckConstraint("shares > 0", name=op.f("ck_paper_orders_shares")),
        sa.CheckConstraint("(kind = 'protection') = (session is null)", name=op.f("ck_paper_orders_auction")),
        sa.CheckConstraint(
            "(kind = 'protection') = (stop is not null and target is not null and position is not null)",
            name=op.f("ck_paper_orders_protection"),
        ),
        sa.CheckConstraint(_one_of("kind", KINDS), name=op.f("ck_paper_orders_kind")),
        sa.CheckConstraint(_one_of("side", SIDES), name=op.f("ck_paper_orders_side")),
        sa.CheckConstraint(_one_of("state", STATES), name=op.f("ck_paper_orders_state")),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_paper_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_paper_orders_number")),
    )
    op.create_index(
        "ix_paper_orders_resting", "paper_orders", ["symbol"], postgresql_where=sa.text("state = 'resting'")
    )
    op.create_index("ix_paper_orders_session", "paper_orders", ["session"])


def _fills() -> None:
    op.create_table(
        "paper_fills",
        sa.Column("client_order_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(24), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("price", PRICE, nullable=False),
        sa.Column("reference", PRICE, nullable=False),
        sa.Column("fee", MONEY, nullable=False),
        sa.Column("leg", sa.String(24), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.CheckConstraint("shares > 0 and price > 0", name=op.f("ck_paper_fills_positive")),
        sa.CheckConstraint(_one_of("side", SIDES), name=op.f("ck_paper_fills_side")),
        sa.CheckConstraint(_one_of("leg", LEGS), name=op.f("ck_paper_fills_leg")),
        sa.ForeignKeyConstraint(
            ["client_order_id"],
            ["paper_orders.client_order_id"],
            name=op.f("fk_paper_fills_client_order_id_paper_orders"),
        ),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_paper_fills")),
        sa.UniqueConstraint("number", name=op.f("uq_paper_fills_number")),
    )
    op.create_index("ix_paper_fills_session", "paper_fills", ["session"])


def _differences() -> None:
    op.create_table(
        "differences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("subject", "book", "broker", "gap")),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("said_by", sa.String(), nullable=True),
        sa.Column("said_from", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state in ('open', 'gone')) or said_by is not null", name=op.f("ck_differences_said")
        ),
        sa.CheckConstraint(_one_of("kind", DIFFERENCES), name=op.f("ck_differences_kind")),
        sa.CheckConstraint(_one_of("state", ENDINGS), name=op.f("ck_differences_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
        sa.UniqueConstraint("number", name=op.f("uq_differences_number")),
    )
    op.create_index(
        "uq_differences_open_subject",
        "differences",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )


def _requests() -> None:
    op.create_table(
        "position_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position_id", sa.Uuid(), nullable=False),
        sa.Column("verb", sa.String(24), nullable=False),
        sa.Column("stop", PRICE, nullable=True),
        sa.Column("looser", sa.Boolean(), server_default="false", nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("asked_by", "asked_from", "reason")),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("(verb = 'stop') = (stop is not null)", name=op.f("ck_position_requests_stop")),
        sa.CheckConstraint(_one_of("verb", VERBS), name=op.f("ck_position_requests_verb")),
        sa.CheckConstraint(_one_of("state", REQUESTS), name=op.f("ck_position_requests_state")),
        sa.ForeignKeyConstraint(
            ["position_id"], ["positions.id"], name=op.f("fk_position_requests_position_id_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_position_requests")),
    )
    op.create_index(
        "uq_position_requests_open",
        "position_requests",
        ["position_id", "verb"],
        unique=True,
        postgresql_where=sa.text("state in ('waiting', 'sent')"),
    )


def _one_of(column: str, words: Sequence[str]) -> str:
    return f"{column} in ({', '.join(repr(word) for word in words)})"
