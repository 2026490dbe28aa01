"""Market facts as of a session: calendar, clock, bars, indicators and history packs.

Nothing here decides anything or writes to the database."""
