"""Whether two versions of a prompt decide alike: an exact test of their mixes of decisions.

The test is Freeman and Halton's (1951), Fisher's exact test for more than two kinds of decisions: of all
tables with the same margins, the probability of those no more likely than the one that was seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import comb, exp, log

ALPHA = 0.05
LEAST_QUESTIONS = 20  # below which nothing but a landslide can be told from chance
_NO_MORE_LIKELY = 1 + 1e-9  # tables as likely as the one seen count, whatever rounding says


@dataclass(frozen=True, kw_only=True)
class MixVerdict:
    """What the test says of a challenger's decisions; `reason` is empty for one that may go on."""

    p_value: float
    reason: str

    @property
    def refused(self) -> bool:
        return bool(self.reason)


def exact_p_value(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """The p-value that both are draws from one mix of decisions; 1 where either is empty."""
    kinds = sorted({*before, *after})
    columns = [before.get(kind, 0) + after.get(kind, 0) for kind in kinds]
    drawn = sum(before.values())
    if not drawn or not sum(after.values()):
        return 1.0
    seen = _log_ways(columns, [before.get(kind, 0) for kind in kinds])
    total = log(comb(sum(columns), drawn))
    limit = seen + log(_NO_MORE_LIKELY)
    return min(1.0, sum(exp(ways - total) for ways in _tables(columns, drawn) if ways <= limit))


def judge_mix(
    before: Mapping[str, int], after: Mapping[str, int], *, holds: Collection[str], alpha: float = ALPHA
) -> MixVerdict:
    """Refuse a challenger that takes to holding: a mix that differs, with a larger share of `holds`.

    `alpha` is how often chance may do that; whoever looks more than once divides it. ValueError unless both
    answered the same number of questions.
    """
    n = sum(before.values())
    if n != sum(after.values()):
        raise ValueError(f"expected the same questions, was {n} and {sum(after.values())}")
    p_value = exact_p_value(before, after)
    if n < LEAST_QUESTIONS:
        return MixVerdict(p_value=p_value, reason=f"{n} frozen questions, {LEAST_QUESTIONS} are needed")
    held, holding = (sum(mix.get(kind, 0) for kind in holds) / n for mix in (before, after))
    if p_value <= alpha and holding > held:
        return MixVerdict(
            p_value=p_value,
            reason=f"its decisions collapse: {holding:.0%} hold where {held:.0%} did (exact p {p_value:.2g})",
        )
    return MixVerdict(p_value=p_value, reason="")


def _log_ways(columns: Sequence[int], row: Sequence[int]) -> float:
    return sum(log(comb(column, count)) for column, count in zip(columns, row, strict=True))


def _tables(columns: Sequence[int], drawn: int) -> list[float]:
    """The logarithm of the ways to each first row of so many that the columns allow."""
    found = {0: [0.0]}  # by how many are drawn so far
    for column in columns:
        following: dict[int, list[float]] = {}
        for so_far, ways in found.items():
            for count in range(min(column, drawn - so_far) + 1):
                step = log(comb(column, count))
                following.setdefault(so_far + count, []).extend(way + step for way in ways)
        found = following
    return found[drawn]
