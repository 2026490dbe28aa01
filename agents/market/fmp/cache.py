"""Answers that are kept, and values that say how old they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from storage.calls import CachedAnswer

T = TypeVar("T")
U = TypeVar("U")


class CacheStore(Protocol):
    """Where answers are kept across processes and restarts."""

    async def get(self, endpoint: str, symbol: str, params: str) -> CachedAnswer | None:
        """The answer kept under these three, expired or not; None when there is none."""

    async def put(self, answer: CachedAnswer) -> None:
        """Keep the answer in place of the one before."""


@dataclass(frozen=True, kw_only=True)
class Aged(Generic[T]):
    """A value and where it is from.

    `as_of` is when it was true in the market: the trade of a quote, the close of the newest bar; for the rest
    when it was fetched. `stale` says that it is past its lifetime, and `note` why nothing newer is there.
    """

    value: T
    as_of: datetime
    fetched_at: datetime
    stale: bool
    from_cache: bool
    source: str
    note: str = ""

    def map(self, change: Callable[[T], U]) -> Aged[U]:
        """The same age and source of another value made of this one."""
        return Aged(
            value=change(self.value),
            as_of=self.as_of,
            fetched_at=self.fetched_at,
            stale=self.stale,
            from_cache=self.from_cache,
            source=self.source,
            note=self.note,
        )

    def at(self, as_of: datetime) -> Aged[T]:
        """The same, true as of another instant."""
        return replace(self, as_of=as_of)

    def noted(self, note: str) -> Aged[T]:
        """The same with one more note."""
        return replace(self, note=f"{self.note}; {note}" if self.note else note)

    def past(self, note: str) -> Aged[T]:
        """The same, but stale, and why."""
        return replace(self.noted(note), stale=True)
