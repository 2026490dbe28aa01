"""What the operator tells the desk: each in a thread, on a connection of its own, answered by one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from textual.message import Message

from app.console.feed import DeskPort, OpenDesk, first_line
from app.console.messages import CommandTaken, ExchangesRead, StopTaken, VerdictTaken
from app.console.state import LastVerdict
from storage.plain import clean

if TYPE_CHECKING:
    from decimal import Decimal
    from uuid import UUID

    from app.console.screens.review import Verdict
    from storage.exchanges import Exchange
    from storage.records import AgentName, CommandReceipt, Operator, RejectReason, VerdictReceipt

Receipt = TypeVar("Receipt")


class AgentCommand(StrEnum):
    """What can be told to an agent; the values are how the log calls them."""

    PAUSE = "pause"
    RESUME = "resume"
    RUN_NOW = "run now"


class Ask(StrEnum):
    """What is asked; the values are how the log calls them."""

    CLOSE = "close"
    STOP = "move stop"
    FLATTEN = "flatten"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the operator asked of exactly what was shown."""

    ask: Ask
    symbol: str  # "" for all that is held
    stop: Decimal | None = None
    typed_id: str = ""


class Commands:
    """Gives the operator's commands; `run` starts a piece of work in a thread, `post` brings its receipt."""

    def __init__(
        self,
        *,
        open_desk: OpenDesk,
        operator: Callable[[], Operator],
        post: Callable[[Message], bool],
        run: Callable[[Callable[[], None]], object],
    ) -> None:
        self.conninfo = ""
        self._open_desk = open_desk
        self._operator = operator
        self._post = post
        self._run = run

    def decide(self, verdict: Verdict) -> None:
        """Give a verdict on exactly the card that was shown."""
        self._run(lambda: self._decide(verdict))

    def undo(self, approval_id: UUID, symbol: str) -> None:
        """Take a verdict back."""
        self._run(lambda: self._undo(approval_id, symbol))

    def tell_agent(self, command: AgentCommand, agent: AgentName) -> None:
        """Pause an agent, let it go on, or have its last slot done again."""
        self._run(lambda: self._tell_agent(command, agent))

    def read_exchanges(self, approval_id: UUID, symbol: str) -> None:
        """Read what models were sent and said about an approval."""
        self._run(lambda: self._read_exchanges(approval_id, symbol))

    def halt(self, reason: str) -> None:
        """Stop all entries."""
        self._run(lambda: self._halt(reason))

    def ask_of_position(self, asked: Asked) -> None:
        """Have a position or everything sold, or a stop moved."""
        self._run(lambda: self._ask_of_position(asked))

    def take_back(self, symbol: str) -> None:
        """Take back what was asked of a position."""
        self._run(lambda: self._take_back(symbol))

    def stop(self) -> None:
        """Ask whatever leads and works for the desk to finish and leave."""
        self._run(self._stop)

    def _decide(self, verdict: Verdict) -> None:
        if verdict.approve:
            receipt = self._ask(
                lambda desk, operator: desk.approve(
                    verdict.approval_id, digest=verdict.digest, typed_id=verdict.typed_id, operator=operator
                ),
                _verdict_refused,
            )
        else:
            receipt = self._ask(
                lambda desk, operator: desk.reject(
                    verdict.approval_id,
                    digest=verdict.digest,
                    reason=reject_reason(verdict.reason),
                    operator=operator,
                ),
                _verdict_refused,
            )
        verb = "approved" if verdict.approve else "rejected"
        self._post(
            VerdictTaken(
                LastVerdict(
                    approval_id=verdict.approval_id, symbol=verdict.symbol, verb=verb, receipt=receipt
                )
            )
        )

    def _undo(self, approval_id: UUID, symbol: str) -> None:
        receipt = self._ask(
            lambda desk, operator: desk.undo(approval_id, operator=operator), _verdict_refused
        )
        self._post(
            VerdictTaken(LastVerdict(approval_id=approval_id, symbol=symbol, verb="undone", receipt=receipt))
        )

    def _tell_agent(self, command: AgentCommand, agent: AgentName) -> None:
        def tell(desk: DeskPort, operator: Operator) -> CommandReceipt:
            match command:
                case AgentCommand.PAUSE:
                    return desk.pause_agent(agent, operator=operator)
                case AgentCommand.RESUME:
                    return desk.resume_agent(agent, operator=operator)
                case AgentCommand.RUN_NOW:
                    return desk.run_agent_now(agent, operator=operator)

        self._post(CommandTaken(f"{command} {agent}", self._ask(tell, command_refused)))

    def _read_exchanges(self, approval_id: UUID, symbol: str) -> None:
        problem = ""

        def refused(message: str) -> tuple[Exchange, ...]:
            nonlocal problem
            problem = message
            return ()

        found = self._ask(lambda desk, _: desk.exchanges(approval_id), refused)
        self._post(ExchangesRead(symbol, found, problem))

    def _halt(self, reason: str) -> None:
        def tell(desk: DeskPort, operator: Operator) -> CommandReceipt:
            from storage.halt import new_halt

            return desk.halt(new_halt(reason, operator, datetime.now(UTC)))

        self._post(CommandTaken("halt", self._ask(tell, command_refused)))

    def _ask_of_position(self, asked: Asked) -> None:
        def tell(desk: DeskPort, operator: Operator) -> CommandReceipt:
            if asked.stop is not None:
                return desk.move_stop(asked.symbol, asked.stop, typed_id=asked.typed_id, operator=operator)
            if asked.symbol:
                return desk.close_position(asked.symbol, "", operator=operator)
            return desk.flatten("", operator=operator)

        what = f"{asked.ask} {clean(asked.symbol)}".strip()
        self._post(CommandTaken(what, self._ask(tell, command_refused)))

    def _take_back(self, symbol: str) -> None:
        receipt = self._ask(lambda desk, operator: desk.take_back(symbol, operator=operator), command_refused)
        self._post(CommandTaken(f"take back {clean(symbol)}", receipt))

    def _stop(self) -> None:
        self._post(
            StopTaken(
                self._ask(lambda desk, operator: desk.stop_runtimes(operator=operator), command_refused)
            )
        )

    def _ask(
        self, ask: Callable[[DeskPort, Operator], Receipt], refused: Callable[[str], Receipt]
    ) -> Receipt:
        try:
            if not self.conninfo:  # an empty one would mean whatever database this machine has
                return refused("not taken, nobody has said yet where the desk is")
            desk = self._open_desk(self.conninfo)
            try:
                return ask(desk, self._operator())
            finally:
                desk.close()
        except Exception as error:  # noqa: BLE001 - the operator must learn that it was not taken
            return refused(f"not taken, the desk is away: {first_line(error)}")


def reject_reason(word: str) -> RejectReason:
    """The reason of a verdict; by a word, because the records are imported after the first paint."""
    from storage.records import RejectReason

    return RejectReason(word)


def _verdict_refused(message: str) -> VerdictReceipt:
    from storage.records import VerdictReceipt

    return VerdictReceipt(accepted=False, state=None, message=message)


def command_refused(message: str) -> CommandReceipt:
    """The receipt of a command that never reached the desk."""
    from storage.records import CommandReceipt

    return CommandReceipt(accepted=False, message=message)
