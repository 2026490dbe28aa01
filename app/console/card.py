"""One approval as text: what is proposed, what it may cost, who dissents, what happens if ignored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.console.figures import money, percent, price, utc
from app.console.state import View
from app.console.text import Line, Piece, Tone, fit, labelled, line, outside, paragraph
from storage.plain import clean

if TYPE_CHECKING:
    from storage.evening import ConsensusRow
    from storage.records import LimitCheck, LimitInForce
    from storage.snapshot import ApprovalRow, VoteRow

LABEL = 12


def atr_of(row: ApprovalRow) -> float | None:
    """The average true range, where the evidence names it."""
    for label, value in row.facts:
        if label.casefold().startswith("atr"):
            found = re.search(r"\d+(?:\.\d+)?", value)
            return float(found.group()) if found and float(found.group()) > 0 else None
    return None


def headline(row: ApprovalRow) -> Line:
    """The card in one line."""
    terms = row.terms
    return line(
        Piece("BUY ", Tone.GOOD),
        outside(terms.symbol, Tone.STRONG),
        f"  up to {terms.max_shares:,} shares at {price(terms.min_entry)} to {price(terms.max_entry)}",
    )


def card_lines(row: ApprovalRow, view: View, width: int) -> list[Line]:
    """The whole card, in the order it is read."""
    return [
        *_risky(row, width),
        *_terms(row),
        line(),
        *_recommendation(row, width),
        line(),
        *_limits(row, width, view),
        line(),
        *_votes(row, width),
        line(),
        *_facts(row, width),
        *_ignored(row, view, width),
    ]


def if_ignored(row: ApprovalRow, view: View) -> str:
    """What the desk does when nobody answers."""
    mode = view.state.snapshot.header.verdict_mode.value if view.state.snapshot else "ask"
    if mode != "ask":  # nobody is waited for
        answer = row.recommendation.value if mode == "recommended" else "reject"
        return f"the replay answers by itself: {answer}"
    if row.expires_at is not None:
        return f"rejected at {utc(row.expires_at)}"
    return f"rejected at the open of {row.terms.entry_session}"


def _risky(row: ApprovalRow, width: int) -> list[Line]:
    if not row.risky:
        return []
    reasons = "; ".join(row.risky_reasons) or "marked by the desk"
    return [*paragraph(f"! RISKY: {reasons}", width, tone=Tone.ALERT), line()]


def _terms(row: ApprovalRow) -> list[Line]:
    terms = row.terms
    most, stop, target, close = (
        float(terms.max_entry),
        float(terms.stop),
        float(terms.target),
        float(row.close),
    )
    risk = most - stop
    atr = atr_of(row)
    in_atr = f"  {risk / atr:.1f} ATR" if atr else ""
    in_r = f"  {(target - most) / risk:.1f}R" if risk > 0 else ""
    around = ""
    if close:
        low, high = float(terms.min_entry) / close - 1, most / close - 1
        around = (
            f"  {percent(low, 1, sign=True)} to {percent(high, 1, sign=True)} of the close {price(row.close)}"
        )
    return [
        labelled(
            "setup",
            outside(terms.setup_type.value.replace("_", " ")),
            f", proposed after {row.created_session}",
            width=LABEL,
        ),
        labelled(
            "entry",
            f"{price(terms.min_entry)} to {price(terms.max_entry)}",
            Piece(around, Tone.MUTED),
            width=LABEL,
        ),
        labelled(
            "stop",
            price(terms.stop),
            Piece(f"  {percent(stop / most - 1 if most else None, 1, sign=True)}{in_atr}", Tone.BAD),
            Piece(" from the highest entry", Tone.MUTED),
            width=LABEL,
        ),
        labelled(
            "target",
            price(terms.target),
            Piece(f"  {percent(target / most - 1 if most else None, 1, sign=True)}{in_r}", Tone.GOOD),
            width=LABEL,
        ),
        labelled(
            "size",
            f"{terms.max_shares:,} shares, {money(terms.max_shares * terms.max_entry)} at most",
            width=LABEL,
        ),
        labelled(
            "at risk",
            Piece(money(terms.max_risk), Tone.STRONG),
            f"  {percent(row.risk_fraction)} of equity at most",
            width=LABEL,
        ),
        labelled(
            "hold",
            f"{terms.max_hold} sessions at most, entry {terms.entry_session}",
            Piece(f", parameters v{terms.parameters_version}", Tone.MUTED),
            width=LABEL,
        ),
    ]


def _recommendation(row: ApprovalRow, width: int) -> list[Line]:
    tone = Tone.GOOD if row.recommendation.value == "approve" else Tone.WARN
    return [
        labelled("desk says", Piece(row.recommendation.value, tone), width=LABEL),
        *paragraph(row.reasoning, width, indent=2),
    ]


def _limits(row: ApprovalRow, width: int, view: View) -> list[Line]:
    if not row.checks:
        return [line(Piece("LIMITS ", Tone.HEAD), Piece("none recorded", Tone.WARN))]
    name_width = 18 if width >= 64 else 14
    heading = f"{'LIMIT':<{name_width}}{'BEFORE':>11}{'AFTER':>11}{'ALLOWED':>11}"
    roomy = width >= name_width + 33 + 10
    return [
        line(Piece(heading + (f"{'ROOM':>7}" if roomy else ""), Tone.HEAD)),
        *(_check(check, name_width, roomy, view) for check in row.checks),
        *_in_force(view, width),
    ]


def _in_force(view: View, width: int) -> list[Line]:
    """The limits that stand tighter than their defaults now, and who made them so."""
    found = view.state.snapshot.limits if view.state.snapshot else None
    if found is None:
        return []
    tighter = [
        f"{row.name.replace('_', ' ')} {_amount(row.limit, row.unit)} by the {row.source.value}"
        + (f" ({row.note})" if row.note else "")
        for row in found.limits
        if row.source.value != "default" and not _is_idle(row)
    ]
    said = "; ".join(tighter) or "every limit at its default"
    since = "open" if found.slot.value == "open" else "evening"
    return paragraph(f"In force since the {since} of {found.session}: {said}", width)


def _is_idle(row: LimitInForce) -> bool:
    """A ladder that takes nothing off, a protection that holds nothing back."""
    source = row.source.value
    return (source == "ladder" and row.limit == 1) or (source == "protection" and not row.used)


def _amount(value: float, unit: str) -> str:
    match unit:
        case "usd":
            return money(value, cents=False)
        case "count":
            return f"{value:,.0f}"
        case "ratio":
            return f"{value:.2f}"
    return percent(value)


def _check(check: LimitCheck, name_width: int, roomy: bool, view: View) -> Line:
    def amount(value: float) -> str:
        return _amount(value, check.unit)

    allowed = (">" if check.floor else "<") + ("" if check.strict else "=")
    name = fit(clean(check.name.replace("_", " ")), name_width, ellipsis=view.glyphs.ellipsis)
    sign, tone = (view.glyphs.passed, Tone.GOOD) if check.passed else (view.glyphs.failed, Tone.BAD)
    word = "" if check.passed else " OVER"
    room = f"{check.headroom * 100:>6.0f}%" if roomy else ""
    return line(
        name,
        f"{amount(check.before):>11}",
        Piece(f"{amount(check.after):>11}", Tone.STRONG),
        Piece(f"{allowed + amount(check.limit):>11}", Tone.MUTED),
        room,
        Piece(f" {sign}{word}", tone),
    )


def consensus_lines(consensus: ConsensusRow | None, width: int, *, indent: int) -> list[Line]:
    """What the votes came to: the side, the chance of a win and whose it is, who dissents, who is silent."""
    if consensus is None:
        return []
    side = Tone.GOOD if consensus.stance.value == "for" else Tone.WARN
    head = line(
        " " * indent,
        outside(f"{consensus.rule}: "),
        Piece(consensus.stance.value, side),
        outside(f", {_chance(consensus)}", Tone.MUTED),
    )
    names = [
        f"{what}: {', '.join(agents)}"
        for what, agents in (("dissent", consensus.dissent), ("abstained", consensus.abstained))
        if agents
    ]
    lines = [head, *paragraph(consensus.note, width, indent=indent, tone=Tone.MUTED)]
    if names:
        lines += paragraph("; ".join(names), width, indent=indent, tone=Tone.WARN)
    if consensus.pool_gives_way:
        used = "used" if consensus.rule == "pool" else "would be used"
        skill = f"pool has no skill ({consensus.pool_skill:+.3f}): base rate {used}"
        lines += paragraph(skill, width, indent=indent, tone=Tone.WARN)
    return lines


def _chance(consensus: ConsensusRow) -> str:
    """The chance of a win that counts, or what the pool would say of it under a rule that claims none."""
    base = f"base rate {percent(consensus.base_rate, 0)}"
    if consensus.probability is not None:
        return f"chance of a win {percent(consensus.probability, 0)}, {base}"
    return f"the pool says {percent(consensus.pooled, 0)}, {base}"


def _votes(row: ApprovalRow, width: int) -> list[Line]:
    if not row.votes:
        return [line(Piece("VOTES ", Tone.HEAD), Piece("nobody voted", Tone.WARN))]
    against = sum(vote.stance.value == "against" for vote in row.votes)
    dissent = f"{against} against" if against else "no dissent"
    lines = [
        line(Piece("VOTES ", Tone.HEAD), Piece(dissent, Tone.WARN if against else Tone.MUTED)),
        *consensus_lines(row.consensus, width, indent=2),
    ]
    for vote in row.votes:
        lines += _vote(vote, width)
    for contradiction in row.contradictions:
        lines += paragraph(f"! they contradict each other on {contradiction}", width, tone=Tone.WARN)
    return lines


def _vote(vote: VoteRow, width: int) -> list[Line]:
    tones = {"for": Tone.GOOD, "against": Tone.BAD, "abstain": Tone.MUTED}
    conviction = "" if vote.conviction is None else f"{vote.conviction:.2f}"
    cost = "" if vote.cost_usd is None else f", ${vote.cost_usd:.4f}"
    veto = ", may only shrink or veto" if vote.veto_only else ""
    return [
        line(
            Piece(f"{vote.agent.value:<9}", Tone.STRONG),
            Piece(f"{vote.stance.value:<8}", tones[vote.stance.value]),
            f"{conviction:<5}",
            outside(f"by {vote.source or 'rules'}{cost}{veto}", Tone.MUTED),
        ),
        *paragraph(vote.reason, width, indent=2),
        *_figures(vote, width),
        *(row for flag in vote.flags for row in paragraph(f"! {flag}", width, indent=2, tone=Tone.WARN)),
    ]


def _figures(vote: VoteRow, width: int) -> list[Line]:
    """The numbers it rests on, by the data they stand in; those that stand in none were struck."""
    by_source: dict[str, list[str]] = {}
    for figure in vote.figures:
        by_source.setdefault(figure.source, []).append(f"{figure.name or 'a number'} {figure.value:,.6g}")
    lines: list[Line] = []
    for source, figures in by_source.items():
        said = f"{source}: {', '.join(figures)}" if source else f"[unverified] {', '.join(figures)}"
        lines += paragraph(said, width, indent=2, tone=Tone.MUTED if source else Tone.WARN)
    return lines


def _facts(row: ApprovalRow, width: int) -> list[Line]:
    if not row.facts:
        return []
    lines = [line(Piece("EVIDENCE", Tone.HEAD))]
    column = min(max((len(clean(label)) for label, _ in row.facts), default=0) + 2, max(width // 2, 12))
    for label, value in row.facts:
        rows = paragraph(value, width - column) or [line("-")]
        head = Piece(fit(clean(label), column - 1, ellipsis="~") + " ", Tone.MUTED)
        lines.append((head, *rows[0]))
        lines += [(Piece(" " * column), *rest) for rest in rows[1:]]
    return [*lines, line()]


def _ignored(row: ApprovalRow, view: View, width: int) -> list[Line]:
    lines = [
        labelled("id", outside(row.short_id, Tone.STRONG), f"  digest {clean(row.digest)[:12]}", width=LABEL),
    ]
    if row.state.value == "pending":
        lines = [*paragraph(f"If ignored: {if_ignored(row, view)}.", width, tone=Tone.WARN), *lines]
    return lines
