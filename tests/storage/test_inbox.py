"""Policies, absences and the cutoff against the real database: one verdict or none, and it says which."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import psycopg
import pytest

from storage.desk import Desk
from storage.policies import PolicyDraft
from storage.records import ApprovalState, Operator, RejectReason, Rung, SetupType, Slot
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, SESSIONS, execute, scalar, terms, writing

BOB = Operator(name="bob")
DRAFT = PolicyDraft(
    setups=(SetupType.OVERSOLD_BOUNCE,), max_risk=0.0025, min_probability=0.5, a_day=1, max_heat=0.01
)


@pytest.fixture
def paper(database: str) -> str:
    with writing(database) as session:
        build.found_paper(session)
    return database


def in_(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


# -- the cutoff ----------------------------------------------------------------------------------------------


def test_a_verdict_for_an_open_can_be_taken_back_until_the_cutoff(paper: str) -> None:
    cutoff = in_(14 * 3600)
    with writing(paper) as session:
        asked = build.propose(session, terms(), expires_at=cutoff)
    with Desk(paper) as desk:
        receipt = desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA)
        assert receipt.accepted and receipt.effective_at == cutoff
        assert "takes effect in 14h" in receipt.message or "takes effect in 13h" in receipt.message
        assert desk.undo(asked.id, operator=BOB).accepted
        assert desk.reject(
            asked.id, digest=asked.digest, reason=RejectReason.EVENT, words="fed", operator=ADA
        ).accepted
    assert scalar(paper, "select decision_reason from approvals") == "event; fed"


def test_a_second_after_the_cutoff_there_is_no_verdict_and_no_undo(paper: str) -> None:
    with writing(paper) as session:
        late = build.propose(session, terms(), expires_at=in_(-1))
    with Desk(paper) as desk:
        refused = desk.approve(late.id, digest=late.digest, typed_id="", operator=ADA)
        assert not refused.accepted and "it expired at" in refused.message and "1 s ago" in refused.message
        execute(paper, "update approvals set expires_at = now() + interval '1 hour'")
        assert desk.approve(late.id, digest=late.digest, typed_id="", operator=ADA).accepted
        execute(paper, "update approvals set effective_at = now() - interval '1 second'")
        assert "took effect at" in desk.undo(late.id, operator=ADA).message


def test_a_verdict_that_waited_for_its_row_past_the_cutoff_is_late(paper: str) -> None:
    with writing(paper) as session:
        asked = build.propose(session, terms(), expires_at=in_(1.5))
    with psycopg.connect(paper) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select from approvals for update")

        def approve() -> str:
            with Desk(paper) as desk:
                return desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA).message

        verdict = pool.submit(approve)
        while scalar(paper, "select clock_timestamp() < expires_at from approvals"):
            pass
        other.commit()
        assert "it expired at" in verdict.result()


def test_two_consoles_and_a_double_press_give_one_verdict(paper: str) -> None:
    with writing(paper) as session:
        asked = build.propose(session, terms(), expires_at=in_(3600))
    barrier = Barrier(4)

    def press(number: int) -> tuple[bool, str]:
        with Desk(paper) as desk:
            barrier.wait(10)
            if number % 2:
                receipt = desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA)
            else:
                receipt = desk.reject(asked.id, digest=asked.digest, reason=RejectReason.OTHER, operator=BOB)
            return receipt.accepted, receipt.message

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(press, range(4)))
    assert sum(accepted for accepted, _ in said) == 1
    assert all("already" in message for accepted, message in said if not accepted)
    assert scalar(paper, "select count(*) from verdicts") == 1


# -- what the desk allows by then ----------------------------------------------------------------------------


def limits_in_force(conninfo: str, limit: float) -> None:
    """As the last evening left them."""
    figures = [{"name": "risk_per_trade", "limit": limit, "bound": None, "source": "ladder"}]
    with writing(conninfo) as session:
        run = build.run(SESSIONS[0], Slot.DELIBERATE)
        run.result = json.loads(json.dumps({"limits": figures}))
        session.add(run)


def test_a_limit_that_has_no_room_any_more_refuses_the_approval_and_says_which(paper: str) -> None:
    with writing(paper) as session:
        asked = build.propose(session, terms())
    limits_in_force(paper, 0.0025)
    with Desk(paper) as desk:
        refused = desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA)
        assert refused.message == "the limit risk_per_trade is 0.0025 now, and this asks for 0.0042"
    execute(paper, "delete from runs")
    limits_in_force(paper, 0.005)
    with Desk(paper) as desk:
        assert desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA).accepted


def test_a_stopped_ladder_and_an_absence_refuse_it_too(paper: str) -> None:
    with writing(paper) as session:
        asked = build.propose(session, terms())

    def approve(desk: Desk) -> str:
        return desk.approve(asked.id, digest=asked.digest, typed_id="", operator=ADA).message

    with Desk(paper) as desk:
        assert desk.leave(in_(3600), "dentist", operator=ADA).accepted
        assert not desk.leave(in_(3600), "again", operator=BOB).accepted
        assert "ada is away until" in approve(desk)
        snapshot = desk.snapshot()
        assert snapshot is not None and snapshot.absence is not None
        assert desk.come_back(operator=BOB).accepted and not desk.come_back(operator=BOB).accepted
        execute(
            paper,
            "insert into ladder_readings (session, rung, drawdown, probation_left) values (%s, %s, .13, 0)",
            SESSIONS[0],
            Rung.NO_ENTRIES,
        )
        assert approve(desk).endswith("no entries")


def test_an_absence_ends_by_itself_and_none_begins_in_the_past(paper: str) -> None:
    with Desk(paper) as desk:
        assert not desk.leave(in_(-1), "x", operator=ADA).accepted
        assert desk.leave(in_(3600), "x", operator=ADA).accepted
        execute(paper, "update absences set since = now() - interval '2 h', until = now() - interval '1 h'")
        snapshot = desk.snapshot()
        assert snapshot is not None and snapshot.absence is None


# -- policies ------------------------------------------------------------------------------------------------


def short_id(desk: Desk) -> str:
    return desk.policies()[0].short_id


def test_a_policy_is_in_force_once_a_human_has_typed_its_id(paper: str) -> None:
    with Desk(paper) as desk:
        assert desk.propose_policy(DRAFT, operator=ADA).accepted
        name = short_id(desk)
        assert not desk.approve_policy(name, typed_id="", operator=ADA).accepted
        assert not desk.policies()[0].stands
        assert desk.approve_policy(name, typed_id=name, operator=BOB).accepted
        (row,) = desk.policies()
        assert row.stands and row.approved_by == "bob" and row.draft == DRAFT
        assert row.expires_at is not None and row.approved_at is not None
        assert row.expires_at - row.approved_at <= timedelta(days=30)
        assert not desk.approve_policy(name, typed_id=name, operator=BOB).accepted
        assert desk.revoke_policy(name, operator=ADA).accepted and not desk.policies()[0].stands
        assert not desk.approve_policy(name, typed_id=name, operator=BOB).accepted


def test_approving_another_version_revokes_the_first(paper: str) -> None:
    with Desk(paper) as desk:
        for risk in (0.001, 0.002):
            desk.propose_policy(replace(DRAFT, max_risk=risk), operator=ADA)
            desk.approve_policy(short_id(desk), typed_id=short_id(desk), operator=ADA)
        assert [(row.version, row.stands) for row in desk.policies()] == [(2, True), (1, False)]


@pytest.mark.parametrize(
    "wider", [{"max_risk": 0.006}, {"a_day": 3}, {"max_heat": 0.02}, {"max_risk": float("nan")}]
)
def test_the_table_itself_takes_no_wider_one(paper: str, wider: dict[str, float]) -> None:
    with Desk(paper) as desk:
        assert not desk.propose_policy(replace(DRAFT, **wider), operator=ADA).accepted  # type: ignore[arg-type]
        assert desk.policies() == ()


def test_bounds_that_somebody_changed_are_not_approved(paper: str) -> None:
    with Desk(paper) as desk:
        desk.propose_policy(DRAFT, operator=ADA)
        name = short_id(desk)
        execute(paper, "update policies set max_risk = 0.005")
        assert (
            "not those that were proposed" in desk.approve_policy(name, typed_id=name, operator=ADA).message
        )


def test_no_policy_approves_what_is_risky_whoever_writes_to_the_table(paper: str) -> None:
    with Desk(paper) as desk:
        desk.propose_policy(DRAFT, operator=ADA)
    with writing(paper) as session:
        build.propose(session, terms(), risky=True)
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_approvals_policy"):
        execute(
            paper,
            "update approvals set state = 'approved', typed_id = short_id, decided_by = 'x',"
            " decided_at = now(), decided_digest = digest, policy_id = (select id from policies)",
        )


def test_what_was_missed_is_summed_up(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.equity(SESSIONS[5], "100000.00"))
        for number, (state, r) in enumerate(
            [(ApprovalState.EXPIRED, 0.5), (ApprovalState.EXPIRED, 1.0), (ApprovalState.REJECTED, -1.0)]
        ):
            build.propose(
                session,
                terms(entry_session=SESSIONS[number + 1]),
                short_id=f"T-{number}",
                state=state,
                what_if_r=r,
                what_if_note="x",
                decided_by="ada",
                decided_at=in_(0),
            )
    with Desk(paper) as desk:
        snapshot = desk.snapshot()
    assert snapshot is not None and snapshot.missed is not None
    missed = snapshot.missed
    assert missed.words == "2 missed this week = +1.5R"
    assert (missed.rejected, missed.rejected_r) == (1, -1.0)
    for running, words in (
        ("short_id = 'T-0'", "2 missed this week = +1.0R, 1 still running"),
        ("state = 'expired'", "2 missed this week, still running"),
    ):
        execute(paper, f"update approvals set what_if_r = null, what_if_note = null where {running}")
        with Desk(paper) as desk:
            snapshot = desk.snapshot()
        assert snapshot is not None and snapshot.missed is not None and snapshot.missed.words == words
