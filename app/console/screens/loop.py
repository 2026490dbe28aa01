"""The learning loop: how each stage of the last night went, what is on trial, which lesson touched what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from app.console.figures import full
from app.console.messages import LoopRead
from app.console.screens.page import Page
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph

if TYPE_CHECKING:
    from app.console.changing import Changing
    from storage.loop_health import LoopHealth, TrialRow

LABEL = 11
NONE_YET = "no night has run yet: the desk measures itself at 20:00 New York after a session"


def loop_lines(health: LoopHealth | None, width: int) -> list[Line]:
    """The loop under its headings; alarms first, for they are why somebody looks."""
    if health is None or not health.stages:
        return paragraph(NONE_YET, width, tone=Tone.MUTED)
    lines: list[Line] = []
    if health.alarms:
        lines.append(line(Piece("ALARMS", Tone.HEAD)))
        for alarm in health.alarms:
            lines += paragraph(f"! {full(alarm.at)} {alarm.text}", width, indent=2, tone=Tone.WARN)
        lines.append(line())
    lines.append(line(Piece(f"{'LAST NIGHT':<{LABEL}}{'IN':>7}{'OUT':>7}  OF", Tone.HEAD)))
    for stage in health.stages:
        counts = f"{stage.rows_in:>7,}{stage.rows_out:>7,}"
        lines.append(labelled(stage.stage.value, counts, f"  {stage.session}", width=LABEL))
        lines += paragraph(f"{stage.note}, {full(stage.finished_at)}", width, indent=LABEL, tone=Tone.MUTED)
    known = f"{health.resolved:,} resolved, {health.pending} pending, "
    blocked = Piece(f"{health.blocked} without a bar", Tone.WARN if health.blocked else Tone.MUTED)
    lines += [
        line(),
        labelled("outcomes", known, blocked, width=LABEL),
        labelled("variants", f"{health.trials:,} ever tried", width=LABEL),
        line(),
        line(Piece("TRIALS", Tone.HEAD)),
    ]
    if not health.shadow:
        lines.append(line(Piece("  nothing is or was on trial", Tone.MUTED)))
    for trial in health.shadow:
        lines += _trial(trial, width)
    lines += [line(), line(Piece("LESSONS BESIDE DECISIONS", Tone.HEAD))]
    if not health.lessons:
        lines.append(line(Piece("  no lesson has stood beside a decision yet", Tone.MUTED)))
    for lesson in health.lessons:
        lines.append(line(f"  {lesson.session} ", outside(lesson.symbol, Tone.STRONG)))
        lines += paragraph(f"{lesson.sentence} (until {lesson.expires})", width, indent=4, tone=Tone.MUTED)
    return lines


def _trial(trial: TrialRow, width: int) -> list[Line]:
    mean = "" if trial.mean is None else f", mean {trial.mean:+.3f} R"
    # A prompt's values are whole texts; its name says enough here.
    change = f" {trial.old_value} -> {trial.new_value}" if len(trial.new_value) < 24 else ""
    wealth = f"E+ {trial.e_up:.2f}, E- {trial.e_down:.2f} after {trial.opportunities} opportunities{mean}"
    return [
        line(
            "  ",
            outside(trial.short_id, Tone.STRONG),
            outside(
                f" {trial.parameter_name}{change}: trial {trial.state.value} since {trial.started}, "
                f"the change {trial.status.value.replace('_', ' ')}"
            ),
        ),
        *paragraph(f"{wealth}; {trial.note}" if trial.note else wealth, width, indent=4, tone=Tone.MUTED),
    ]


class LoopScreen(Page):
    NAME = "loop"
    HEADING = "Learning"

    def __init__(self, readings: Changing) -> None:
        super().__init__()
        self._readings = readings
        self._health: LoopHealth | None = None

    def ask(self) -> None:
        self._readings.read_loop(self.post_message)

    @on(LoopRead)
    def loop_read(self, message: LoopRead) -> None:
        self._health = message.health
        self.shown(message.problem)

    def page_lines(self, width: int) -> list[Line]:
        return loop_lines(self._health, width)
