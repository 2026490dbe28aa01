"""The room the panes share: where each stands is the plan's, those it leaves out take no place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Region
from textual.geometry import Size as Cells
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message import Message
from textual.widget import Widget

from app.console.layout import Plan


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
