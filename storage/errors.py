"""The one error an operator sees."""


class OperatorError(Exception):
    """Something the operator can put right: what is wrong, and the remedy.

    Commands print it as one line and end with exit code 2; the console shows it in place.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class DeskTaken(OperatorError):
    """Another process drives the desk."""

    def __init__(self) -> None:
        super().__init__("another process drives this desk", "stop that one, or choose another --desk")


class DatabaseAway(OperatorError):
    """No server answers, for now or for good."""
