"""The console's app: it wires themes, screens, the feed and the host, and keeps the one frozen state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from textual import on
from textual.binding import BindingType
from textual.command import Provider
from textual.message import Message
from textual.reactive import var

from app.console.actions import Scope, bindings_for
from app.console.app_changes import ChangesApp
from app.console.changing import Changing
from app.console.clock import Clock, SystemClock
from app.console.feed import Feed, OpenDesk, open_storage_desk
from app.console.glyphs import ASCII, Glyphs, glyphs_for_locale
from app.console.messages import (
    AgentTold,
    CommandTaken,
    DeskLost,
    DigestAsked,
    EquityAsked,
    ExchangesAsked,
    ExchangesRead,
    HaltAsked,
    HistoryAsked,
    HostDied,
    HostProgressed,
    HostReady,
    HostRefused,
    NoteAsked,
    PatternsAsked,
    PositionAsked,
    RefreshAsked,
    ReviewAsked,
    SnapshotArrived,
    StopAsked,
    StopTaken,
    TakeBackAsked,
    UndoAsked,
    VerdictTaken,
    WhyAsked,
)
from app.console.notes import after_stop, keeps_running, parting
from app.console.screens.desk import DeskScreen
from app.console.state import ConsoleEvent, ConsoleState, HostHealth, Link, View
from app.console.text import TONES
from app.console.themes import STANDARD, THEMES
from storage.plain import clean

if TYPE_CHECKING:
    from uuid import UUID

    from app.console.commands import Asked
    from app.console.screens.review import Verdict
    from storage.records import Operator

STYLES = Path(__file__).resolve().parents[2] / "styles.tcss"
REFUSED = 2
RECEIPT_S = 6.0
REFUSAL_S = 20.0

Post = Callable[[Message], bool]


class HostPort(Protocol):
    """All the console asks of the process that drives the desk; `host.Host` is the real one."""

    def start(self) -> None: ...

    def close(self, wait_s: float) -> None: ...


@runtime_checkable
class Shows(Protocol):
    """A screen that shows the app's state."""

    def show(self) -> None: ...


def desk_commands() -> type[Provider]:
    """The palette's content, imported when the palette opens."""
    from app.console.palette import DeskCommands

    return DeskCommands


