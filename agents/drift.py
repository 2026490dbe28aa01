"""Whether an agent decides otherwise than it used to: tonight's mix of answers against the evenings before.

A change of the mix is no fault by itself: the market changes too. It is a question to the operator.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

MOST_TABLES = 50_000  # tables enumerated for an exact p-value; beyond, a simulation
DRAWS = 20_000  # of that simulation; its standard error at p = .01 is .0007
SEED = 20


class DriftRules(BaseModel):
    """What is compared with what, and when it is worth a word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evenings: int = Field(1, ge=1, le=10, description="Newest evenings that are compared")
    sessions: int = Field(20, ge=5, le=120, description="Evenings before them that they are compared with")
    alarm: float = Field(
        0.01, gt=0, le=0.1, description="P-value from which a mix counts as changed: one evening in a hundred"
    )
    collapse_share: float = Field(0.95, ge=0.8, le=1, description="Share of one answer that is a collapse")
    collapse_decisions: int = Field(20, ge=10, le=200, description="Fewest decisions that show a collapse")
    collapse_before: float = Field(
        0.80, ge=0.3, le=0.95, description="Share below which the same answer must have lain before"
    )


@dataclass(frozen=True, kw_only=True)
class DriftReading:
    """One agent's mix of answers, `n_now` of them against `n_before`.

    `exact` says that the p-value was enumerated (or there was nothing to compare), not simulated.
    `collapsed_to` is the answer the agent has come down to, None when it still gives several.
    """

    agent: str
    p_value: float
    exact: bool
    collapsed_to: str | None
    n_now: int
    n_before: int
    note: str
    drifted: bool

    @property
    def alarm(self) -> bool:
        """Whether the operator should look."""
        return self.drifted or self.collapsed_to is not None


def read_drift(
    agent: str, evenings: Sequence[Mapping[str, int]], rules: DriftRules | None = None
) -> DriftReading:
    """Compare the newest evenings with those before; `evenings` are counts by answer, oldest first.

    The two never overlap. The decisions of one evening depend on each other, so the p-value is a yardstick
    for attention, not evidence. A collapse needs more decisions than one evening may hold: it is looked for
    in as many of the newest evenings as together have enough, against the evenings before those.
    """
    rules = rules or DriftRules()
    now, before = _windows(evenings, rules.evenings, rules.sessions)
    n_now, n_before = now.total(), before.total()
    p_value, exact = mix_test(now, before)
    drifted = p_value <= rules.alarm
    collapse = _collapse(evenings, rules)
    return DriftReading(
        agent=agent,
        p_value=p_value,
        exact=exact,
        collapsed_to=collapse[0] if collapse else None,
        n_now=n_now,
        n_before=n_before,
        note=_note(agent, now, before, p_value, exact, drifted, collapse),
        drifted=drifted,
    )


def mix_test(
    now: Mapping[str, int],
    before: Mapping[str, int],
    *,
    most_tables: int = MOST_TABLES,
    draws: int = DRAWS,
    seed: int = SEED,
) -> tuple[float, bool]:
    """The p-value that both counts are of one mix, and whether it is exact.

    Fisher's exact test as Freeman and Halton (1951) carried it to more than two answers: the probability,
    with all margins as they are, of the tables no likelier than this one. Reckoned in whole numbers, so that
    ties are ties. Where more than `most_tables` tables have the margins, `draws` of them are drawn from a
    seeded generator instead, and p = (1 + as unlikely) / (1 + draws) (Davison and Hinkley 1997, 4.11).
    """
    if any(count < 0 for count in (*now.values(), *before.values())):
        raise ValueError("expected counts of zero or more")
    labels = sorted(label for label in {*now, *before} if now.get(label, 0) + before.get(label, 0))
    ours = [now.get(label, 0) for label in labels]
    columns = [now.get(label, 0) + before.get(label, 0) for label in labels]
    drawn, total = sum(ours), sum(columns)
    if len(labels) < 2 or drawn in (0, total):
        return 1.0, True
    if _tables(columns, drawn) <= most_tables:
        observed = math.prod(map(math.comb, columns, ours))
        unlikely = sum(ways for ways in _ways(columns, drawn) if ways <= observed)
        return unlikely / math.comb(total, drawn), True
    return _simulated(columns, ours, draws, seed), False


