"""The command line. Each command imports what it needs when it runs: `--help` loads nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from app.cli_ask import asking
from app.cli_inbox import approvals, inbox, policy
from app.cli_learning import learning, proposals
from app.cli_memory import memory
from app.cli_ops import ops
from app.cli_options import (
    REFUSED,
    FromOption,
    JsonOption,
    MainDeskOption,
    Switch,
    ToOption,
    day_of,
    one_line,
)
from app.cli_safety import audit, safety
from app.cli_trading import trading
from app.cli_vendor import fmp, vendor, watch
from app.cli_views import history, views
from storage.records import VerdictMode

# The one public name of typer's family of usage errors; its base also covers unknown commands and options.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)

NOBODY_LEADS = 3  # exit code of `quorum status` for a desk that no process leads
INTERRUPTED = 130

app = typer.Typer(
    help="Quorum: the operator console of a trading desk of agents. Without a command it opens the console.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
desks = typer.Typer(help="The desks on this machine: each is one database.", no_args_is_help=True)
db = typer.Typer(help="The database schema.", no_args_is_help=True)
agents = typer.Typer(help="The agents of a desk: how each stands; pause, resume, run now.")
app.add_typer(history, name="history")
app.add_typer(desks, name="desks")
app.add_typer(db, name="db")
app.add_typer(agents, name="agents")
app.add_typer(memory)
app.add_typer(vendor)
app.add_typer(trading)
app.add_typer(asking)
app.add_typer(inbox)
app.add_typer(approvals, name="approvals")
app.add_typer(policy, name="policy")
app.add_typer(proposals, name="proposals")
app.add_typer(learning)
app.add_typer(ops)
app.add_typer(safety)
app.add_typer(views)
app.add_typer(audit, name="audit")
app.add_typer(fmp, name="fmp")
app.add_typer(watch, name="watch")

HistoryOption = Annotated[
    str, typer.Option("--history", help="A pack: a folder, an imported name, or `sample`.")
]
DeskOption = Annotated[str | None, typer.Option("--desk", help="Name of the desk, a database of its own.")]
SpeedOption = Annotated[
    float | None, typer.Option("--speed", min=0.01, help="Sessions a second; as fast as it goes without.")
]
VerdictsOption = Annotated[VerdictMode | None, typer.Option("--verdicts", help="Who answers the approvals.")]
AskTimeoutOption = Annotated[
    float,
    typer.Option(
        "--ask-timeout", min=0.1, max=86_400, help="Seconds an approval waits before it is rejected."
    ),
]
AgentArgument = Annotated[str, typer.Argument(help="regime, research, news, strategy, risk or learning.")]
LoopOption = Annotated[
    Switch, typer.Option("--loop", help="Whether the nights of learning are run too: on or off.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Begin anew, dropping what the desk holds.")]


@app.command()
@one_line
def replay(
    history: HistoryOption = "sample",
    first: FromOption = None,
    last: ToOption = None,
    desk: DeskOption = None,
    verdicts: VerdictsOption = None,
    speed: SpeedOption = None,
    ask_timeout: AskTimeoutOption = 600.0,
    fresh: FreshOption = False,
    loop: LoopOption = Switch.OFF,
    headless: Annotated[bool, typer.Option("--headless", help="Without the console.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Let the desk work through real market history, in the console or headless."""
    from app.commands.replay_order import ReplayOrder

    order = ReplayOrder(
        history=history,
        first=day_of(first),
        last=day_of(last),
        desk=desk,
        verdicts=verdicts or (VerdictMode.RECOMMENDED if headless else VerdictMode.ASK),
        speed=speed,
        ask_timeout_s=ask_timeout,
        fresh=fresh,
        loop=loop is Switch.ON,
    )
    if not headless:
        from app.commands.console import open_console

        open_console(order)
        return
    from app.commands.replay import run_headless

    if not run_headless(order, as_json=as_json):
        raise typer.Exit(INTERRUPTED)


