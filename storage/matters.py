"""What on a desk a human should know of, read from its rows: psycopg only, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from storage.absence import standing_absence
from storage.quota_query import read_quota
from storage.quota_rules import BLOCK_WORDS
from storage.records import NoticeKind, Severity
from storage.rows import fetch_all
from storage.snapshot_spend import read_spend
from storage.spending import Rung

Connection = psycopg.Connection[tuple[object, ...]]

LEADERLESS_S = 60.0  # a restart of the service is nothing to wake anybody for
WAITS_S = 600.0  # a job that nobody takes


@dataclass(frozen=True, kw_only=True)
class Matter:
    """One thing as it is now. `stands`: told again until somebody sees it, or until it is no more."""

    kind: NoticeKind
    subject: str  # the same for as long as it is the same matter
    severity: Severity
    text: str
    stands: bool


# One branch for each kind: kind, subject, severity, text, stands. What merely happened is read for two days.
_MATTERS = """
    select 'approval' as kind, 'approval:' || id as subject, 'warning' as severity,
           symbol || ' (' || short_id || ') waits for a verdict, entry on ' || entry_session
           || ', at most $' || max_risk || ' at risk' || case when risky then ', RISKY' else '' end
           || ': quorum approvals' as text, true as stands
      from approvals where state = 'pending' and not %(away)s
    union all
    select 'proposal', 'proposal:' || id || ':' || status, 'info',
           case kind when 'prompt' then 'another prompt for ' || parameter_name
                     else parameter_name || ' ' || old_value || ' -> ' || new_value end
           || ' (' || short_id || ') is proposed and waits for a verdict', true
      from strategy_adjustments
     where status in ('proposed', 'promotable') and not %(away)s
       and (deferred_until is null or deferred_until <= clock_timestamp())
    union all
    select 'halt', 'halt:' || id, 'critical', 'HALTED by ' || halted_by || ': ' || reason, true
      from halts where lifted_at is null
    union all
    select 'halt', 'ladder:' || halted_since, 'critical',
           'no entries since ' || halted_since || ', the drawdown stands at '
           || round(drawdown::numeric * 100, 1) || ' %%: quorum limits, quorum rearm', true
      from (select * from ladder_readings order by session desc limit 1) as last
     where halted_since is not null
    union all
    select 'agent', 'run:' || slot || ':' || session, case when slot in ('open', 'settle') then 'critical'
           else 'warning' end, slot || ' of ' || session || ' FAILED: ' || summary, true
      from runs where state = 'failed' and desk_time > now() - interval '2 days'
    union all
    select 'agent', 'waits:' || slot || ':' || session, 'warning',
           slot || ' of ' || session || ' waits since ' || to_char(queued_at at time zone 'UTC', 'HH24:MI')
           || 'Z and nobody takes it: quorum status', true
      from runs where state = 'queued' and queued_at < now() - make_interval(secs => %(waits_s)s)
    union all
    select 'leader', 'leader:' || epoch, 'critical',
           'nobody leads the desk since ' || to_char(heartbeat_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
           || 'Z (' || host || '): quorum run', true
      from leadership
     where ended_at is null and heartbeat_at < clock_timestamp() - make_interval(secs => %(leaderless_s)s)
    union all
    select 'backup', 'backup:' || (at at time zone 'UTC')::date, 'warning', 'the backup ' || text, true
      from (select * from operations where kind = 'backup' order by at desc, id desc limit 1) as last
     where text like 'FAILED%%'
    union all
    select 'protection', 'unprotected:' || id || ':' || extract(epoch from alarmed_at)::bigint, 'critical',
           symbol || ': ' || shares || ' shares are held without a stop at the broker', true
      from positions where alarmed_at is not null and protected_by is null and state = 'open'
    union all
    select 'protection', 'difference:' || id, 'critical',
           'book and broker differ on ' || subject || ': ' || book || ' against ' || broker, true
      from differences where state = 'open'
    union all
    select 'proposal', 'loop:' || id, 'warning', text, false
      from operations where kind = 'loop' and at > now() - interval '2 days'
    union all
    select 'digest', 'digest:' || session, 'info', 'digest of ' || session || ': ' || summary
           || coalesce('; audit head '
                       || (select seq || ' ' || hash from audit_log order by seq desc limit 1), ''), false
      from runs where slot = 'digest' and state = 'done' and desk_time > now() - interval '2 days'
"""


def read_matters(connection: Connection) -> tuple[Matter, ...]:
    """Everything that is worth telling now; nothing on a desk of HISTORY, which nobody waits for."""
    with connection.transaction():
        kind = connection.execute("select kind from desk").fetchone()
        if kind is None or kind[0] == "history":
            return ()
        asked = {
            "waits_s": WAITS_S,
            "leaderless_s": LEADERLESS_S,
            "away": standing_absence(connection) is not None,  # who is away is called for no verdict
        }
        rows = fetch_all(connection, Matter, _MATTERS, asked)
        return (*rows, *_budget(connection), *_quota(connection))


def _budget(connection: Connection) -> list[Matter]:
    """The budget's last two rungs: nobody is asked before the day, or the month, is over."""
    standing = read_spend(connection).standing
    if standing is None or standing.rung not in (Rung.RULES, Rung.STOP):
        return []
    span = f"{standing.at:%Y-%m}" if standing.rung is Rung.STOP else f"{standing.at:%Y-%m-%d}"
    return [
        Matter(
            kind=NoticeKind.BUDGET,
            subject=f"budget:{standing.rung}:{span}",
            severity=Severity.WARNING,
            text=f"models are not asked before {standing.resumes_at:%Y-%m-%d %H:%M}Z, {standing}",
            stands=False,
        )
    ]


def _quota(connection: Connection) -> list[Matter]:
    """No calls left, and why a vendor refuses the key."""
    quota = read_quota(connection)
    if quota is None:
        return []
    matters = [
        Matter(
            kind=NoticeKind.QUOTA,
            subject=f"block:{block.fault}:{block.refused_at:%Y%m%dT%H%M%S}",
            severity=Severity.WARNING,
            text=f"the vendor refuses the key: {BLOCK_WORDS[block.fault]}: {block.note}",
            stands=block.until is None,
        )
        for block in quota.blocks
    ]
    if quota.left == 0:
        day = connection.execute("select (now() at time zone 'UTC')::date").fetchone()
        matters.append(
            Matter(
                kind=NoticeKind.QUOTA,
                subject=f"quota:{day[0] if day else ''}",
                severity=Severity.WARNING,
                text=f"all of the vendor's {quota.limit} calls are used, {quota.reserve_left} kept for exits",
                stands=False,
            )
        )
    return matters
