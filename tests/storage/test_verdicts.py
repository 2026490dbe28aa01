"""Verdicts against the real database: whoever asks, only what was shown is approved, and only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.desk import Desk
from storage.ledger import Ledger
from storage.records import ApprovalState, Operator, RejectReason, TradeTerms, VerdictReceipt, uuid7
from storage.snapshot import ApprovalRow
from storage.snapshot_approvals import read_approval
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, SESSIONS, UNDO_RISKY_S, UNDO_S, execute, scalar, terms, writing

BOB = Operator(name="bob")
PATIENCE_S = 30.0


@pytest.fixture
def small(database: str) -> str:
    """The connection string of a founded desk without proposals."""
    with writing(database) as session:
        build.found_desk(session)
    return database


@pytest.fixture
def desk(small: str) -> Iterator[Desk]:
    desk = Desk(small)
    yield desk
    desk.close()


def proposed(conninfo: str, *, risky: bool = False, **changes: object) -> ApprovalRow:
    """A proposal as a screen would have it."""
    with writing(conninfo) as session:
        made = build.propose(session, terms(), risky=risky, **changes)
    return row(conninfo, made.id)


def row(conninfo: str, approval_id: UUID) -> ApprovalRow:
    with psycopg.connect(conninfo) as connection:
        found = read_approval(connection, approval_id)
    assert found is not None
    return found


def change(conninfo: str, approval: ApprovalRow, assignment: str, *values: object) -> None:
    execute(conninfo, f"update approvals set {assignment} where id = %s", *values, approval.id)


def approve(desk: Desk, shown: ApprovalRow, typed_id: str = "") -> VerdictReceipt:
    return desk.approve(shown.id, digest=shown.digest, typed_id=typed_id, operator=ADA)


def reject(desk: Desk, shown: ApprovalRow) -> VerdictReceipt:
    return desk.reject(
        shown.id, digest=shown.digest, reason=RejectReason.EXTENDED, words="too hot", operator=BOB
    )


# -- one verdict ---------------------------------------------------------------------------------------------


def test_an_approval_is_recorded_with_who_gave_it_from_where_and_when_it_takes_effect(
    desk: Desk, small: str
) -> None:
    shown = proposed(small)
    receipt = approve(desk, shown)
    assert receipt.accepted
    assert receipt.state is ApprovalState.APPROVED
    assert receipt.message == f"AAPL approved, takes effect in {UNDO_S} s"
    kept = row(small, shown.id)
    assert (kept.state, kept.decided_by, kept.decision_reason) == (ApprovalState.APPROVED, "ada", "")
    assert scalar(small, "select decided_from from approvals") == "/dev/pts/3 10.0.0.7"
    assert scalar(small, "select typed_id from approvals") is None
    assert kept.decided_at is not None
    assert kept.effective_at == receipt.effective_at == kept.decided_at + timedelta(seconds=UNDO_S)
    assert abs(kept.decided_at - datetime.now(UTC)) < timedelta(seconds=10)


def test_a_rejection_is_recorded_with_its_reason(desk: Desk, small: str) -> None:
    shown = proposed(small)
    receipt = reject(desk, shown)
    assert (receipt.accepted, receipt.state) == (True, ApprovalState.REJECTED)
    kept = row(small, shown.id)
    assert (kept.state, kept.decided_by, kept.decision_reason) == (
        ApprovalState.REJECTED,
        "bob",
        "extended; too hot",
    )
    assert scalar(small, "select decided_from from approvals") == ""


def test_a_risky_approval_with_its_id_typed_stays_open_to_undo_for_longer(desk: Desk, small: str) -> None:
    shown = proposed(small, risky=True)
    receipt = approve(desk, shown, typed_id=shown.short_id)
    assert receipt.accepted
    kept = row(small, shown.id)
    assert kept.decided_at is not None
    assert kept.effective_at == kept.decided_at + timedelta(seconds=UNDO_RISKY_S)
    assert scalar(small, "select typed_id from approvals") == shown.short_id


def test_a_risky_proposal_is_rejected_without_typing_anything(desk: Desk, small: str) -> None:
    assert reject(desk, proposed(small, risky=True)).accepted


def test_the_terms_a_screen_reads_have_the_digest_that_was_stored(small: str) -> None:
    shown = proposed(small)
    assert shown.terms == terms()
    assert shown.terms.digest == shown.digest


# -- refusals ------------------------------------------------------------------------------------------------


def test_an_unknown_id_is_refused(desk: Desk, small: str) -> None:
    shown = proposed(small)
    receipt = desk.approve(uuid7(), digest=shown.digest, typed_id="", operator=ADA)
    assert (receipt.accepted, receipt.state) == (False, None)
    assert receipt.message == "there is no such approval on this desk"
    assert not desk.undo(uuid7(), operator=ADA).accepted


def test_another_digest_is_refused_for_either_verdict(desk: Desk, small: str) -> None:
    shown = proposed(small)
    other = terms(max_shares=99).digest
    for receipt in (
        desk.approve(shown.id, digest=other, typed_id="", operator=ADA),
        desk.reject(shown.id, digest=other, reason=RejectReason.OTHER, operator=ADA),
        desk.approve(shown.id, digest="", typed_id="", operator=ADA),
    ):
        assert not receipt.accepted
        assert "changed after it was shown" in receipt.message
    assert row(small, shown.id).state is ApprovalState.PENDING


@pytest.mark.parametrize(
    "assignment",
    [
        "max_shares = 101",
        "max_risk = 550.01",
        "max_entry = 164.0001",
        "min_entry = 159.9999",
        "stop = 158.4999",
        "target = 171.2501",
        "max_hold = 11",
        "symbol = 'MSFT'",
        "entry_session = '2018-01-31'",
        """limits = limits || '{"heat": 0.0601}'""",
        "limits = limits - 'min_cash'",
    ],
)
def test_a_row_tampered_with_is_refused_even_when_its_digest_was_left_alone(
    desk: Desk, small: str, assignment: str
) -> None:
    shown = proposed(small)
    change(small, shown, assignment)
    receipt = approve(desk, shown)
    assert (receipt.accepted, receipt.state) == (False, ApprovalState.PENDING)
    assert "look at it again" in receipt.message
    assert row(small, shown.id).decided_at is None


def test_what_was_decided_is_not_decided_again(desk: Desk, small: str) -> None:
    shown = proposed(small)
    assert approve(desk, shown).accepted
    for receipt in (approve(desk, shown), reject(desk, shown)):
        assert (receipt.accepted, receipt.state) == (False, ApprovalState.APPROVED)
        assert receipt.message == "already approved by ada"


def test_what_the_clock_let_expire_is_not_decided(desk: Desk, small: str) -> None:
    shown = proposed(small, state=ApprovalState.EXPIRED)
    assert approve(desk, shown).message == "already expired by the clock"


def test_a_verdict_after_the_expiry_is_refused_and_one_before_it_is_not(desk: Desk, small: str) -> None:
    shown = proposed(small)
    change(small, shown, "expires_at = now() - interval '1 ms'")
    receipt = approve(desk, shown)
    assert (receipt.accepted, receipt.state) == (False, ApprovalState.PENDING)
    assert receipt.message.startswith("it expired at ")
    assert not reject(desk, shown).accepted
    change(small, shown, "expires_at = now() + interval '1 minute'")
    assert approve(desk, shown).accepted


@pytest.mark.parametrize("typed", ["", "AAPL", "aapl-", "lower", "spaced"])
def test_a_risky_approval_without_its_id_exactly_typed_is_refused(desk: Desk, small: str, typed: str) -> None:
    shown = proposed(small, risky=True)
    slips = {"lower": shown.short_id.lower(), "spaced": f"{shown.short_id} "}
    receipt = approve(desk, shown, typed_id=slips.get(typed, typed))
    assert (receipt.accepted, receipt.state) == (False, ApprovalState.PENDING)
    assert receipt.message == f"risky: type {shown.short_id} to approve"


def test_a_finished_desk_takes_no_verdict(desk: Desk, small: str) -> None:
    shown = proposed(small)
    execute(small, "update desk set state = 'finished'")
    assert approve(desk, shown).message == "this desk's history has ended"
    assert not reject(desk, shown).accepted


def test_a_desk_that_was_never_founded_refuses(database: str) -> None:
    desk = Desk(database)
    assert not desk.approve(uuid7(), digest="", typed_id="", operator=ADA).accepted
    desk.close()


# -- undo ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [approve, reject])
def test_within_the_window_a_verdict_is_taken_back_and_nothing_of_it_stays(
    desk: Desk, small: str, verdict: Callable[[Desk, ApprovalRow], VerdictReceipt]
) -> None:
    shown = proposed(small)
    assert verdict(desk, shown).accepted
    receipt = desk.undo(shown.id, operator=BOB)
    assert (receipt.accepted, receipt.state) == (True, ApprovalState.PENDING)
    assert receipt.message == "AAPL waits again"
    assert row(small, shown.id) == shown
    assert (
        scalar(small, "select num_nulls(typed_id, decided_by, decided_from, effective_at) from approvals")
        == 4
    )


def test_a_verdict_that_took_effect_stays(desk: Desk, small: str) -> None:
    shown = proposed(small)
    approve(desk, shown)
    change(small, shown, "effective_at = now() - interval '1 ms'")
    receipt = desk.undo(shown.id, operator=ADA)
    assert (receipt.accepted, receipt.state) == (False, ApprovalState.APPROVED)
    assert receipt.message.startswith("the verdict took effect at ")


def test_a_verdict_that_became_an_order_stays_even_within_the_window(desk: Desk, small: str) -> None:
    with writing(small) as session:
        made = build.propose(session, terms())
    approve(desk, row(small, made.id))
    with writing(small) as session:
        session.add(build.order(made))
    receipt = desk.undo(made.id, operator=ADA)
    assert (receipt.accepted, receipt.message) == (False, "the verdict has already been acted on")
    assert row(small, made.id).state is ApprovalState.APPROVED


@pytest.mark.parametrize("state", [ApprovalState.PENDING, ApprovalState.EXPIRED])
def test_where_there_is_no_verdict_there_is_nothing_to_take_back(
    desk: Desk, small: str, state: ApprovalState
) -> None:
    receipt = desk.undo(proposed(small, state=state).id, operator=ADA)
    assert (receipt.accepted, receipt.state) == (False, state)
    assert receipt.message == "there is no verdict to take back"


async def test_the_cutoff_waits_for_a_verdict_that_is_being_given(small: str) -> None:
    shown = proposed(small)
    with psycopg.connect(small) as console, ThreadPoolExecutor() as pool:
        console.execute("select 1 from approvals for update")
        console.execute("update approvals set state = 'rejected', decided_by = 'ada', decided_at = now()")
        seen = pool.submit(_state_at_cutoff, small)
        wait_until(lambda: scalar(small, "select count(*) from pg_locks where not granted") > 0)
        console.commit()
        assert seen.result(timeout=5) == [(shown.id, ApprovalState.REJECTED)]


def _state_at_cutoff(conninfo: str) -> list[tuple[UUID, ApprovalState]]:
    import asyncio

    async def read() -> list[tuple[UUID, ApprovalState]]:
        async with build.transaction(conninfo) as session:
            found = await Ledger(session).approvals_for(SESSIONS[1])
            return [(approval.id, approval.state) for approval in found]

    return asyncio.run(read())


# -- the database itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [None, "", "AAPL-0000"])
def test_the_database_refuses_a_risky_approval_without_the_typed_id(small: str, typed: str | None) -> None:
    shown = proposed(small, risky=True)
    with pytest.raises(psycopg.errors.CheckViolation, match="typed_id"):
        change(small, shown, "state = 'approved', decided_by = 'x', decided_at = now(), typed_id = %s", typed)


def test_the_database_refuses_a_verdict_of_nobody(small: str) -> None:
    shown = proposed(small)
    for state in ("approved", "rejected"):
        with pytest.raises(psycopg.errors.CheckViolation, match="decided"):
            change(small, shown, f"state = '{state}'")


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("max_shares = 0", "size"),
        ("max_shares = -5", "size"),
        ("max_risk = 0", "size"),
        ("stop = 0", "band"),
        ("stop = min_entry", "band"),
        ("min_entry = max_entry + 0.0001", "band"),
        ("target = max_entry", "target"),
        ("state = 'maybe', decided_by = 'x', decided_at = now()", "state"),
        ("recommendation = 'hold'", "recommendation"),
    ],
)
def test_the_database_refuses_impossible_terms(small: str, assignment: str, constraint: str) -> None:
    shown = proposed(small)
    with pytest.raises(psycopg.errors.CheckViolation, match=constraint):
        change(small, shown, assignment)


def test_two_pending_proposals_never_share_the_id_to_be_typed(small: str) -> None:
    first = proposed(small)
    with writing(small) as session:
        other = build.propose(session, terms(symbol="MSFT"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(small, "update approvals set short_id = %s where id = %s", first.short_id, other.id)


# -- many verdicts -------------------------------------------------------------------------------------------

WHO = st.sampled_from([0, 1])
GOOD = st.sampled_from([True, True, True, False])
EVENTS = st.one_of(
    st.tuples(st.just("approve"), WHO, GOOD, GOOD),
    st.tuples(st.just("reject"), WHO, GOOD, GOOD),
    st.tuples(st.just("undo"), WHO, GOOD, GOOD),
    st.tuples(
        st.sampled_from(["tamper", "propose anew", "expire", "revive", "take effect"]), WHO, GOOD, GOOD
    ),
)
SEQUENCES = st.lists(EVENTS, min_size=1, max_size=14)
NUMBERS = count(1)


@given(risky=st.booleans(), events=SEQUENCES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_an_approved_trade_is_the_one_that_was_named(
    small: str, risky: bool, events: list[tuple[str, int, bool, bool]]
) -> None:
    with writing(small) as session:
        made = build.propose(session, terms(symbol=f"S{next(NUMBERS)}"), risky=risky)
    shown = row(small, made.id)
    desks = (Desk(small), Desk(small))
    named: TradeTerms | None = None  # what the standing approval bound
    verdicts = 0  # accepted and not taken back
    for event, who, right_digest, right_id in events:
        digest = shown.digest if right_digest else "0" * 64
        current = row(small, made.id)
        if event == "approve":
            receipt = desks[who].approve(
                made.id, digest=digest, typed_id=shown.short_id if right_id else "", operator=ADA
            )
            if receipt.accepted:
                assert digest == current.terms.digest
                assert right_id or not risky
                named, verdicts = current.terms, verdicts + 1
        elif event == "reject":
            if desks[who].reject(made.id, digest=digest, reason=RejectReason.OTHER, operator=BOB).accepted:
                assert digest == current.terms.digest
                named, verdicts = None, verdicts + 1
        elif event == "undo":
            if desks[who].undo(made.id, operator=ADA).accepted:
                named, verdicts = None, verdicts - 1
        elif current.state is ApprovalState.PENDING or event == "take effect":
            meddle(small, event, current)
            shown = row(small, made.id) if event == "propose anew" else shown
        after = row(small, made.id)
        assert verdicts == (0 if after.state is ApprovalState.PENDING else 1)
        assert (after.state is ApprovalState.APPROVED) == (named is not None)
        if named is not None:
            assert after.terms == named
            assert after.digest == named.digest
    for desk in desks:
        desk.close()


def meddle(conninfo: str, event: str, current: ApprovalRow) -> None:
    """What happens to a proposal besides verdicts."""
    if event == "tamper":
        change(conninfo, current, "max_shares = max_shares + 1")
    elif event == "propose anew":
        change(conninfo, current, "digest = %s", current.terms.digest)
    elif event == "expire":
        change(conninfo, current, "expires_at = now() - interval '1 s'")
    elif event == "revive":
        change(conninfo, current, "expires_at = null")
    elif event == "take effect" and current.effective_at is not None:
        change(conninfo, current, "effective_at = now() - interval '1 s'")


def test_of_two_verdicts_given_at_once_exactly_one_is_accepted(small: str) -> None:
    together = threading.Barrier(2)
    desks = (Desk(small), Desk(small))
    verdicts: tuple[Callable[[Desk, ApprovalRow], VerdictReceipt], ...] = (approve, reject)

    def give(which: int, shown: ApprovalRow) -> VerdictReceipt:
        together.wait(timeout=5)
        return verdicts[which](desks[which], shown)

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            with writing(small) as session:
                made = build.propose(session, terms(symbol=f"T{number}"))
            shown = row(small, made.id)
            given = [pool.submit(give, which, shown) for which in (0, 1)]
            receipts = [receipt.result(timeout=10) for receipt in given]
            assert sorted(receipt.accepted for receipt in receipts) == [False, True]
            winner = next(receipt for receipt in receipts if receipt.accepted)
            loser = next(receipt for receipt in receipts if not receipt.accepted)
            assert row(small, made.id).state is winner.state is loser.state
            assert loser.message.startswith(f"already {winner.state} by ")
    for desk in desks:
        desk.close()


# -- waiting -------------------------------------------------------------------------------------------------


def wait_until(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_S, "it did not happen in time"
        time.sleep(0.01)


def test_waiting_ends_with_a_change_made_elsewhere(desk: Desk, small: str) -> None:
    shown = proposed(small)
    assert not desk.wait(0.01)  # it listens from here on
    other = Desk(small)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(desk.wait, PATIENCE_S)
        assert approve(other, shown).accepted
        assert waiting.result()
    other.close()


def test_a_change_made_while_nobody_waited_ends_the_next_wait(desk: Desk, small: str) -> None:
    shown = proposed(small)
    desk.wait(0.01)
    other = Desk(small)
    approve(other, shown)
    desk.snapshot()
    assert desk.wait(PATIENCE_S)
    other.close()


def test_waiting_ends_without_a_change_after_its_time(desk: Desk) -> None:
    began = time.monotonic()
    assert not desk.wait(0.05)
    assert time.monotonic() - began > 0.04


def test_a_refused_verdict_announces_nothing(desk: Desk, small: str) -> None:
    shown = proposed(small)
    desk.wait(0.01)
    desk.approve(shown.id, digest="", typed_id="", operator=ADA)
    assert not desk.wait(0.05)


def test_a_desk_whose_connection_broke_says_so_once_and_works_again(desk: Desk, small: str) -> None:
    shown = proposed(small)
    assert desk.snapshot() is not None
    execute(
        small,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'quorum console'",
    )
    with pytest.raises(psycopg.OperationalError):
        desk.snapshot()
    assert approve(desk, shown).accepted


def test_a_desk_without_a_server_raises_what_the_console_expects() -> None:
    with pytest.raises(psycopg.OperationalError):
        Desk("host=/nowhere dbname=x").snapshot()


def test_money_on_a_proposal_is_exact(small: str) -> None:
    shown = proposed(small)
    assert (shown.terms.max_risk, shown.terms.stop) == (Decimal("550.00"), Decimal("158.5000"))
