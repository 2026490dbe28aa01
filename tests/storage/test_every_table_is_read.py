"""No table is written for nobody: each names what in the running desk reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.models import Base

ROOT = Path(__file__).resolve().parents[2]

# Table -> a module that reads it while a desk runs or when an operator asks, by the table or by its model.
READERS = {
    "absences": "app/runtime/halting.py",
    "agent_measurements": "storage/memory/metrics.py",
    "agent_metrics": "storage/snapshot_query.py",
    "agent_prompts": "storage/prompts.py",
    "agent_states": "app/runtime/attendance.py",
    "approvals": "storage/ledger.py",
    "audit_log": "storage/audit.py",
    "bars": "app/runtime/performance.py",
    "call_reservations": "storage/quota.py",
    "cash_events": "storage/ledger.py",
    "claim_links": "storage/loop_health.py",
    "claims": "storage/memory/claims.py",
    "corporate_actions": "storage/ledger.py",
    "change_verdicts": "storage/audit.py",
    "deliberations": "storage/snapshot_book.py",
    "differences": "storage/reconciliation.py",
    "notifications": "storage/notices.py",
    "position_requests": "storage/positions_control.py",
    "trade_notes": "storage/notes.py",
    "desk": "storage/snapshot_query.py",
    "entitlements": "storage/quota_gates.py",
    "equity": "storage/ledger.py",
    "experiments": "storage/memory/experiments.py",
    "fills": "storage/ledger.py",
    "frozen_questions": "storage/memory/frozen.py",
    "halts": "storage/halt.py",
    "instruments": "app/runtime/stored.py",
    "ladder_readings": "storage/snapshot_book.py",
    "leadership": "storage/leadership.py",
    "llm_interactions": "storage/spend.py",
    "loop_stages": "storage/memory/nights.py",
    "news_items": "storage/memory/news.py",
    "operations": "storage/snapshot_query.py",
    "orders": "storage/ledger.py",
    "paper_actions": "storage/paper_book.py",
    "paper_fills": "storage/paper_book.py",
    "paper_holdings": "storage/paper_book.py",
    "paper_orders": "storage/paper_book.py",
    "parameter_versions": "storage/journal.py",
    "policies": "app/runtime/policies.py",
    "positions": "storage/ledger.py",
    "quota_plans": "storage/quota_query.py",
    "quota_resets": "storage/quota_query.py",
    "rearms": "storage/ledger.py",
    "regime_readings": "storage/memory/market.py",
    "runs": "storage/journal.py",
    "schedule": "storage/snapshot_query.py",
    "screener_results": "storage/memory/screens.py",
    "shadow_decisions": "storage/memory/experiments.py",
    "shadow_pairs": "storage/memory/experiments.py",
    "spend_limits": "storage/spend.py",
    "strategy_adjustments": "storage/memory/adjustments.py",
    "trade_outcomes": "storage/memory/trades.py",
    "trial_registry": "storage/loop_health.py",
    "vendor_blocks": "storage/quota_gates.py",
    "vendor_cache": "storage/vendor_cache.py",
    "vendor_calls": "storage/quota.py",
    "vendor_keys": "storage/quota.py",
    "vendor_series": "storage/vendor_series.py",
    "verdicts": "storage/audit.py",
    "votes": "storage/snapshot_query.py",
    "watchlist": "storage/watchlist.py",
    "workers": "storage/snapshot_query.py",
}


def test_every_table_has_a_reader() -> None:
    assert sorted(READERS) == sorted(Base.metadata.tables)


@pytest.mark.parametrize(("table", "module"), READERS.items())
def test_the_reader_names_its_table(table: str, module: str) -> None:
    source = (ROOT / module).read_text(encoding="utf-8")
    names = {mapper.local_table: mapper.class_.__name__ for mapper in Base.registry.mappers}
    model = names[Base.metadata.tables[table]]
    reads = [f"from {table}", f"join {table}", f"select({model}", f"({model},", f"{model}."]
    if module == "storage/audit.py":  # it holds every audited table against its chain, by name
        reads.append(f'"{table}": "id"')
    assert any(words in source for words in reads), f"{module} does not read {table}"
