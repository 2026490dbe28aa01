"""Raw text of models and of the news that is too old to be kept: it goes, all else of its rows stays.

What goes is what a model was sent and what it answered, and the words of the news. What stays is every row,
its figures, costs, digests, votes and links, and the day on which its text went. Psycopg only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from pydantic import BaseModel, ConfigDict, Field, field_validator

from storage.control import taken
from storage.quota_rules import DESK_NOW
from storage.records import OperationKind, Operator

Connection = psycopg.Connection[tuple[object, ...]]

LEAST_DAYS = 30  # by then a call is paid, an answer is used, and every backup that is kept holds the text
NEWS_BEFORE_DAYS = 14  # news of so many days before a decision belong to it


class RetentionSettings(BaseModel):
    """How long raw text is kept; without a number it is kept for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm_text_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which what models were sent and answered is removed, figures and costs "
        f"stay; 0 keeps it for ever, else at least {LEAST_DAYS}",
    )
    news_text_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which the words of the news are removed, also from the questions of the news "
        f"analyst; 0 keeps them for ever, else at least {LEAST_DAYS}",
    )

    @field_validator("llm_text_days", "news_text_days")
    @classmethod
    def _long_enough(cls, days: int) -> int:
        if 0 < days < LEAST_DAYS:
            raise ValueError(f"expected 0, which keeps it for ever, or at least {LEAST_DAYS} days")
        return days

    @property
    def removes(self) -> bool:
        """Whether anything is ever removed."""
        return bool(self.llm_text_days or self.news_text_days)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Rows that lost their text in one night."""

    calls: int
    news: int

    @property
    def words(self) -> str:
        return f"text removed by retention: {self.calls:,} calls to models, {self.news:,} pieces of news"


def remove_old_text(connection: Connection, settings: RetentionSettings, operator: Operator) -> Removed:
    """Remove what is older than the settings allow, in one transaction with its trace in the operations.

    Kept, however old, is the text of a call that is open, of a frozen question, of an evening with a trade
    that is proposed, ordered or held, and of a proposed change nobody has decided or that is on trial. A row
    that somebody else holds is left for the next night.
    """
    with connection.transaction():
        now = connection.execute(f"select {DESK_NOW}").fetchone()
        asked = {
            "llm_days": settings.llm_text_days,
            "news_days": settings.news_text_days,
            "desk_now": now[0] if now else None,
            "before": NEWS_BEFORE_DAYS,
        }
        removed = Removed(
            calls=_remove(connection, _CALLS, _REMOVE_CALLS, asked),
            news=_remove(connection, _NEWS, _REMOVE_NEWS, asked),
        )
        connection.execute(_REMOVE_FETCHED.encode(), asked)
        if removed.calls or removed.news:
            taken(connection, OperationKind.RETENTION, operator, removed.words)
    return removed


def _remove(connection: Connection, rows: str, remove: str, asked: Mapping[str, object]) -> int:
    """Hold the rows, then look again what needs them: who freezes a question holds it as well."""
    hold = _OPEN_TRADES + rows + " for no key update of t skip locked"
    held = [row[0] for row in connection.execute(hold.encode(), asked)]
    again = _OPEN_TRADES + ", rows as (" + rows + " and t.id = any(%(held)s)) " + remove
    return connection.execute(again.encode(), {**asked, "held": held}).rowcount


# Evenings and symbols whose trade is proposed, ordered or held.
_OPEN_TRADES = """
    with open_trades as (
        select a.deliberation_id, a.symbol, a.created_session as session
          from approvals a
          left join positions p on p.approval_id = a.id
          left join trade_outcomes t on t.position_id = p.id
          left join orders o on o.approval_id = a.id
         where a.state = 'pending' or (p.id is not null and t.id is null)
            or (a.state = 'approved' and p.id is null and (o.id is null or o.state = 'resting')))
"""
_CALLS = """
    select t.id from llm_interactions t
     where t.text_removed_at is null and t.state <> 'reserved'
       and ((%(llm_days)s > 0 and t.created_at < now() - make_interval(days => %(llm_days)s))
            or (%(news_days)s > 0 and t.agent_name = 'news'
                and t.created_at < now() - make_interval(days => %(news_days)s)))
       and not exists (select 1 from frozen_questions f where f.interaction_id = t.id)
       and not exists (select 1 from votes v join open_trades o using (deliberation_id)
                        where v.interaction_id = t.id)
       and not exists (select 1 from open_trades o
                        where o.session = t.session and coalesce(t.symbol, o.symbol) = o.symbol)
       and not exists (select 1 from shadow_decisions d join experiments e on e.id = d.experiment_id
                        where e.state in ('running', 'promotable')
                          and t.id in (d.champion_interaction_id, d.challenger_interaction_id))
       and not (t.agent_name = 'learning' and exists (
               select 1 from strategy_adjustments s where s.session = t.session
                  and (s.status in ('proposed', 'approved', 'shadow', 'promotable')
                       or exists (select 1 from experiments e
                                   where e.adjustment_id = s.id and e.state = 'running'))))
"""
_REMOVE_CALLS = """
    update llm_interactions i
       set input_context = '{}', output_result = case when output_result is not null then '{}'::jsonb end,
           text_removed_at = now()
      from rows where rows.id = i.id
"""
# The news have the desk's clock, which a rehearsal accelerates; models are paid by the wall's.
_NEWS = """
    select t.id from news_items t
     where t.text_removed_at is null and %(news_days)s > 0
       and t.fetched_at < %(desk_now)s - make_interval(days => %(news_days)s)
       and not exists (select 1 from open_trades o
                        where o.symbol = any(t.symbols) and t.session >= o.session - %(before)s)
"""
_REMOVE_NEWS = """
    update news_items i set title = '', body = '', text_removed_at = now() from rows where rows.id = i.id
"""
# The last answer of a source that is asked no more.
_REMOVE_FETCHED = """
    update vendor_cache set body = '[]'
     where endpoint in ('feed', 'fmp-articles') and body is not null and body <> '[]'
       and %(news_days)s > 0 and fetched_at < %(desk_now)s - make_interval(days => %(news_days)s)
"""
