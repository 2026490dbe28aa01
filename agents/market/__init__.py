"""Market facts as of a session: calendar, clock, bars, indicators, history packs, the vendor and the news.

Nothing here decides anything or writes to the database."""
