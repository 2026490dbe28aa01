"""What the desk shows and where: strip, note, panes, footer; it decides which panes are in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size as Cells
from textual.screen import Screen
from textual.widgets import Input

from app.console.actions import Scope
from app.console.layout import (
    MIN_HEIGHT,
    MIN_WIDTH,
    PLAIN_HEIGHT,
    PLAIN_WIDTH,
    SLOT,
    PaneId,
    Plan,
    Size,
    plan,
    size_class,
)
from app.console.notes import banner_line, banner_text, footer_line
from app.console.panes.agents import AgentsPane
from app.console.panes.approvals import ApprovalsPane, pending_note
from app.console.panes.base import Pane
from app.console.panes.changes import ChangesPane, changes_note
from app.console.panes.detail import DetailPane
from app.console.panes.log import LogPane
from app.console.panes.positions import PositionsPane
from app.console.panes.quota import QuotaPane
from app.console.panes.regime import RegimePane
from app.console.panes.watch import WatchPane
from app.console.screens.desk_body import Body, DeskLayout
from app.console.state import Selection, View, lives
from app.console.strip import DeskStrip
from app.console.text import Piece, Tone, line
from app.console.widgets.lines import LineRow, LinesView
from app.console.widgets.table import Table

PANES = (
    WatchPane,
    ApprovalsPane,
    PositionsPane,
    RegimePane,
    QuotaPane,
    AgentsPane,
    LogPane,
    DetailPane,
    ChangesPane,
)
PANE_KEYS = {PaneId.AGENTS: ("pause_agent", "run_agent")}  # shown first while the pane is in front
TOO_SMALL = f"need {MIN_WIDTH}x{MIN_HEIGHT}"


class DeskFrame(Screen[None], inherit_bindings=False):
    """Shows the desk's state; what the operator can do with it is in the classes that extend this."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (MIN_WIDTH, "-small"), (PLAIN_WIDTH, "-roomy")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (MIN_HEIGHT, "-low"), (PLAIN_HEIGHT, "-high")]  # noqa: RUF012
    AUTO_FOCUS = "#watch Table"

    def __init__(self, view: Callable[[], View]) -> None:
        super().__init__()
        self.view_of_app = view
        self.front = PaneId.WATCH
        self.slot = PaneId.POSITIONS
        self.zoomed = False
        self.selection: Selection | None = None
        self.needle = ""
        self.note_hidden = ""
        self.came_from: PaneId | None = None
        self.panes: tuple[Pane[LinesView], ...] = tuple(pane() for pane in PANES)
        self._strip = DeskStrip()
        self._banner = LineRow(id="banner")
        self._body = Body(DeskLayout(self._plan_for), self.panes)
        self.filter = Input(
            id="filter", placeholder="filter: symbol, name, sector, thesis or held", compact=True
        )
        self._footer = LineRow(id="footer")
        self._known_waiting: frozenset[str] = frozenset()
        self._seen_waiting: frozenset[str] = frozenset()

    def compose(self) -> ComposeResult:
        self.filter.display = False
        yield from (self._strip, self._banner, self._body, self.filter, self._footer)
        yield LineRow(id="too-small")

    def on_mount(self) -> None:
        self.query_one("#too-small", LineRow).set_lines([line(Piece(TOO_SMALL, Tone.STRONG))])

    # What is shown

    @property
    def view(self) -> View:
        return replace(self.view_of_app(), selection=self.selection, needle=self.needle)

    def show(self) -> None:
        """Show the app's state; panes out of sight only remember it."""
        view = self.view
        self._show_strip(view)
        self.show_note(view)
        self._watch_waiting(view)
        for pane in self.panes:
            pane.show(view)
        self._title_panes()

    def tick(self) -> None:
        """A second has passed: only what counts time is shown again."""
        view = self.view
        self._show_strip(view)
        snapshot = view.state.snapshot
        if snapshot is None:
            return
        if snapshot.pending:
            self.pane(PaneId.APPROVALS).show(view)
        if lives(snapshot):
            self.pane(PaneId.AGENTS).show(view)
        if snapshot.changes:
            self.pane(PaneId.CHANGES).show(view)
        if snapshot.pending or lives(snapshot):
            self.pane(PaneId.DETAIL).show(view)

    def _show_strip(self, view: View) -> None:
        self._strip.show(view, self.size.width)

    def show_note(self, view: View) -> None:
        text = banner_text(view.state)
        self._banner.set_class(bool(text) and text != self.note_hidden, "-shown")
        self._banner.set_lines([banner_line(text, self.size.width, view.glyphs)])

    def _watch_waiting(self, view: View) -> None:
        """A new waiting card makes the strip loud and rings once; it never takes the focus."""
        snapshot = view.state.snapshot
        waiting = frozenset(str(row.id) for row in snapshot.pending) if snapshot else frozenset()
        if waiting - self._known_waiting:
            self.app.bell()
        self._known_waiting = waiting
        if self.front is PaneId.APPROVALS:
            self._seen_waiting = waiting
        self._strip.set_class(bool(waiting - self._seen_waiting), "-alert")

    def looked_at_approvals(self) -> None:
        """The operator has the waiting cards in front: the strip calms down."""
        self._seen_waiting = self._known_waiting
        self._strip.remove_class("-alert")

    # Where it is shown

    def pane(self, pane: PaneId) -> Pane[LinesView]:
        return self.panes[list(PaneId).index(pane)]

    @property
    def size_class(self) -> Size:
        return size_class(self.size.width, self.size.height)

    def _plan_for(self, size: Cells) -> Plan:
        return plan(
            self.size_class, size.width, size.height, front=self.front, slot=self.slot, zoomed=self.zoomed
        )

    @property
    def plan(self) -> Plan:
        return self._plan_for(self._body.size)

    def replan(self) -> None:
        """Put the panes where they belong now."""
        # Asked of a child, because a widget's own refresh keeps the arrangement it has cached.
        self.panes[0].refresh(layout=True)
        shown = self.plan
        for pane in self.panes:
            pane.set_in_sight(pane.PANE in shown)
        self._title_panes()
        self._show_footer()

    def _show_footer(self) -> None:
        """The keys; those of the pane in front come first."""
        first = PANE_KEYS.get(self.front, ())
        self._footer.set_lines([footer_line(self.size.width, Scope.APP, Scope.DESK, first=first)])

    def _title_panes(self) -> None:
        snapshot = self.view_of_app().state.snapshot
        notes = {
            PaneId.APPROVALS: pending_note(snapshot) if snapshot else "",
            PaneId.CHANGES: changes_note(snapshot) if snapshot else "",
        }
        shown = self.plan
        for pane in self.panes:
            if pane.PANE not in shown:
                continue
            pane.head(self._title(pane.PANE, notes, self.size.width - 6))

    def _title(self, pane: PaneId, notes: Mapping[PaneId, str], room: int) -> Content:
        """The pane's name; where panes share a place, the names of all that can stand there."""
        if self.zoomed or (
            self.size_class is not Size.PLAIN and (pane not in SLOT or self.size_class is Size.FULL)
        ):
            mark = notes.get(pane, "")
            return Content.assemble(
                (f"{pane.key} {pane.heading}{mark}", "bold"), " zoomed" if self.zoomed else ""
            )
        sharing = SLOT if self.size_class is Size.WIDE else tuple(PaneId)
        names = [f"{p.key} {p.heading}{notes.get(p, '')}" for p in sharing]
        if sum(len(name) + 1 for name in names) + 1 > room:
            names = [f"{p.key} {p.short}{notes.get(p, '')}" for p in sharing]
        if sum(len(name) + 1 for name in names) + 1 > room:
            names = [name if p is pane else p.key for p, name in zip(sharing, names, strict=True)]
        parts: list[tuple[str, str]] = []
        for p, name in zip(sharing, names, strict=True):
            loud = bool(notes.get(p))
            style = "bold $accent" if p is pane else "$warning" if loud else "$text-muted"
            parts.append((f"[{name}]" if p is pane else name, style))
            parts.append((" ", ""))
        return Content.assemble(*parts[:-1])

    @on(Body.Resized)
    def body_resized(self) -> None:
        self.show()
        self.replan()

    @on(events.ScreenResume)
    def resumed(self) -> None:
        self.show()

    def choose(self, pane: PaneId) -> None:
        """Bring a pane to the front and give it the focus."""
        self.front = pane
        if pane in SLOT:
            self.slot = pane
        self.replan()
        self.set_focus(self.pane(pane).body)

    @on(events.DescendantFocus)
    def focus_moved(self, event: events.DescendantFocus) -> None:
        pane = next((node for node in event.widget.ancestors if isinstance(node, Pane)), None)
        if pane is None:
            return
        self.front = pane.PANE
        self._show_footer()
        if pane.PANE is PaneId.APPROVALS:
            self.looked_at_approvals()
        if isinstance(event.widget, Table) and event.widget.cursor_key:
            self._select(pane.PANE, event.widget.cursor_key)

    @on(Table.Highlighted)
    def cursor_moved(self, event: Table.Highlighted) -> None:
        pane = next((node for node in event.table.ancestors if isinstance(node, Pane)), None)
        if pane is not None and (event.table.has_focus or self.selection is None):
            self._select(pane.PANE, event.key)

    def _select(self, pane: PaneId, key: str) -> None:
        chosen = Selection(kind=pane, key=key)
        if chosen != self.selection:
            self.selection = chosen
            self.pane(PaneId.DETAIL).show(self.view)
