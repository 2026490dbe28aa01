"""One evening as its rows tell it: the funnel, and every candidate that was argued over.

The same query serves a screen, which has psycopg alone, and the desk's own step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import psycopg

from storage.funnel import Answered, Deliberated, Funnel, Ordered, ScreenCounts, funnel
from storage.records import AgentName, ApprovalState, OrderState, SetupType, Stance
from storage.rows import fetch_one


@dataclass(frozen=True, kw_only=True)
class ConsensusRow:
    """What the votes came to, by both rules; probabilities of a win, `pool_skill` as `PoolState` has it.

    `probability` is what counted, None under the majority, which claims none; `pooled` is the pool's own.
    """

    rule: str
    stance: Stance
    probability: float | None
    pooled: float | None
    base_rate: float | None
    pool_skill: float | None
    dissent: tuple[AgentName, ...]
    abstained: tuple[AgentName, ...]
    note: str

    @property
    def pool_gives_way(self) -> bool:
        """The pool has shown no skill, so that the base rate is used in its place."""
        return self.pool_skill is not None and self.pool_skill <= 0


@dataclass(frozen=True, kw_only=True)
class ArguedRow:
    """One candidate of an evening, how it was voted on and how far it came."""

    symbol: str
    setup_type: SetupType
    denied_by: str | None
    reasoning: str
    consensus: ConsensusRow | None  # None: argued before it was kept
    approval: ApprovalState | None
    order: OrderState | None
    note: str  # of the order


@dataclass(frozen=True, kw_only=True)
class Evening:
    """How far everything came that one evening looked at; `argued` best score first."""

    session: date
    funnel: Funnel
    argued: tuple[ArguedRow, ...]


def read_evening(
    connection: psycopg.Connection[tuple[object, ...]], session: date | None = None
) -> Evening | None:
    """What became of everything an evening looked at, of the last one without a session; None if none did."""
    found = fetch_one(connection, _Evening, *evening_query(session))
    return None if found is None else evening_of(found.session, found.figures, found.selected, found.argued)


def evening_query(session: date | None) -> tuple[str, dict[str, object]]:
    """The query of one evening, of the last one screened without a session, and its parameters."""
    return _EVENING, {"session": session}


def evening_of(
    session: date,
    figures: Mapping[str, object],
    selected: Sequence[str],
    argued: Sequence[Mapping[str, object]],
) -> Evening:
    """An evening from a row of its query. Rows that do not fit together must not take a whole screen away."""
    rows = tuple(_argued(row) for row in argued)
    try:
        counted = _counted(session, figures, selected, rows)
    except (KeyError, ValueError) as fault:
        counted = Funnel.uncounted(session, str(fault))
    return Evening(session=session, funnel=counted, argued=rows)


def _counted(
    session: date, figures: Mapping[str, object], selected: Sequence[str], rows: Sequence[ArguedRow]
) -> Funnel:
    failures = figures["failures"]
    return funnel(
        session,
        ScreenCounts(
            universe=int(str(figures["universe"])),
            with_data=int(str(figures["with_data"])),
            passed=int(str(figures["passed"])),
            selected=tuple(selected),
            failures=tuple((name, int(str(count))) for name, count in failures.items())
            if isinstance(failures, Mapping)
            else (),
        ),
        [Deliberated(row.symbol, row.denied_by) for row in rows],
        [Answered(row.symbol, row.approval) for row in rows if row.approval is not None],
        [
            Ordered(row.symbol, row.order, row.note.split(":")[0] or None)
            for row in rows
            if row.order is not None
        ],
    )


@dataclass(frozen=True)
class _Evening:
    """A row of the query."""

    session: date
    figures: Mapping[str, object]
    selected: tuple[str, ...]
    argued: tuple[Mapping[str, object], ...]


def consensus_of(row: Mapping[str, object]) -> ConsensusRow | None:
    """What the columns of a deliberation say its votes came to; None where it was not kept yet."""
    if row["consensus"] is None:
        return None
    return ConsensusRow(
        rule=str(row["consensus_rule"]),
        stance=Stance(str(row["consensus"])),
        probability=_number(row["probability"]),
        pooled=_number(row["pooled"]),
        base_rate=_number(row["base_rate"]),
        pool_skill=_number(row["pool_skill"]),
        dissent=_agents(row["dissent"]),
        abstained=_agents(row["abstained"]),
        note=str(row["consensus_note"]),
    )


def _argued(row: Mapping[str, object]) -> ArguedRow:
    approval, order = row["approval"], row["order"]
    return ArguedRow(
        symbol=str(row["symbol"]),
        setup_type=SetupType(str(row["setup_type"])),
        denied_by=None if row["denied_by"] is None else str(row["denied_by"]),
        reasoning=str(row["reasoning"]),
        consensus=consensus_of(row),
        approval=None if approval is None else ApprovalState(str(approval)),
        order=None if order is None else OrderState(str(order)),
        note=str(row["note"]),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _agents(value: object) -> tuple[AgentName, ...]:
    return tuple(AgentName(str(agent)) for agent in value) if isinstance(value, list) else ()


_EVENING = """
    select r.session, r.result as figures,
           coalesce((select array_agg(s.symbol order by s.symbol) from screener_results s
                      where s.session = r.session and s.selected_for_watchlist), '{}') as selected,
           coalesce((select jsonb_agg(to_jsonb(d) - 'checks' - 'technical_snapshot' || jsonb_build_object(
                                'approval', a.state, 'order', o.state, 'note', coalesce(o.note, ''))
                                order by d.rank, d.symbol)
                       from deliberations d
                       left join approvals a on a.deliberation_id = d.id
                       left join orders o on o.approval_id = a.id
                      where d.session = r.session), '[]') as argued
      from runs r
     where r.slot = 'screen' and r.state = 'done' and r.result ? 'failures'
       and (%(session)s::date is null or r.session = %(session)s::date)
     order by r.desk_time desc, r.session desc limit 1
"""
