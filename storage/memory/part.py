"""What every part of the memory is: methods over one database session."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession


class Part:
    """Reads and writes within the transaction of the session it is handed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
