"""The learning loop's pure core: what may be changed, what history says about a change, and how it is watched.

No database, no clock, no model here: records in, frozen records out. Nothing of it trades or widens a limit."""
