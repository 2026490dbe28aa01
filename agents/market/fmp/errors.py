"""What the vendor can answer instead of data, each with what it means and what to do."""

from __future__ import annotations

from storage.calls import CallFault
from storage.errors import OperatorError

MEANINGS: dict[CallFault, tuple[str, str]] = {
    CallFault.BAD_REQUEST: ("a parameter it refuses", "this is a fault of the desk; report it"),
    CallFault.INVALID_KEY: ("it does not know the key", "correct FMP_API_KEY; no call is made until then"),
    CallFault.SUSPENDED: ("the account is suspended", "ask the vendor; no call is made until then"),
    CallFault.SYMBOL_NOT_IN_PLAN: (
        "not in the key's plan",
        "the desk skips it for some days; choose a symbol of the plan or a larger plan",
    ),
    CallFault.PARAMETER_NOT_IN_PLAN: (
        "a parameter beyond the key's plan",
        "the desk asks without it, or not again for some days",
    ),
    CallFault.ENDPOINT_NOT_IN_PLAN: (
        "the endpoint is not in the key's plan",
        "the desk does without it and looks again in a week",
    ),
    CallFault.LEGACY_ENDPOINT: ("an endpoint that is no longer served", "correct FMP_BASE_URL"),
    CallFault.NOT_FOUND: ("no such path", "correct FMP_BASE_URL"),
    CallFault.DAILY_LIMIT: ("the day's calls are used up", "the desk waits for the reset"),
    CallFault.BANDWIDTH_LIMIT: ("the month's bytes are used up", "it clears in days; the desk waits"),
    CallFault.UNAVAILABLE: (
        "no usable answer",
        "the vendor or the network is away; the desk asks again later",
    ),
    CallFault.GARBLED: ("an answer that makes no sense", "it is not used; the desk asks again later"),
    CallFault.WRONG_SYMBOL: ("rows of another symbol", "they are not used; the desk asks again later"),
}

OURS = frozenset({CallFault.BAD_REQUEST, CallFault.LEGACY_ENDPOINT, CallFault.NOT_FOUND})
ENDS_THE_DAY = frozenset(
    {CallFault.INVALID_KEY, CallFault.SUSPENDED, CallFault.DAILY_LIMIT, CallFault.BANDWIDTH_LIMIT}
)


class FmpError(OperatorError):
    """The vendor gave no data.

    `status` is None when nothing was answered, `note` the beginning of its own words, clean and without the
    key, `parameter` the one it refused where it names one.
    """

    def __init__(
        self,
        fault: CallFault,
        asked: str,
        *,
        status: int | None = None,
        note: str = "",
        parameter: str | None = None,
    ) -> None:
        meaning, remedy = MEANINGS[fault]
        answered = "gave no answer" if status is None else f"answered {status}"
        words = f": {note}" if note else ""
        super().__init__(f"FMP {answered} for {asked} ({meaning}{words})", remedy)
        self.fault = fault
        self.asked = asked
        self.status = status
        self.note = note
        self.parameter = parameter
