"""A change the desk would make to itself, as text: what, why, on what evidence, what happens if ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import TYPE_CHECKING

from app.console.figures import NOTHING, full, percent, utc
from app.console.glyphs import Glyphs
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph
from storage.plain import clean

if TYPE_CHECKING:
    from datetime import datetime

    from storage.changes import ChangeRow
    from storage.proposal_evidence import ProposalEvidence
    from storage.proposals import ProposalRow

LABEL = 16
VERDICTS = {"promising": Tone.GOOD, "worse": Tone.BAD}
OUTCOMES = {"IMPROVED": Tone.GOOD, "WORSENED": Tone.BAD}


def evidence_piece(verdict: str) -> Piece:
    """The verdict of the evidence."""
    return outside(verdict or "unreadable", VERDICTS.get(verdict, Tone.WARN))


def standing(row: ChangeRow | ProposalRow, now: datetime) -> Piece:
    """Where a change is on its way, in words."""
    by = f" by {row.decided_by}" if row.decided_by else ""
    undo = f"undo (u) until {utc(row.effective_at)}, " if row.effective_at and undoable(row, now) else ""
    match row.status.value:
        case "proposed" | "promotable" if row.deferred_until is not None and row.deferred_until > now:
            return Piece(f"deferred until {row.deferred_until:%Y-%m-%d}", Tone.MUTED)
        case "proposed":
            return Piece("waits for a verdict", Tone.WARN)
        case "promotable":
            return Piece("won its trial: waits for a verdict", Tone.WARN)
        case "refused":
            return outside(f"refused by code: {row.refused_because or ''}", Tone.MUTED)
        case "approved":
            where = "into the shadow" if row.route is not None and row.route.value == "shadow" else "at once"
            return outside(f"{undo}approved {where}{by}", Tone.ACCENT)
        case "shadow":
            return outside(f"on trial in the shadow, approved{by}", Tone.ACCENT)
        case "applied":
            return outside(f"in force, approved{by}; outcome {row.outcome.value}", Tone.GOOD)
        case "rejected":
            return outside(f"{undo}rejected{by}", Tone.MUTED)
        case other:
            return outside(f"{other.replace('_', ' ')}{by}", Tone.MUTED)


def undoable(row: ChangeRow | ProposalRow, now: datetime) -> bool:
    """Whether the verdict on it can still be taken back."""
    decided = row.status.value in ("approved", "rejected")
    return decided and row.effective_at is not None and row.effective_at > now


def change_lines(row: ProposalRow, now: datetime, glyphs: Glyphs, width: int) -> list[Line]:
    """The whole change, in the order it is read."""
    lines = [
        labelled("stands", standing(row, now), width=LABEL),
        labelled("proposed", f"after {row.session}, for {clean(row.family)}", width=LABEL),
    ]
    if row.bounds:
        lines.append(
            labelled("bounds", outside(row.bounds), Piece(" hard, in code", Tone.MUTED), width=LABEL)
        )
    if row.decision_reason:
        lines.append(labelled("reason given", outside(row.decision_reason), width=LABEL))
    lines += [line(), line(Piece("WHY", Tone.HEAD)), *paragraph(row.reasoning, width, indent=2)]
    lines += [line(), line(Piece("EXPECTED", Tone.HEAD)), *paragraph(row.expected_impact, width, indent=2)]
    lines.append(line())
    if row.evidence is None:
        lines += paragraph(
            "What is stored as its evidence cannot be read: it cannot be approved.", width, tone=Tone.BAD
        )
    else:
        lines += _evidence(row.evidence, width, glyphs)
    if row.kind.value == "prompt":
        lines += [line(), line(Piece("THE PROMPT", Tone.HEAD)), *_diff(row, width)]
    lines += _afterwards(row)
    lines += [
        line(),
        labelled("id", outside(row.short_id, Tone.STRONG), f"  digest {row.digest[:12]}", width=LABEL),
    ]
    return lines


def _evidence(found: ProposalEvidence, width: int, glyphs: Glyphs) -> Iterator[Line]:
    window = f"  {found.first} to {found.last}" if found.first and found.last else ""
    yield line(Piece("EVIDENCE ", Tone.HEAD), evidence_piece(found.verdict), Piece(window, Tone.MUTED))
    for sentence in found.sentences:
        yield from paragraph(sentence, width, indent=2)
    yield labelled("  shrunk", _r(found.shrunk), f"  above zero by {_share(found.chance)}", width=LABEL)
    yield labelled("  2x costs", _r(found.twice_the_costs), width=LABEL)
    yield labelled("  walk forward", _r(found.walk_forward), width=LABEL)
    yield labelled("  trials", f"{found.trials:,} variants were ever tried", width=LABEL)
    if found.mix is not None:
        mix = found.mix
        yield from paragraph(
            f"decisions on the same frozen questions {_mix(mix.before)} now, {_mix(mix.after)} with it; "
            f"p {mix.p_value:.3f}; asking cost ${mix.cost_usd}",
            width,
            indent=2,
        )
    if found.checks:
        yield line()
        yield line(Piece("GATE", Tone.HEAD))
    for check in found.checks:
        value = "unknown" if check.value is None else f"{check.value:.4g}"
        sign, tone = (glyphs.passed, Tone.GOOD) if check.passed else (f"{glyphs.failed} NOT", Tone.BAD)
        for first in paragraph(f"{check.name}: {value}, needed {check.needed}", width - 4):
            yield line(Piece(f"  {sign} ", tone), *first)
            sign = " " * len(sign)
    yield line()
    yield line(Piece("THE LAST TWENTY EVENINGS WITH IT", Tone.HEAD))
    if not found.evenings:
        yield line(Piece("  every decision would have been the same", Tone.MUTED))
    for one in found.evenings:
        yield from paragraph(f"{one.session} {one.symbol}: {one.before} -> {one.after}", width, indent=2)
    for gap in found.missing:
        yield from paragraph(f"not known: {gap}", width, indent=2, tone=Tone.WARN)
    if found.if_ignored:
        yield line()
        yield from paragraph(f"If ignored: {found.if_ignored}", width, tone=Tone.WARN)


def _diff(row: ProposalRow, width: int) -> Iterator[Line]:
    tones = {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.MUTED}
    for told in unified_diff(
        row.old_value.splitlines(), row.new_value.splitlines(), "in force", "proposed", lineterm=""
    ):
        yield from paragraph(told, width, indent=2, tone=tones.get(told[:1], Tone.PLAIN)) or [line()]


def _afterwards(row: ProposalRow) -> list[Line]:
    """What became of it once it was in force."""
    if row.applied_version is None:
        return []
    version = f"version {row.applied_version}"
    if row.rolled_back_at is not None:
        version += f", rolled back {full(row.rolled_back_at)}"
    sharpe = f"Sharpe {_number(row.sharpe_before)} -> {_number(row.sharpe_after)}"
    wins = f"win rate {percent(row.win_rate_before, 0)} -> {percent(row.win_rate_after, 0)}"
    outcome = row.outcome.value
    return [
        line(),
        line(Piece("SINCE IT WAS IN FORCE ", Tone.HEAD), Piece(outcome, OUTCOMES.get(outcome, Tone.MUTED))),
        labelled("  as", outside(version), width=LABEL),
        labelled("  before, since", outside(f"{sharpe}, {wins}"), width=LABEL),
    ]


def _mix(mix: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(mix.items()))


def _r(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.3f} R"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else percent(value, 0)