@app.command(hidden=True)
@one_line
def host(
    history: Annotated[str | None, typer.Option("--history")] = None,
    first: FromOption = None,
    last: ToOption = None,
    desk: DeskOption = None,
    verdicts: VerdictsOption = None,
    speed: SpeedOption = None,
    ask_timeout: AskTimeoutOption = 600.0,
    fresh: FreshOption = False,
    loop: LoopOption = Switch.OFF,
) -> None:
    """Drive the desk a console shows, or see to it that a runtime does."""
    if history is None:
        from app.commands.attend import open_desk

        open_desk(desk, fresh=fresh, ask_timeout_s=ask_timeout)
        return
    from app.commands.replay import run_host
    from app.commands.replay_order import ReplayOrder

    run_host(
        ReplayOrder(
            history=history,
            first=day_of(first),
            last=day_of(last),
            desk=desk,
            verdicts=verdicts or VerdictMode.ASK,
            speed=speed,
            ask_timeout_s=ask_timeout,
            fresh=fresh,
            loop=loop is Switch.ON,
        )
    )


@app.command()
@one_line
def run(
    desk: DeskOption = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait where another runtime of this home leads, and take over.")
    ] = False,
) -> None:
    """Run the desk: its clock, its queue, its workers. One process leads, others stand by."""
    from app.commands.run import run_runtime
    from storage.server import MAIN_DESK

    run_runtime(desk or MAIN_DESK, standby=standby)


@app.command()
@one_line
def worker(
    queues: Annotated[str, typer.Option("--queues", help="Which to serve, with commas: io,compute.")],
    desk: DeskOption = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", help="Leave when stdin ends.", hidden=True)] = False,
) -> None:
    """Take jobs of a desk's queues, beside its runtime or on another machine."""
    from app.commands.run import run_worker
    from storage.server import MAIN_DESK

    run_worker(desk or MAIN_DESK, queues, lifeline=lifeline)


@app.command()
@one_line
def status(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Tell on one screen who leads a desk, what it did and what comes next.

    Exit code 0: it is led (or replayed). 3: nobody leads it. 2: it cannot be told, for the reason given.
    """
    from app.commands.status import print_status

    if not print_status(desk, as_object=as_json):
        raise typer.Exit(NOBODY_LEADS)


@app.command()
@one_line
def stop(
    desk: MainDeskOption = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=86_400, help="Seconds to wait until the leader has left.")
    ] = 30.0,
) -> None:
    """Ask the runtimes of a desk to finish what they are doing and leave.

    Exit code 0: the leader has left. 2: there was none, or it did not leave in time.
    """
    from app.commands.status import stop_desk

    stop_desk(desk, wait)


@app.command()
@one_line
def limits(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """List the limits in force: value, hard bound, what is used and left of each, and who set it."""
    from app.commands.limits import print_limits

    print_limits(desk, as_object=as_json)


@app.command()
@one_line
def rearm(
    reason: Annotated[str, typer.Option("--reason", help="Why the desk may trade again; it is kept.")],
    desk: MainDeskOption = None,
) -> None:
    """Let a desk trade again that its drawdown has stopped: at quarter size, with a new high-water mark."""
    from app.commands.rearm import rearm_desk

    rearm_desk(desk, reason)


@agents.callback(invoke_without_command=True)
@one_line
def agents_list(context: typer.Context, desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """The agents of a desk: how each stands; pause, resume, run now."""
    if context.invoked_subcommand is not None:
        context.obj = desk  # `agents --desk NAME pause AGENT` means that desk too
        return
    from app.commands.agents import print_agents

    print_agents(desk, as_object=as_json)


@agents.command("pause")
@one_line
def agents_pause(context: typer.Context, agent: AgentArgument, desk: MainDeskOption = None) -> None:
    """Let an agent abstain and its own slots be skipped, until it is resumed."""
    from app.commands.agents import pause_agent

    pause_agent(agent, desk or context.obj)


@agents.command("resume")
@one_line
def agents_resume(context: typer.Context, agent: AgentArgument, desk: MainDeskOption = None) -> None:
    """Let a paused agent work again."""
    from app.commands.agents import resume_agent

    resume_agent(agent, desk or context.obj)


@agents.command("run-now")
@one_line
def agents_run_now(context: typer.Context, agent: AgentArgument, desk: MainDeskOption = None) -> None:
    """Run an agent's last slot again if it failed or was skipped; what is done is never done twice."""
    from app.commands.agents import run_agent_now

    run_agent_now(agent, desk or context.obj)


@agents.command("show")
@one_line
def agents_show(
    context: typer.Context, agent: AgentArgument, desk: MainDeskOption = None, as_json: JsonOption = False
) -> None:
    """Show an agent's sessions, the figures logged for it and what its model calls cost."""
    from app.commands.thinking import print_agent

    print_agent(agent, desk or context.obj, as_object=as_json)


@app.command()
@one_line
def spend(desk: MainDeskOption = None, as_json: JsonOption = False) -> None:
    """Tell what models have cost today and this month, against the caps."""
    from app.commands.spend import print_spend

    print_spend(desk, as_object=as_json)


@app.command()
@one_line
def models(as_json: JsonOption = False) -> None:
    """Ask the server about each configured model: whether it is there, until when, and its price."""
    from app.commands.models import print_models

    print_models(as_object=as_json)


@app.command()
@one_line
def regime(
    history: HistoryOption = "sample",
    first: FromOption = None,
    last: ToOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="date,direction,volatility,probability")] = False,
) -> None:
    """Read the regime of each session from the data up to it."""
    from app.commands.regime import print_regimes

    print_regimes(history, day_of(first), day_of(last), csv=csv)


