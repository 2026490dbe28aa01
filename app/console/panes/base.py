"""What every pane is: a frame with a title, a body of lines or rows, and one method that shows a view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from app.console.figures import minute, utc
from app.console.layout import PaneId
from app.console.machine import comes
from app.console.state import Link, View, lives
from app.console.text import Line, Tone, line, paragraph
from app.console.widgets.lines import LinesView
from app.console.widgets.table import Column, Row, Table

Body_co = TypeVar("Body_co", bound=LinesView, covariant=True)


class Pane(Vertical, Generic[Body_co], inherit_bindings=False):
    """A frame around one body; it paints only while it is in sight."""

    PANE: ClassVar[PaneId]
    NEEDS_WIDTH: ClassVar[bool] = (
        True  # a table has its rows before it has a size: keys typed ahead find them
    )

    def __init__(self, body: Body_co) -> None:
        super().__init__(id=self.PANE.value, classes="pane")
        self.body = body
        self.view: View | None = None
        self.in_sight = False
        self._heading = Content()
        self._footing = Content()

    def compose(self) -> ComposeResult:
        yield self.body

    def head(self, heading: Content) -> None:
        """Give the frame its title."""
        self._label(heading, self._footing)

    def _label(self, heading: Content, footing: Content) -> None:
        # The border's own properties answer markup, and repaint the whole pane whenever they are set.
        if heading != self._heading:
            self._heading = self.border_title = heading
        if footing != self._footing:
            self._footing = self.border_subtitle = footing

    def show(self, view: View) -> None:
        """Take a view; it is painted now if the pane is in sight, else when it comes into sight."""
        self.view = view
        if self.in_sight:
            self._show()

    def set_in_sight(self, value: bool) -> None:
        """A pane that is out of sight does no work."""
        self.in_sight = value
        if value:
            self._show()

    def on_resize(self) -> None:
        if self.in_sight:
            self._show()

    def _show(self) -> None:
        if self.view is None or (self.NEEDS_WIDTH and self.size.width == 0):
            return
        self.set_class(self.view.state.link is Link.AWAY, "-stale")
        self.paint(self.view, self.body.room)
        self.subtitle(self.view)

    def paint(self, view: View, width: int) -> None:
        """Fill the body from the view; `width` is the body's, in cells."""
        raise NotImplementedError

    def facts(self, view: View) -> str:
        """What the lower edge says beside the time of the data."""
        return ""

    def as_of(self, view: View) -> str:
        """As of when the numbers are: most are as of the last close."""
        session = view.state.snapshot.header.session if view.state.snapshot else None
        return f"as of {session} close" if session else "no session settled yet"

    def read_at(self, view: View) -> str:
        """As of when the desk was read, where the numbers are those of the machine now and not of a close."""
        snapshot = view.state.snapshot
        if snapshot is None or not lives(snapshot):
            return Pane.as_of(self, view)
        return f"as of {minute(snapshot.taken_at)}"

    def subtitle(self, view: View) -> None:
        """Every pane says on its lower edge as of when its numbers are."""
        snapshot = view.state.snapshot
        if snapshot is None:
            parts = [self.facts(view)]
        else:
            day = self.as_of(view)
            # The second at which the desk was read stands here only once it is old: it changes with every
            # snapshot, and each change of the frame repaints the whole pane.
            parts = [self.facts(view), day]
            if view.state.link is Link.AWAY:
                parts = [f"{view.glyphs.stale} last good {utc(snapshot.taken_at)}", day]
        room = self.size.width - 6
        if len(" · ".join(filter(None, parts))) > room:
            parts = parts[-1:]
        self._label(self._heading, Content(f" {view.glyphs.bullet} ".join(filter(None, parts))))

    def waiting(self, view: View, width: int) -> list[Line]:
        """What stands in a pane before the first data: what is happening, and what comes."""
        state = view.state
        return [
            line(),
            *paragraph(f"{state.host_note} ...", width, indent=1, tone=Tone.STRONG),
            *(
                paragraph(state.link_reason, width, indent=1, tone=Tone.WARN)
                if state.link is Link.AWAY
                else []
            ),
            *paragraph("data appear here as soon as the desk can be read", width, indent=1, tone=Tone.MUTED),
        ]


class TablePane(Pane[Table]):
    """A pane whose body is a table."""

    NEEDS_WIDTH = False
    COLUMNS: ClassVar[tuple[Column, ...]]

    def __init__(self) -> None:
        super().__init__(Table(self.COLUMNS))

    def paint(self, view: View, width: int) -> None:
        self.body.glyphs = view.glyphs
        if view.state.snapshot is None:
            self.body.set_rows((), empty=self.waiting(view, width))
        else:
            self.body.set_rows(list(self.rows(view, width)), empty=self.nothing(view))

    def rows(self, view: View, width: int) -> Iterable[Row]:
        """The table's rows."""
        raise NotImplementedError

    def nothing(self, view: View) -> list[Line]:
        """What is missing, and when it comes."""
        raise NotImplementedError

    def missing(self, view: View, what: str, slot: str, otherwise: str) -> list[Line]:
        """What is missing; then, on a desk with a schedule, when the slot comes that brings it."""
        width = max(self.body.room - 1, 24)
        snapshot = view.state.snapshot
        lines = [line(), *paragraph(what, width, indent=1, tone=Tone.STRONG)]
        if snapshot is None or not lives(snapshot):
            return [*lines, *paragraph(otherwise, width, indent=1, tone=Tone.MUTED)]
        when = comes(view, slot)
        if when.tone is not Tone.WARN:  # what never comes needs no explanation of how it would
            lines += paragraph(otherwise, width, indent=1, tone=Tone.MUTED)
        return [*lines, *paragraph(when.text, width, indent=1, tone=when.tone)]


class LinesPane(Pane[LinesView]):
    """A pane whose body is text."""

    def __init__(self) -> None:
        super().__init__(LinesView())

    def paint(self, view: View, width: int) -> None:
        self.body.set_lines(
            self.waiting(view, width) if view.state.snapshot is None else self.content(view, width)
        )

    def content(self, view: View, width: int) -> list[Line]:
        """The pane's lines."""
        raise NotImplementedError
