"""One file per agent: the rules each follows when no model answers, behind the contract of `agents.base`.

No agent sizes a trade, opens a connection or sees what another agent of the same round said."""
