"""the live desk's market: the vendor's series, the watchlist, news

The way back forgets them; what the watchlist and the marks said in the log becomes a resume.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
KINDS = (
    "led",
    "stepped_down",
    "caught_up",
    "rescued",
    "stop",
    "pause",
    "resume",
    "run_now",
    "rearm",
    "fault",
    "vendor",
)
NEW = ("watch", "alert")


def upgrade() -> None:
    op.create_table(
        "news_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("published_at", INSTANT, nullable=True),
        sa.Column("fetched_at", INSTANT, nullable=False),
        sa.Column("symbols", sa.ARRAY(sa.String()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_news_items")),
        sa.UniqueConstraint("digest", name=op.f("uq_news_items_digest")),
    )
    op.create_index("ix_news_items_session", "news_items", ["session"], unique=False)
    op.create_table(
        "vendor_series",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("fetched_at", INSTANT, nullable=False),
        sa.Column("sessions", sa.ARRAY(sa.Date()), nullable=False),
        *(
            sa.Column(name, sa.ARRAY(sa.Double()), nullable=False)
            for name in ("open", "high", "low", "close", "volume")
        ),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_vendor_series")),
    )
    op.create_table(
        "watchlist",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("removed_by", sa.String(), nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.CheckConstraint("(removed_at is null) = (removed_by is null)", name=op.f("ck_watchlist_removed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watchlist")),
    )
    op.create_index(
        "uq_watchlist_open",
        "watchlist",
        ["symbol"],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )
    _check_kinds((*KINDS, *NEW))


def downgrade() -> None:
    op.execute("update operations set kind = 'resume' where kind in ('watch', 'alert')")
    _check_kinds(KINDS)
    for table in ("watchlist", "vendor_series", "news_items"):
        op.drop_table(table)


def _check_kinds(words: tuple[str, ...]) -> None:
    name = op.f("ck_operations_kind")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, "operations")
    op.create_check_constraint(name, "operations", f"kind in ({allowed})")
