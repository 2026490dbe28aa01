"""What the operator says to changes of the desk itself, and what is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.commands import command_refused
from app.console.messages import ChangeRead, CommandTaken, LoopRead
from app.console.readings import Post, Readings, Refusal

if TYPE_CHECKING:
    from uuid import UUID

    from app.console.feed import DeskPort
    from app.console.screens.change import ChangeAnswer
    from storage.loop_health import LoopHealth
    from storage.proposal_standing import ProposalStanding
    from storage.proposals import ProposalRow
    from storage.records import CommandReceipt, Operator


class Changing(Readings):
    """The commands and readings, and those about changes."""

    def read_change(self, post: Post, change_id: UUID) -> None:
        """A change with all of its evidence."""
        self._run(lambda: self._read_change(post, change_id))

    def read_loop(self, post: Post) -> None:
        """How the nights of learning go."""
        self._run(lambda: self._read_loop(post))

    def answer_change(self, answer: ChangeAnswer) -> None:
        """Say it to exactly the change that was shown."""
        self._run(lambda: self._answer_change(answer))

    def undo_change(self, change_id: UUID) -> None:
        """Take the verdict on a change back."""
        self._run(lambda: self._undo_change(change_id))

    def _read_change(self, post: Post, change_id: UUID) -> None:
        said = Refusal()
        found: tuple[ProposalRow, ProposalStanding] | None = self._ask(
            lambda desk, _: desk.change(change_id), said.note
        )
        post(ChangeRead(found, said.problem or ("" if found else "it is gone from the desk")))

    def _read_loop(self, post: Post) -> None:
        said = Refusal()
        found: LoopHealth | None = self._ask(lambda desk, _: desk.loop_health(), said.note)
        post(LoopRead(found, said.problem))

    def _answer_change(self, answer: ChangeAnswer) -> None:
        from storage.learning_records import AdjustmentRoute, ChangeVerb

        def tell(desk: DeskPort, operator: Operator) -> CommandReceipt:
            change_id, digest = answer.change_id, answer.digest
            match answer.verb:
                case ChangeVerb.SHADOW | ChangeVerb.AT_ONCE:
                    return desk.approve_change(
                        change_id,
                        digest=digest,
                        route=AdjustmentRoute(answer.verb.value),
                        typed_id=answer.typed_id,
                        operator=operator,
                    )
                case ChangeVerb.REJECTED:
                    return desk.reject_change(
                        change_id, digest=digest, reason=answer.reason, operator=operator
                    )
                case ChangeVerb.DEFERRED:
                    assert answer.until is not None  # whoever defers says until when
                    return desk.defer_change(change_id, digest=digest, until=answer.until, operator=operator)
                case ChangeVerb.UNDONE:
                    return desk.undo_change(change_id, operator=operator)
                case ChangeVerb.ROLLED_BACK:
                    return desk.roll_back_change(change_id, answer.reason, operator=operator)

        self._post(CommandTaken(answer.verb.value.replace("_", " "), self._ask(tell, command_refused)))

    def _undo_change(self, change_id: UUID) -> None:
        receipt = self._ask(
            lambda desk, operator: desk.undo_change(change_id, operator=operator), command_refused
        )
        self._post(CommandTaken("undo", receipt))
