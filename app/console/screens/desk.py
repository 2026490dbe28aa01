"""The desk: strip, note, panes, footer; it decides which panes are in sight and shows them the state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region
from textual.geometry import Size as Cells
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from app.console.actions import Scope, bindings_for
from app.console.commands import AgentCommand, Ask
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
from app.console.messages import (
    AgentTold,
    ExchangesAsked,
    HaltAsked,
    PositionAsked,
    RefreshAsked,
    ReviewAsked,
    TakeBackAsked,
    UndoAsked,
    WhyAsked,
)
from app.console.notes import banner_line, banner_text, footer_line
from app.console.panes.agents import AgentsPane
from app.console.panes.approvals import ApprovalsPane, pending_note
from app.console.panes.base import Pane
from app.console.panes.detail import DetailPane
from app.console.panes.log import LogPane
from app.console.panes.positions import PositionsPane
from app.console.panes.quota import QuotaPane
from app.console.panes.regime import RegimePane
from app.console.panes.watch import WatchPane
from app.console.state import Selection, View, lives
from app.console.strip import DeskStrip
from app.console.text import Piece, Tone, line
from app.console.widgets.lines import LineRow, LinesView
from app.console.widgets.table import Table

if TYPE_CHECKING:
    from storage.snapshot import AgentRow, PositionRow

PANES = (WatchPane, ApprovalsPane, PositionsPane, RegimePane, QuotaPane, AgentsPane, LogPane, DetailPane)
AGENT_KEYS = ("pause_agent", "run_agent")
TOO_SMALL = f"need {MIN_WIDTH}x{MIN_HEIGHT}"


class DeskLayout(Layout):
    """Puts each pane where the plan says and leaves the others out."""

    name = "desk"

    def __init__(self, plan_for: Callable[[Cells], Plan]) -> None:
        self._plan_for = plan_for

    def arrange(
        self, parent: Widget, children: list[Widget], size: Cells, greedy: bool = True
    ) -> ArrangeResult:
        parent.pre_layout(self)
        places: dict[str | None, Region] = {
            pane.value: region for pane, region in self._plan_for(size).places
        }
        return [
            WidgetPlacement(
                places[child.id], child.styles.offset.resolve(size, size), child.styles.margin, child
            )
            for child in children
            if child.id in places
        ]


class Body(Widget):
    """Holds the panes."""

    class Resized(Message):
        """The panes have another room to share."""

    def __init__(self, layout: Layout, panes: Sequence[Widget]) -> None:
        super().__init__(*panes, id="body")
        self._layout = layout

    @property
    def layout(self) -> Layout:
        return self._layout

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class DeskScreen(Screen[None], inherit_bindings=False):
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (MIN_WIDTH, "-small"), (PLAIN_WIDTH, "-roomy")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (MIN_HEIGHT, "-low"), (PLAIN_HEIGHT, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.DESK)
    AUTO_FOCUS = "#watch Table"

    def __init__(self, view: Callable[[], View]) -> None:
        super().__init__()
        self._view_of_app = view
        self.front = PaneId.WATCH
        self.slot = PaneId.POSITIONS
        self.zoomed = False
        self.selection: Selection | None = None
        self.needle = ""
        self.note_hidden = ""
        self._came_from: PaneId | None = None
        self.panes: tuple[Pane[LinesView], ...] = tuple(pane() for pane in PANES)
        self._strip = DeskStrip()
        self._banner = LineRow(id="banner")
        self._body = Body(DeskLayout(self._plan_for), self.panes)
        self._filter = Input(
            id="filter", placeholder="filter: symbol, name, sector, thesis or held", compact=True
        )
        self._footer = LineRow(id="footer")
        self._known_waiting: frozenset[str] = frozenset()
        self._seen_waiting: frozenset[str] = frozenset()

    def compose(self) -> ComposeResult:
        self._filter.display = False
        yield from (self._strip, self._banner, self._body, self._filter, self._footer)
        yield LineRow(id="too-small")

    def on_mount(self) -> None:
        self.query_one("#too-small", LineRow).set_lines([line(Piece(TOO_SMALL, Tone.STRONG))])

    # What is shown

    @property
    def view(self) -> View:
        return replace(self._view_of_app(), selection=self.selection, needle=self.needle)

    def show(self) -> None:
        """Show the app's state; panes out of sight only remember it."""
        view = self.view
        self._show_strip(view)
        self._show_note(view)
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
        if snapshot.pending or lives(snapshot):
            self.pane(PaneId.DETAIL).show(view)

    def _show_strip(self, view: View) -> None:
        self._strip.show(view, self.size.width)

    def _show_note(self, view: View) -> None:
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
        first = AGENT_KEYS if self.front is PaneId.AGENTS else ()
        self._footer.set_lines([footer_line(self.size.width, Scope.APP, Scope.DESK, first=first)])

    def _title_panes(self) -> None:
        snapshot = self._view_of_app().state.snapshot
        note = pending_note(snapshot) if snapshot else ""
        shown = self.plan
        for pane in self.panes:
            if pane.PANE not in shown:
                continue
            pane.head(self._title(pane.PANE, note, self.size.width - 6))

    def _title(self, pane: PaneId, note: str, room: int) -> Content:
        """The pane's name; where panes share a place, the names of all that can stand there."""
        if self.zoomed or (
            self.size_class is not Size.PLAIN and (pane not in SLOT or self.size_class is Size.FULL)
        ):
            mark = note if pane is PaneId.APPROVALS else ""
            return Content.assemble(
                (f"{pane.key} {pane.heading}{mark}", "bold"), " zoomed" if self.zoomed else ""
            )
        sharing = SLOT if self.size_class is Size.WIDE else tuple(PaneId)
        names = [f"{p.key} {p.heading}{note if p is PaneId.APPROVALS else ''}" for p in sharing]
        if sum(len(name) + 1 for name in names) + 1 > room:
            names = [f"{p.key} {p.short}{note if p is PaneId.APPROVALS else ''}" for p in sharing]
        if sum(len(name) + 1 for name in names) + 1 > room:
            names = [name if p is pane else p.key for p, name in zip(sharing, names, strict=True)]
        parts: list[tuple[str, str]] = []
        for p, name in zip(sharing, names, strict=True):
            loud = p is PaneId.APPROVALS and bool(note)
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

    # What the operator does

    @on(Table.Opened)
    def row_opened(self, event: Table.Opened) -> None:
        state = self._view_of_app().state
        if self.front is PaneId.APPROVALS and state.snapshot is not None:
            for row in state.snapshot.pending:
                if str(row.id) == event.key:
                    self.post_message(ReviewAsked(row.id))
                    return
        self._came_from = self.front
        self.choose(PaneId.DETAIL)

    def action_pane(self, key: str) -> None:
        self._came_from = None
        self.choose(list(PaneId)[int(key) - 1])

    def action_next_pane(self) -> None:
        self._step(1)

    def action_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        order = list(PaneId)
        if self.size_class is not Size.PLAIN and not self.zoomed:
            order = [pane for pane, _ in self.plan.places]
        here = order.index(self.front) if self.front in order else 0
        self.choose(order[(here + step) % len(order)])

    def action_zoom(self) -> None:
        if self.size_class is Size.PLAIN and not self.zoomed:
            self.notify("one pane at a time fits here already", timeout=3)
            return
        self.zoomed = not self.zoomed
        self.choose(self.front)

    def action_filter(self) -> None:
        self.choose(PaneId.WATCH)
        self._filter.display = True
        self._filter.focus()

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        self.needle = event.value
        self.pane(PaneId.WATCH).show(self.view)

    @on(Input.Submitted, "#filter")
    def filter_done(self) -> None:
        self._filter.display = False
        self.choose(PaneId.WATCH)

    def action_back(self) -> None:
        if self._filter.display or self.needle:
            self._filter.value = ""
            self._filter.display = False
            self.choose(PaneId.WATCH)
        elif self.zoomed:
            self.action_zoom()
        elif self._came_from is not None:
            pane, self._came_from = self._came_from, None
            self.choose(pane)

    def action_banner(self) -> None:
        text = banner_text(self._view_of_app().state)
        self.note_hidden = "" if self.note_hidden == text else text
        self._show_note(self.view)

    def action_next_pending(self) -> None:
        self._to_pending(1)

    def action_previous_pending(self) -> None:
        self._to_pending(-1)

    def _to_pending(self, step: int) -> None:
        snapshot = self._view_of_app().state.snapshot
        keys = [str(row.id) for row in snapshot.pending] if snapshot else []
        if not keys:
            self.notify("no approval waits for a verdict", timeout=3)
            return
        table = self.pane(PaneId.APPROVALS).body
        assert isinstance(table, Table)
        visited = self.front is PaneId.APPROVALS and table.cursor_key in keys
        index = (keys.index(table.cursor_key) + step) % len(keys) if visited else 0 if step > 0 else -1
        self.choose(PaneId.APPROVALS)
        table.select(keys[index])

    def action_pause_agent(self) -> None:
        row = self._chosen_agent()
        if row is not None:
            paused = row.paused_by is not None
            command = AgentCommand.RESUME if paused else AgentCommand.PAUSE
            self.post_message(AgentTold(command, row.agent))

    def action_run_agent(self) -> None:
        row = self._chosen_agent()
        if row is not None:
            self.post_message(AgentTold(AgentCommand.RUN_NOW, row.agent))

    def _chosen_agent(self) -> AgentRow | None:
        """The agent under the cursor of its pane, also while its detail is in front; else say where it is."""
        snapshot, chosen = self._view_of_app().state.snapshot, self.selection
        in_front = self.front in (PaneId.AGENTS, PaneId.DETAIL)
        if snapshot is not None and in_front and chosen is not None and chosen.kind is PaneId.AGENTS:
            row = next((row for row in snapshot.agents if row.agent.value == chosen.key), None)
            if row is not None and lives(snapshot):
                return row
            if row is not None:
                self.notify("a replay runs its agents by itself: none can be paused or hurried", timeout=5)
                return None
        self.notify(f"go to the agents pane ({PaneId.AGENTS.key}) and choose one", timeout=5)
        return None

    def action_why(self) -> None:
        self.post_message(WhyAsked())

    def action_exchanges(self) -> None:
        snapshot, chosen = self._view_of_app().state.snapshot, self.selection
        if snapshot is not None and chosen is not None and chosen.kind is PaneId.APPROVALS:
            for row in snapshot.approvals:
                if str(row.id) == chosen.key:
                    self.post_message(ExchangesAsked(row.id))
                    return
        self.notify(f"go to the approvals pane ({PaneId.APPROVALS.key}) and choose one", timeout=5)

    def action_close_position(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(PositionAsked(Ask.CLOSE, row))

    def action_move_stop(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(PositionAsked(Ask.STOP, row))

    def action_take_back(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(TakeBackAsked(row.symbol))

    def action_flatten(self) -> None:
        snapshot = self._view_of_app().state.snapshot
        if snapshot is None or not snapshot.positions:
            self.notify("nothing is held", timeout=3)
            return
        self.post_message(PositionAsked(Ask.FLATTEN, None))

    def _chosen_position(self) -> PositionRow | None:
        """The position under the cursor, also while its detail is in front; else say where it is."""
        snapshot, chosen = self._view_of_app().state.snapshot, self.selection
        in_front = self.front in (PaneId.POSITIONS, PaneId.DETAIL)
        if snapshot is not None and in_front and chosen is not None and chosen.kind is PaneId.POSITIONS:
            row = next((row for row in snapshot.positions if str(row.id) == chosen.key), None)
            if row is not None:
                return row
        self.notify(f"go to the positions pane ({PaneId.POSITIONS.key}) and choose one", timeout=5)
        return None

    def action_halt(self) -> None:
        self.post_message(HaltAsked())

    def action_undo(self) -> None:
        self.post_message(UndoAsked())

    def action_refresh_desk(self) -> None:
        self.post_message(RefreshAsked())