def _windows(
    evenings: Sequence[Mapping[str, int]], newest: int, sessions: int
) -> tuple[Counter[str], Counter[str]]:
    cut = max(0, len(evenings) - newest)
    return _sum(evenings[cut:]), _sum(evenings[max(0, cut - sessions) : cut])


def _sum(evenings: Sequence[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for evening in evenings:
        total.update(evening)
    return total


def _collapse(
    evenings: Sequence[Mapping[str, int]], rules: DriftRules
) -> tuple[str, float, int, float] | None:
    """The answer that is nearly all there is, its share, of how many, and its share before."""
    newest = 0
    while newest < len(evenings):
        newest += 1
        now, before = _windows(evenings, newest, rules.sessions)
        if newest >= rules.evenings and now.total() >= rules.collapse_decisions:
            break
    else:
        return None
    if not before.total():
        return None
    label, count = max(now.items(), key=lambda item: (item[1], item[0]))
    share, earlier = count / now.total(), before[label] / before.total()
    if share >= rules.collapse_share and earlier < rules.collapse_before:
        return label, share, now.total(), earlier
    return None


def _tables(columns: Sequence[int], drawn: int) -> int:
    """How many rows of `drawn` fit into the columns: the coefficient of prod (1 + x + ... + x^c)."""
    ways = [1] + [0] * drawn
    for column in columns:
        running, summed = 0, []
        for size in range(drawn + 1):
            running += ways[size] - (ways[size - column - 1] if size > column else 0)
            summed.append(running)
        ways = summed
    return ways[drawn]


def _ways(columns: Sequence[int], drawn: int) -> Iterator[int]:
    """For every table with these margins, in how many ways it comes about."""
    column, rest = columns[0], columns[1:]
    if not rest:
        yield math.comb(column, drawn)
        return
    room = sum(rest)
    for taken in range(max(0, drawn - room), min(column, drawn) + 1):
        ways = math.comb(column, taken)
        for others in _ways(rest, drawn - taken):
            yield ways * others


def _simulated(columns: Sequence[int], ours: Sequence[int], draws: int, seed: int) -> float:
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, max(columns) + 1)))))
    whole = np.array(columns)
    rows = np.random.default_rng(seed).multivariate_hypergeometric(whole, sum(ours), size=draws)

    tables = np.vstack((np.array(ours), rows))
    # Minus the log of the ways a table comes about, but for a constant; ours comes first.
    unlikelihood = (factorials[tables] + factorials[whole - tables]).sum(axis=1)
    as_unlikely = int((unlikelihood[1:] >= unlikelihood[0] - 1e-7).sum())
    return (1 + as_unlikely) / (1 + draws)


def _note(
    agent: str,
    now: Counter[str],
    before: Counter[str],
    p_value: float,
    exact: bool,
    drifted: bool,
    collapse: tuple[str, float, int, float] | None,
) -> str:
    if not now.total() or not before.total():
        missing = "no decisions now" if not now.total() else "no decisions before"
        return f"{agent}: {missing}, nothing to compare."
    how = "exact" if exact else f"simulated, {DRAWS:,} draws"
    compared = f"{now.total()} decisions against {before.total()}, p {p_value:.3f} ({how})"
    sentences = [f"{agent}: the mix is {'another than before' if drifted else 'as before'}, {compared}."]
    if collapse is not None:
        label, share, count, earlier = collapse
        sentences.append(f"{share:.0%} of the last {count} are {label}, {earlier:.0%} were before.")
    return " ".join(sentences)
