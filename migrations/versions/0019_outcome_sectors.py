"""outcome sectors: a closed trade keeps the sector its company was in then; rows from before take today's"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | Sequence[str] | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("trade_outcomes", sa.Column("sector", sa.String(), nullable=True))
    op.execute(
        "update trade_outcomes t set sector = i.sector from instruments i where i.symbol = t.symbol"
        " and i.sector is not null"
    )


def downgrade() -> None:
    op.drop_column("trade_outcomes", "sector")
