"""Walk-forward folds: learn on the past, test on what came after, with a gap that no trade reaches across."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

FOLDS = 4


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One step: learn from what was decided in the training, test on what came after; days are included."""

    train_first: date
    train_last: date
    test_first: date
    test_last: date

    def trains(self, session: date) -> bool:
        return self.train_first <= session <= self.train_last

    def tests(self, session: date) -> bool:
        return self.test_first <= session <= self.test_last


def walk_forward(sessions: Sequence[date], *, longest_hold: int, folds: int = FOLDS) -> tuple[Fold, ...]:
    """Expanding folds over sessions in order; the first part of folds + 1 is only ever learnt from.

    `longest_hold` is the most sessions from a signal to the end of its trade. That many sessions before each
    test are learnt from by nobody (purged): a trade decided there would still be open in the test. Tests
    follow each other without gap or overlap up to the last session. Empty when a part is not longer than the
    gap: such a history is too short.
    """
    if longest_hold < 1 or folds < 1:
        raise ValueError(f"expected a hold and a fold from one on, was {longest_hold} and {folds}")
    part = len(sessions) // (folds + 1)
    if part <= longest_hold:
        return ()
    starts = [len(sessions) - part * (folds - index) for index in range(folds)] + [len(sessions)]
    return tuple(
        Fold(
            train_first=sessions[0],
            train_last=sessions[start - longest_hold - 1],
            test_first=sessions[start],
            test_last=sessions[end - 1],
        )
        for start, end in itertools.pairwise(starts)
    )
