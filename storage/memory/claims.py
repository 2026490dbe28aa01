"""Claims of the nights: what stands, what has taken its place, which decisions it stood beside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from storage.memory.part import Part
from storage.models import ClaimLink, ClaimRow
from storage.models.base import Json

REMEMBERED = timedelta(days=7)  # a claim that ended, so that an evening done again finds it


@dataclass(frozen=True, kw_only=True)
class StoredClaim:
    """A claim as it is kept: filter and statistics as JSON of the records that agents/learning defines."""

    id: UUID
    filter: Json
    trade_ids: tuple[UUID, ...]
    statistics: Json
    sentence: str
    made: date
    expires: date


class ClaimMemory(Part):
    async def store_claims(self, claims: Sequence[StoredClaim], *, session: date, now: datetime) -> int:
        """Keep what a night claims; how many are new.

        A claim that stands from other trades by the same filter is superseded; one from the very same trades
        stays as it is, so that it is forgotten in its time.
        """
        standing = await self._session.scalars(
            select(ClaimRow).where(ClaimRow.superseded.is_(None), ClaimRow.expires > session)
        )
        by_filter = {_key(row.filter): row for row in standing}
        fresh = []
        for one in claims:
            old = by_filter.get(_key(one.filter))
            if old is not None and set(old.trade_ids) == set(one.trade_ids):
                continue
            if old is not None:
                old.superseded = session
            fresh.append(one)
        self._session.add_all(
            ClaimRow(
                id=one.id,
                filter=one.filter,
                trade_ids=list(one.trade_ids),
                statistics=one.statistics,
                sentence=one.sentence,
                made=one.made,
                expires=one.expires,
                created_at=now,
            )
            for one in fresh
        )
        return len(fresh)

    async def forget_claims(self, session: date) -> int:
        """Drop claims that ended a week and more ago and stood beside no decision; how many."""
        linked = select(ClaimLink.claim_id).where(ClaimLink.claim_id == ClaimRow.id).exists()
        ended = func.coalesce(ClaimRow.superseded, ClaimRow.expires)
        done = await self._session.execute(
            delete(ClaimRow).where(ended < session - REMEMBERED, ~linked).returning(ClaimRow.id)
        )
        return len(done.all())

    async def claims_on(self, session: date) -> Sequence[StoredClaim]:
        """What the desk believes on a session: claims of nights before it that stood when it began."""
        rows = await self._session.scalars(
            select(ClaimRow)
            .where(
                ClaimRow.made < session,
                ClaimRow.expires > session,
                or_(ClaimRow.superseded.is_(None), ClaimRow.superseded >= session),
            )
            .order_by(ClaimRow.sentence, ClaimRow.id)
        )
        return [
            StoredClaim(
                id=row.id,
                filter=row.filter,
                trade_ids=tuple(row.trade_ids),
                statistics=row.statistics,
                sentence=row.sentence,
                made=row.made,
                expires=row.expires,
            )
            for row in rows
        ]

    async def link_claims(self, links: Iterable[tuple[UUID, UUID]]) -> None:
        """Keep which claim spoke of which deliberation, as pairs of their ids."""
        values = [{"claim_id": claim, "deliberation_id": argued} for claim, argued in links]
        if values:
            await self._session.execute(insert(ClaimLink).on_conflict_do_nothing(), values)


def _key(wanted: Json) -> str:
    """The same for the same filter, however its fields are ordered."""
    return json.dumps(wanted, sort_keys=True)
