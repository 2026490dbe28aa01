"""The declarative base and the column types all tables share."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from sqlalchemy import DateTime, Enum, MetaData, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from storage.records import uuid7

Json = dict[str, object]
JsonRows = list[dict[str, object]]

Id = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
Money = Annotated[Decimal, mapped_column(Numeric(18, 2))]
Price = Annotated[Decimal, mapped_column(Numeric(18, 4))]
Usd = Annotated[Decimal, mapped_column(Numeric(14, 8))]  # model prices go far below a cent
Score = Annotated[Decimal, mapped_column(Numeric(5, 2))]  # 0-100
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {Json: JSONB, JsonRows: JSONB}  # noqa: RUF012 - SQLAlchemy reads it from the class


def choice(values: type[StrEnum], name: str) -> Enum:
    """A VARCHAR with a named CHECK, so that a later value is one migration and no ALTER TYPE."""
    return Enum(
        values,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=24,
        values_callable=lambda kind: [member.value for member in kind],
    )
