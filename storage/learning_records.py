"""What the learning loop and the humans who answer it call things. The standard library alone."""

from __future__ import annotations

from enum import StrEnum

# When a trial ends: E+ and E- of its weeks (agents/learning/evalues.py), and how long it runs without either.
PROMOTE_AT = 40.0  # 4 tests a quarter over an alpha of .10
ROLL_BACK_AT = 5.0
HORIZON_WEEKS = 26
ALARM_AT = 52.0  # of the watch over what is in force: weeks between false alarms, at least


class AdjustmentOutcome(StrEnum):
    IMPROVED = "IMPROVED"
    WORSENED = "WORSENED"
    NEUTRAL = "NEUTRAL"
    PENDING = "PENDING"


class AdjustmentStatus(StrEnum):
    """A proposed change on its way.

    PROPOSED waits for a human, also while it is deferred; APPROVED runs through its undo window; SHADOW is on
    trial beside the champion; PROMOTABLE has won it and waits for a human again; APPLIED is in force.
    """

    PROPOSED = "proposed"
    REFUSED = "refused"  # by code, before anybody was asked
    REJECTED = "rejected"
    APPROVED = "approved"
    SHADOW = "shadow"
    PROMOTABLE = "promotable"
    APPLIED = "applied"
    ROLLED_BACK = "rolled_back"
    EXPIRED = "expired"


class AdjustmentKind(StrEnum):
    """What is changed: a parameter by its dotted name, or the prompt of a role."""

    PARAMETER = "parameter"
    PROMPT = "prompt"


class AdjustmentRoute(StrEnum):
    """Where an approval sends a change."""

    SHADOW = "shadow"
    AT_ONCE = "at_once"  # risky: needs its id typed


class ChangeVerb(StrEnum):
    """What a human can say about a proposed change."""

    SHADOW = "shadow"
    AT_ONCE = "at_once"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNDONE = "undone"
    ROLLED_BACK = "rolled_back"


class LoopStage(StrEnum):
    """The stages of a night of learning, in their order; each is one transaction."""

    MEASURE = "measure"
    ANALYSE = "analyse"
    PROPOSE = "propose"
    EVIDENCE = "evidence"
    STORE = "store"


class ExperimentState(StrEnum):
    """What became of a challenger in the shadow."""

    RUNNING = "running"
    PROMOTABLE = "promotable"
    ROLLED_BACK = "rolled_back"
    EXPIRED = "expired"


class VersionSource(StrEnum):
    """Who put a version of the parameters into force."""

    SETTINGS = "settings"
    LOOP = "loop"  # a change a human approved, or its way back