@history.command("import")
@one_line
def history_import(
    folder: Annotated[Path, typer.Argument(help="The folder to check and copy.")],
    name: Annotated[str | None, typer.Option("--name", help="Its name from now on.")] = None,
) -> None:
    """Check a history pack and keep a copy, so that `--history NAME` finds it."""
    from agents.market.history import import_pack
    from app.settings import load_settings

    pack = import_pack(folder, load_settings().library, name)
    typer.echo(f"{pack.name}: {len(pack.instruments)} symbols, {pack.first} to {pack.last}")


@desks.command("list")
@one_line
def desks_list() -> None:
    """Name every desk."""
    from app.commands.desks import print_desks

    print_desks()


@desks.command("drop")
@one_line
def desks_drop(name: str) -> None:
    """Remove a HISTORY desk and all it remembers."""
    from app.commands.desks import drop_desk

    drop_desk(name)


@db.command("upgrade")
@one_line
def db_upgrade(desk: DeskOption = None) -> None:
    """Bring a desk's database to this version's schema."""
    from app.commands.desks import upgrade_desk

    upgrade_desk(desk)


@db.command("downgrade")
@one_line
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="The schema to go back to, or `base`.")],
    desk: DeskOption = None,
) -> None:
    """Take a desk's database back to an earlier schema, after a backup: what later ones added is lost."""
    from app.commands.schema import downgrade_desk

    downgrade_desk(desk, revision)


@db.command("tables")
@one_line
def db_tables(desk: DeskOption = None, as_json: JsonOption = False) -> None:
    """List a desk's tables with their rows, and the schema it stands at."""
    from app.commands.schema import print_tables

    print_tables(desk, as_object=as_json)


@db.command("check")
@one_line
def db_check() -> None:
    """Prove on a scratch database that the migrations give the models' schema, up, down and up again."""
    from app.commands.schema import check_schema

    check_schema()


@app.command()
@one_line
def console(desk: DeskOption = None, fresh: FreshOption = False) -> None:
    """Open the console, as `quorum` alone does."""
    _console(desk, fresh=fresh)


@app.callback(invoke_without_command=True)
@one_line
def main_options(context: typer.Context, desk: DeskOption = None) -> None:
    """Quorum: the operator console of a trading desk of agents. Without a command it opens the console."""
    if context.invoked_subcommand is None:
        _console(desk, fresh=False)
    elif desk is not None:
        raise typer.BadParameter("--desk goes behind the command")


def _console(desk: str | None, *, fresh: bool) -> None:
    from app.commands.console import exec_console

    exec_console([*(["--desk", desk] if desk else []), *(["--fresh"] if fresh else [])])


def main() -> int:
    """Run the command line; the exit code. Words it cannot read are one line, as every other refusal."""
    try:
        code = app(standalone_mode=False, prog_name="quorum")
    except UsageError as wrong:
        said = wrong.format_message().removesuffix(".")
        typer.echo(f"quorum: {said}; `quorum --help` and `quorum COMMAND --help` tell more", err=True)
        return REFUSED
    except typer.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