class ConsoleApp(ChangesApp):
    """The operator's console of one desk."""

    CSS_PATH = STYLES
    TITLE = "Quorum"
    COMMANDS = {desk_commands}  # noqa: RUF012
    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONES)
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.APP)
    COMMAND_PALETTE_BINDING = "ctrl+p"

    # Not `reactive`: on an app that would repaint the whole screen at every snapshot.
    state: var[ConsoleState] = var(ConsoleState, init=False)

    def __init__(
        self,
        *,
        operator: Callable[[], Operator],
        host: Callable[[Post], HostPort],
        open_desk: OpenDesk = open_storage_desk,
        clock: Clock | None = None,
        glyphs: Glyphs | None = None,
    ) -> None:
        super().__init__()
        self.clock = clock or SystemClock()
        self.glyphs = glyphs or glyphs_for_locale()
        self.host = host(self.post_message)
        self.feed: Feed | None = None
        self.refusal = ""  # why the host could not work at all: the process says it when the screen is gone
        self._stop_answered: bool | None = None  # None: the desk was not asked to stop
        self.commands = Changing(
            open_desk=open_desk,
            operator=operator,
            post=self.post_message,
            run=lambda work: self.run_worker(work, thread=True, group="command", exit_on_error=False),
        )
        self._open_desk = open_desk
        self.set_class(self.glyphs is ASCII, "-ascii")
        for theme in THEMES:
            self.register_theme(theme)
        # TEXTUAL_THEME keeps its meaning: only Textual's own default gives way to ours.
        if self.theme == "textual-dark":
            self.theme = STANDARD.name

    def get_default_screen(self) -> DeskScreen:
        return DeskScreen(self.view)

    def on_ready(self) -> None:
        """The first frame stands: now there is time for processes and databases."""
        self.host.start()
        self.set_interval(1.0, self._tick)

    def leave(self) -> None:
        """End the app; safe to call from a signal handler."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self.exit)

    # What is known

    def view(self) -> View:
        return View(state=self.state, now=self.clock.now(), glyphs=self.glyphs)

    @property
    def desk_screen(self) -> DeskScreen:
        screen = self.screen_stack[0]
        assert isinstance(screen, DeskScreen)
        return screen

    def watch_state(self) -> None:
        """Whatever is in front shows the state; the panes under a dialog rest until it is gone."""
        if not self.screen_stack:
            return
        if isinstance(self.screen, Shows):
            self.screen.show()

    def _tick(self) -> None:
        if isinstance(self.screen, DeskScreen):
            self.screen.tick()

    def _note(self, text: str, *, bad: bool = False) -> ConsoleState:
        return self.state.with_event(ConsoleEvent(at=self.clock.now(), text=text, bad=bad))

    @on(SnapshotArrived)
    def snapshot_arrived(self, message: SnapshotArrived) -> None:
        state = self._note("the desk can be read again") if self.state.link is Link.AWAY else self.state
        self.state = replace(state, snapshot=message.snapshot or state.snapshot, link=Link.UP, link_reason="")

    @on(DeskLost)
    def desk_lost(self, message: DeskLost) -> None:
        state = self.state
        if state.link is not Link.AWAY or state.link_reason != message.reason:
            state = self._note(f"the desk cannot be read: {message.reason}; the last data stay", bad=True)
        self.state = replace(state, link=Link.AWAY, link_reason=message.reason)

    @on(HostProgressed)
    def host_progressed(self, message: HostProgressed) -> None:
        self.state = replace(self.state, host_note=message.note)

    @on(HostReady)
    def host_ready(self, message: HostReady) -> None:
        again = self.state.host is HostHealth.RESTARTING
        state = self._note(f"the host runs{' again' if again else ''}; desk {message.desk}")
        self.state = replace(state, host=HostHealth.RUNNING, host_note="reading the desk", desk=message.desk)
        if self.feed is None or self.feed.conninfo != message.conninfo:
            if self.feed is not None:
                self.feed.stop()
            self.commands.conninfo = message.conninfo
            self.feed = Feed(self._open_desk, message.conninfo, self.post_message)
            self.feed.start()
        else:
            self.feed.refresh()

    @on(HostDied)
    def host_died(self, message: HostDied) -> None:
        note = f"the host stopped ({message.reason}); restarting in {message.retry_s:g} s"
        self.state = replace(self._note(note, bad=True), host=HostHealth.RESTARTING, host_note=note)

    @on(HostRefused)
    def host_refused(self, message: HostRefused) -> None:
        self.refusal = message.problem
        self.exit(return_code=REFUSED)

    # What the operator does

    def action_help(self) -> None:
        from app.console.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        here = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(here + 1) % len(names)]

    @on(RefreshAsked)
    def refresh_asked(self) -> None:
        if self.feed is not None:
            self.feed.refresh()

    @on(ReviewAsked)
    def review_asked(self, message: ReviewAsked) -> None:
        self.review(message.approval_id)

    def review(self, approval_id: UUID) -> None:
        """Open the review of a waiting approval."""
        from app.console.screens.review import ReviewScreen

        row = self.state.approval(approval_id)
        if row is None or isinstance(self.screen, ReviewScreen):
            return
        self.desk_screen.looked_at_approvals()
        self.push_screen(ReviewScreen(row, self.view, self.clock), self._reviewed)

    def _reviewed(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self.commands.decide(verdict)

    @on(WhyAsked)
    def why_asked(self) -> None:
        from app.console.screens.why import WhyScreen

        if not isinstance(self.screen, WhyScreen):
            self.push_screen(WhyScreen(self.view))

    @on(ExchangesAsked)
    def exchanges_asked(self, message: ExchangesAsked) -> None:
        row = self.state.approval(message.approval_id)
        if row is not None:
            self.commands.read_exchanges(row.id, row.terms.symbol)

    @on(ExchangesRead)
    def exchanges_read(self, message: ExchangesRead) -> None:
        from app.console.screens.exchange import ExchangeScreen

        if message.problem:
            self.notify(message.problem, severity="error", timeout=REFUSAL_S, markup=False)
        elif not isinstance(self.screen, ExchangeScreen):
            self.push_screen(ExchangeScreen(message.symbol, message.exchanges))

    @on(HistoryAsked)
    def history_asked(self) -> None:
        from app.console.screens.history import HistoryScreen

        if not isinstance(self.screen, HistoryScreen):
            self.push_screen(HistoryScreen(self.view, self.commands))

    @on(EquityAsked)
    def equity_asked(self) -> None:
        from app.console.screens.equity import EquityScreen

        if not isinstance(self.screen, EquityScreen):
            self.push_screen(EquityScreen(self.view, self.commands))

    @on(DigestAsked)
    def digest_asked(self) -> None:
        from app.console.screens.digest import DigestScreen

        if not isinstance(self.screen, DigestScreen):
            self.push_screen(DigestScreen(self.commands))

    @on(PatternsAsked)
    def patterns_asked(self) -> None:
        from app.console.screens.patterns import PatternsScreen

        if not isinstance(self.screen, PatternsScreen):
            self.push_screen(PatternsScreen(self.view, self.commands))

    @on(NoteAsked)
    def note_asked(self, message: NoteAsked) -> None:
        from app.console.screens.note import NoteScreen

        if not isinstance(self.screen, NoteScreen):
            self.push_screen(
                NoteScreen(message.symbol), lambda words: self._noted(message.position_id, words)
            )

    def _noted(self, position_id: UUID, words: str | None) -> None:
        if words:
            self.commands.write_note(position_id, words)

    @on(UndoAsked)
    def undo_asked(self) -> None:
        target = self._undoable()
        if target is None:
            self.notify("no verdict can be taken back now", timeout=RECEIPT_S)
            return
        self.commands.undo(*target)

    def _undoable(self) -> tuple[UUID, str] | None:
        """The verdict given last whose time to undo still runs, here or from another terminal."""
        now = self.clock.now()
        last = self.state.verdict
        if last is not None and last.receipt.accepted and last.verb != "undone":
            until = last.receipt.effective_at
            if until is not None and until > now:
                return last.approval_id, last.symbol
        rows = self.state.snapshot.approvals if self.state.snapshot else ()
        running = [
            row
            for row in rows
            if row.decided_at is not None and row.effective_at is not None and row.effective_at > now
        ]
        latest = max(running, key=lambda row: row.decided_at or now, default=None)
        return None if latest is None else (latest.id, latest.terms.symbol)

    @on(VerdictTaken)
    def verdict_taken(self, message: VerdictTaken) -> None:
        taken = message.verdict
        accepted = taken.receipt.accepted
        text = f"{taken.verb} {clean(taken.symbol)}" + ("" if accepted else " REFUSED")
        if taken.receipt.message:
            text = f"{text}: {clean(taken.receipt.message)}"
        self._acknowledge(text, accepted=accepted)
        self.state = replace(self.state, verdict=taken)
        if accepted and taken.verb != "undone" and self.screen is self.desk_screen:
            self._review_next(taken.approval_id)

    def _review_next(self, decided: UUID) -> None:
        """Open the card after the one that was decided; its keys are dead until it could have been read."""
        snapshot = self.state.snapshot
        keys = [row.id for row in snapshot.pending] if snapshot else []
        if decided in keys and keys[-1] != decided:
            self.review(keys[keys.index(decided) + 1])

    @on(AgentTold)
    def agent_told(self, message: AgentTold) -> None:
        self.commands.tell_agent(message.command, message.agent)

    @on(CommandTaken)
    def command_taken(self, message: CommandTaken) -> None:
        receipt = message.receipt
        refused = "" if receipt.accepted else " REFUSED, nothing changed"
        self._acknowledge(f"{message.what}{refused}: {clean(receipt.message)}", accepted=receipt.accepted)

    def _acknowledge(self, text: str, *, accepted: bool) -> None:
        """Show a receipt and keep it in the log; what it changed is read at once."""
        self.notify(
            text,
            severity="information" if accepted else "error",
            timeout=RECEIPT_S if accepted else REFUSAL_S,
            markup=False,
        )
        self.state = self._note(text, bad=not accepted)
        self.refresh_asked()

    # Leaving

    async def action_quit(self) -> None:
        """Leave; where a desk goes on without the console, say so first. The second time leaves at once."""
        from app.console.screens.quit import QuitScreen

        if isinstance(self.screen, QuitScreen) or not keeps_running(self.state):
            self.exit()
        else:
            self.push_screen(QuitScreen(self.view), self._asked_to_quit)

    def _asked_to_quit(self, leaves: bool | None) -> None:
        if leaves:
            self.exit()

    @on(HaltAsked)
    def halt_asked(self) -> None:
        from app.console.screens.halt import HaltScreen

        if not isinstance(self.screen, HaltScreen):
            self.push_screen(HaltScreen(self.view), self._answered_halt)

    def _answered_halt(self, reason: str | None) -> None:
        if reason:
            self.commands.halt(reason)

    @on(PositionAsked)
    def position_asked(self, message: PositionAsked) -> None:
        from app.console.screens.position import PositionScreen

        if not isinstance(self.screen, PositionScreen):
            screen = PositionScreen(message.ask, message.row, self.view, self.clock)
            self.push_screen(screen, self._answered_position)

    def _answered_position(self, asked: Asked | None) -> None:
        if asked is not None:
            self.commands.ask_of_position(asked)

    @on(TakeBackAsked)
    def take_back_asked(self, message: TakeBackAsked) -> None:
        self.commands.take_back(message.symbol)

    @on(StopAsked)
    def stop_asked(self) -> None:
        self._stop_answered = False
        self.commands.stop()

    @on(StopTaken)
    def stop_taken(self, message: StopTaken) -> None:
        from app.console.screens.quit import QuitScreen

        receipt, screen = message.receipt, self.screen
        self._stop_answered = True if receipt.accepted else None
        if isinstance(screen, QuitScreen) and screen.asking:
            if receipt.accepted:
                self.exit()
                return
            screen.refuse(clean(receipt.message))
        self.command_taken(CommandTaken("stop the desk", receipt))

    @property
    def parting(self) -> str:
        """What the process says once the screen is gone."""
        if self._stop_answered is None:
            return parting(self.state)
        return after_stop(self.state, answered=self._stop_answered)
