"""The pure core of the learning loop: what may be changed, what history says of a change, how it is watched.

No database, no clock, no model: records in, frozen records out. Nothing here trades or widens a limit."""
