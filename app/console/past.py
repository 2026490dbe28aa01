"""A decision of the past in lines: what was said, what a human made of it, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.card import consensus_lines
from app.console.figures import full, money, percent, price, signed
from app.console.messages import ReplayRead
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph

if TYPE_CHECKING:
    from storage.history import PastDecision, PastProposal, PastVote
    from storage.records import LimitCheck

STANCES = {"for": Tone.GOOD, "against": Tone.BAD}
SAMENESS = {"same": Tone.GOOD, "different": Tone.BAD}


def decision_lines(decision: PastDecision, replay: ReplayRead | None, width: int) -> list[Line]:
    """Everything that is told of one decision, the end of it first."""
    lines = [
        line(
            outside(decision.symbol, Tone.STRONG),
            f"  {decision.setup_type.value.replace('_', ' ')}  ",
            fate_piece(decision),
        )
    ]
    lines += _outcome(decision, width)
    lines += replay_lines(replay, width)
    if decision.proposal is not None:
        lines += _proposal(decision.proposal)
    lines += _verdicts(decision, width)
    if decision.direction is not None and decision.volatility is not None:
        lines.append(labelled("market", f"{decision.direction} {decision.volatility}"))
    lines += [line(), line(Piece("VOTES", Tone.HEAD))]
    for vote in decision.votes:
        lines += _vote(vote, width)
    if decision.consensus is not None:
        lines += consensus_lines(decision.consensus, width, indent=0)
    for words in decision.contradictions:
        lines += paragraph(f"told differently: {words}", width, tone=Tone.WARN)
    if decision.checks:
        lines += [line(), line(Piece("LIMITS", Tone.HEAD)), *map(_check, decision.checks)]
    return [*lines, line(), *paragraph(decision.reasoning, width, tone=Tone.MUTED)]


def fate_piece(decision: PastDecision) -> Piece:
    """How far it came, toned by how it ended."""
    tones = {"won": Tone.GOOD, "lost": Tone.BAD, "held": Tone.ACCENT, "expired": Tone.WARN}
    return outside(decision.fate, tones.get(decision.fate, Tone.MUTED))


def replay_lines(replay: ReplayRead | None, width: int) -> list[Line]:
    """What today's code makes of it, step by step."""
    if replay is None:
        return []
    lines = [line(), line(Piece("DECIDED AGAIN", Tone.HEAD))]
    if replay.problem:
        return [*lines, *paragraph(replay.problem, width, tone=Tone.BAD)]
    lines += paragraph(replay.sentence, width, tone=Tone.STRONG)
    for row in replay.findings:
        lines.append(
            line(
                Piece(f"{row.sameness:<19}", SAMENESS.get(row.sameness, Tone.WARN)),
                outside(row.part, Tone.STRONG),
            )
        )
        told = row.then if row.sameness == "same" else f"{row.then} then, {row.now} now"
        lines += paragraph(told, width, indent=4)
        if row.note:
            lines += paragraph(row.note, width, indent=4, tone=Tone.MUTED)
    return [*lines, line()]


def _outcome(decision: PastDecision, width: int) -> list[Line]:
    lines: list[Line] = []
    if decision.order is not None and decision.order_note:
        lines.append(labelled("order", outside(f"{decision.order}: {decision.order_note}")))
    if decision.fill is not None:
        fill = decision.fill
        lines.append(labelled("filled", f"{fill.shares:,} at {price(fill.price)} on {fill.session}"))
    if decision.outcome is not None:
        out = decision.outcome
        lines.append(
            labelled(
                "outcome",
                signed(out.r_multiple, f"{out.r_multiple:+.2f}R"),
                f"  {money(out.pnl)}, {out.exit_reason.value.replace('_', ' ')} on {out.exit_session}",
            )
        )
    if decision.tags:
        lines.append(labelled("tags", outside(" ".join(decision.tags), Tone.ACCENT)))
    for note in decision.notes:
        if note.kind.value == "note":
            lines += paragraph(f"{note.written_by} at {full(note.at)}: {note.text}", width, tone=Tone.ACCENT)
    return lines


def _proposal(bound: PastProposal) -> list[Line]:
    lines = [
        labelled("proposed", outside(bound.short_id, Tone.KEY), f" for {bound.entry_session}"),
        labelled(
            "terms",
            f"{bound.max_shares:,} at most, {price(bound.min_entry)} to {price(bound.max_entry)}, "
            f"stop {price(bound.stop)}, target {price(bound.target)}",
        ),
    ]
    if bound.risky_reasons:
        lines.append(labelled("risky", outside(", ".join(bound.risky_reasons), Tone.WARN)))
    return lines


def _verdicts(decision: PastDecision, width: int) -> list[Line]:
    lines: list[Line] = []
    for said in decision.verdicts:
        origin = f" from {said.given_from}" if said.given_from else ""
        lines.append(
            labelled(
                "verdict",
                Piece(f"{said.verb}", Tone.STRONG),
                outside(f" by {said.given_by}{origin} at {full(said.given_at)}"),
            )
        )
        if said.reason:
            lines += paragraph(said.reason, width, indent=11)
    return lines


def _vote(vote: PastVote, width: int) -> list[Line]:
    conviction = "" if vote.conviction is None else f" {vote.conviction:.2f}"
    head = line(
        Piece(f"{vote.agent.value:<9}", Tone.STRONG),
        Piece(f"{vote.stance}{conviction}", STANCES.get(vote.stance.value, Tone.MUTED)),
        outside(f"  {vote.source}", Tone.MUTED),
    )
    flags = paragraph(", ".join(vote.flags), width, indent=2, tone=Tone.WARN) if vote.flags else []
    return [head, *flags, *paragraph(vote.reason, width, indent=2)]


def _check(check: LimitCheck) -> Line:
    def told(value: float) -> str:
        return percent(value) if check.unit == "fraction" else f"{value:,.2f}"

    word = Piece("passed ", Tone.GOOD) if check.passed else Piece("FAILED ", Tone.BAD)
    bound = "least" if check.floor else "most"
    return line(
        word,
        outside(f"{check.name:<18}"),
        f"{told(check.before)} to {told(check.after)}, at {bound} {told(check.limit)}",
    )
