"""`quorum replay` and the host of a console: one order, run headless or for a screen."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import typer

from agents.market.clock import SystemClock
from agents.market.history import HistoryPack, find_pack, load_pack
from app.commands.replay_order import ReplayOrder
from app.runtime.founding import ReplayRequest, choose_desk, found_desk, sessions_of
from app.runtime.host import drive_until_alone
from app.runtime.host_lines import say
from app.runtime.outage import through_outages
from app.runtime.replay import Pace, Replay
from app.runtime.report import ReplayReport, read_report
from app.settings import Settings, load_settings
from app.wiring import desk_parts
from storage import plain
from storage.records import DeskKind, VerdictMode
from storage.server import Server, open_server

PROGRESS_S = 5.0
CONSOLE_UNDO_S = 5  # a simulated clock stands still until then, so the wait is kept short


@dataclass(frozen=True, kw_only=True)
class PreparedReplay:
    """A replay whose desk stands."""

    desk: str
    conninfo: str
    pack: HistoryPack
    replay: Replay


class Progress:
    """Says every few seconds how far a replay is, to a human at a terminal."""

    def __init__(self, sessions: list[date]) -> None:
        self._of = {session: number for number, session in enumerate(sessions, start=1)}
        self._said = time.monotonic()

    def __call__(self, session: date) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._said > PROGRESS_S:
            self._said = time.monotonic()
            typer.echo(f"{session}: session {self._of[session]} of {len(self._of)}", err=True)


def run_headless(order: ReplayOrder, *, as_json: bool) -> bool:
    """Run to the end and print the report; False when a signal stopped it before."""
    started = time.monotonic()
    settings = load_settings()
    pack = load_pack(find_pack(order.history, settings.library))
    sessions = sessions_of(pack, order.first, order.last)
    server = open_server(settings.home, settings.database_url)
    prepared = asyncio.run(prepare(server, settings, order, pack, sessions, Progress(sessions)))
    typer.echo(f"desk {prepared.desk}: running; the same command resumes it when it is stopped", err=True)
    if not asyncio.run(_until_signalled(prepared.replay)):
        typer.echo(f"desk {prepared.desk}: stopped; the same command resumes it", err=True)
        return False
    report = asyncio.run(through_outages(server, lambda: _report(prepared, started)))
    typer.echo(json.dumps(plain.as_json(report)) if as_json else _sentences(report))
    return True


def run_host(order: ReplayOrder) -> None:
    """Prepare the desk, tell the console where it is, drive it until the console is gone."""
    settings = load_settings()
    say("progress", message="reading the history pack")
    pack = load_pack(find_pack(order.history, settings.library))
    sessions = sessions_of(pack, order.first, order.last)
    say("progress", message="starting the database")
    server = open_server(settings.home, settings.database_url)

    async def host() -> None:
        prepared = await prepare(server, settings, order, pack, sessions)
        say("desk", desk=prepared.desk, conninfo=prepared.conninfo)
        await drive_until_alone(prepared.replay.run, lifeline=sys.stdin)

    asyncio.run(host())


async def prepare(
    server: Server,
    settings: Settings,
    order: ReplayOrder,
    pack: HistoryPack,
    sessions: list[date],
    passed: Callable[[date], None] = lambda session: None,
) -> PreparedReplay:
    """Open or found the desk, however often the database goes away. Raises OperatorError."""
    return await through_outages(server, lambda: _prepare(server, settings, order, pack, sessions, passed))


async def _prepare(
    server: Server,
    settings: Settings,
    order: ReplayOrder,
    pack: HistoryPack,
    sessions: list[date],
    passed: Callable[[date], None],
) -> PreparedReplay:
    parts = desk_parts(settings, DeskKind.HISTORY)
    request = ReplayRequest(
        desk=order.desk,
        pack=pack,
        first=sessions[0],
        last=sessions[-1],
        verdicts=order.verdicts,
        start_equity=settings.start_equity,
        undo_s=CONSOLE_UNDO_S if order.verdicts is VerdictMode.ASK else 0,
        fresh=order.fresh,
        loop=order.loop,
    )
    desk = choose_desk(server, request, parts)
    await found_desk(server, desk, request, sessions, parts)
    database = server.desk_database(desk)
    return PreparedReplay(
        desk=desk,
        conninfo=server.conninfo(database),
        pack=pack,
        replay=Replay(
            server=server,
            database=database,
            pack=pack,
            sessions=sessions,
            parts=parts,
            pace=Pace(
                verdicts=order.verdicts,
                ask_timeout_s=order.ask_timeout_s,
                undo_s=request.undo_s,
                sessions_per_second=order.speed,
            ),
            wall=SystemClock(),
            loop=order.loop,
            passed=passed,
        ),
    )


async def _until_signalled(replay: Replay) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await replay.run(stop)


async def _report(prepared: PreparedReplay, started: float) -> ReplayReport:
    return read_report(prepared.conninfo, time.monotonic() - started)


def _sentences(report: ReplayReport) -> str:
    won = "-" if report.win_rate is None else f"{report.win_rate:.1%}"
    mean = "-" if report.mean_r is None else f"{report.mean_r:+.3f} R"
    if report.r.low is not None and report.r.high is not None:
        mean += f" (95% {report.r.low:+.3f} to {report.r.high:+.3f})"
    lines = [
        f"desk {report.desk}: {report.first_session} to {report.last_session}, {report.sessions} sessions "
        f"in {report.seconds:.0f} s" + "".join(f" [{stamp}]" for stamp in report.stamps),
        f"equity {report.start_equity:,.2f} to {report.final_equity:,.2f} dollars, "
        f"worst drawdown {report.max_drawdown:.1%}",
        f"trades {report.trades}, won {won}, mean {mean}; regime switches {report.regime_switches}",
        *_nights(report),
        f"dividends {report.dividends:,.2f}; models {report.model_spend:,.2f}, "
        f"net of them {report.net_equity:,.2f} dollars",
        f"slippage: {_slippage(report)}",
        *(f"benchmark {name}: {value:,.2f}" for name, value in report.benchmarks.items()),
        "denied: " + (", ".join(f"{name} {count}" for name, count in report.denials.items()) or "nothing"),
    ]
    return "\n".join(lines)


def _nights(report: ReplayReport) -> list[str]:
    loop = report.loop
    if not loop.nights:
        return []
    return [
        f"learning: {loop.nights} nights, {loop.trials} variants tried, {loop.proposals} proposed, "
        f"{loop.refused} refused; {loop.approved} approved, {loop.rejected} rejected, "
        f"{loop.promotions} came into force, {loop.rollbacks} rolled back, {loop.expired} expired; "
        f"{loop.alarms} alarms"
    ]


def _slippage(report: ReplayReport) -> str:
    cost = report.slippage.shortfall
    if cost.mean is None:
        return report.slippage.verdict
    return f"{cost.mean:+.1f} bps from the proposal's close to the fill. {report.slippage.verdict}"
