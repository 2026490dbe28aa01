"""A standing policy at work: after the evening's argument it approves what a human has allowed it to."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import func, select

from agents.trading.standing import Candidate, PolicyBounds, Standing, off_because, refuses_because
from app.runtime.halting import held_back
from app.runtime.step import Step
from app.runtime.verdicts import verdict_of
from storage.events import Topic, announce
from storage.models import (
    Approval,
    Deliberation,
    Equity,
    LadderReading,
    Order,
    Position,
    StandingPolicy,
)
from storage.policies import PolicyDraft
from storage.records import ApprovalState, OrderState, PositionState, Rung, SetupType, VerdictVerb


async def let_policies_act(step: Step) -> list[str]:
    """What the policy in force approved or why it did not act, in a few words each; nothing without one.

    Called once an evening: what a human takes back afterwards waits for a human.
    """
    policy = await _in_force(step)
    if policy is None:
        return []
    bounds = _bounds(policy)
    if bounds is None:
        return [f"policy {policy.short_id} does not act: its bounds were changed"]
    assert policy.expires_at is not None  # an approved one has a term
    standing = await _standing(step)
    if why := off_because(standing, expires_at=policy.expires_at, now=step.wall_now):
        return [f"policy {policy.short_id} does not act: {why}"]
    told = []
    for approval, probability in await _waiting(step):
        candidate = Candidate(
            setup=approval.setup_type,
            risky=approval.risky,
            recommendation=approval.recommendation,
            max_risk=approval.max_risk,
            probability=probability,
        )
        if refuses_because(bounds, candidate, standing):
            continue
        _approve(step, approval, policy)
        told.append(f"{approval.symbol} approved by policy {policy.short_id}")
        standing = Standing(
            kind=standing.kind,
            rung=standing.rung,
            held_back=standing.held_back,
            equity=standing.equity,
            approved_today=standing.approved_today + 1,
            heat_usd=standing.heat_usd + approval.max_risk,
        )
    if told:
        await announce(await step.database.connection(), Topic.APPROVAL)
    return told


async def _in_force(step: Step) -> StandingPolicy | None:
    """Held until the step ends: a revocation comes before what it does, or after."""
    found: StandingPolicy | None = await step.database.scalar(
        select(StandingPolicy)
        .where(StandingPolicy.approved_at.is_not(None), StandingPolicy.revoked_at.is_(None))
        .order_by(StandingPolicy.version.desc())
        .limit(1)
        .with_for_update()
    )
    return found


def _bounds(policy: StandingPolicy) -> PolicyBounds | None:
    """None where they are not what the human approved."""
    setups = tuple(SetupType(name) for name in policy.setups)
    draft = PolicyDraft(
        setups=setups,
        max_risk=policy.max_risk,
        min_probability=policy.min_probability,
        a_day=policy.a_day,
        max_heat=policy.max_heat,
    )
    if draft.digest != policy.digest:
        return None
    return PolicyBounds(
        setups=frozenset(setups),
        max_risk=draft.max_risk,
        min_probability=draft.min_probability,
        a_day=draft.a_day,
        max_heat=draft.max_heat,
    )


async def _standing(step: Step) -> Standing:
    database = step.database
    rung = await database.scalar(select(LadderReading.rung).order_by(LadderReading.session.desc()).limit(1))
    equity = await database.scalar(select(Equity.equity).order_by(Equity.session.desc()).limit(1))
    held = await held_back(step, entering=True)
    approved = await database.scalar(
        select(func.count())
        .select_from(Approval)
        .where(
            Approval.policy_id.is_not(None),
            Approval.state == ApprovalState.APPROVED,
            Approval.entry_session == step.next_session,
        )
    )
    return Standing(
        kind=step.parts.kind,
        rung=rung or Rung.FULL,
        held_back=held.why if held else "",
        equity=equity or Decimal(0),
        approved_today=approved or 0,
        heat_usd=await _heat(step),
    )


async def _heat(step: Step) -> Decimal:
    """Dollars at risk in what policies approved: of what waits for its open, and of what is held."""
    waiting = await step.database.scalar(
        select(func.coalesce(func.sum(Approval.max_risk), 0))
        .outerjoin(Order, Order.approval_id == Approval.id)
        .where(
            Approval.policy_id.is_not(None),
            Approval.state == ApprovalState.APPROVED,
            Approval.entry_session > step.session,
            Order.id.is_(None) | (Order.state == OrderState.RESTING),
        )
    )
    held = await step.database.scalar(
        select(
            func.coalesce(
                func.sum(func.greatest(Position.entry_price - Position.stop, Decimal(0)) * Position.shares),
                0,
            )
        )
        .join(Approval, Approval.id == Position.approval_id)
        .where(Approval.policy_id.is_not(None), Position.state == PositionState.OPEN)
    )
    return Decimal(waiting or 0) + Decimal(held or 0)


async def _waiting(step: Step) -> list[tuple[Approval, float | None]]:
    """Tonight's proposals nobody has answered, best first, each with its chance of a win."""
    rows = await step.database.execute(
        select(Approval, func.coalesce(Deliberation.probability, Deliberation.base_rate))
        .join(Deliberation, Deliberation.id == Approval.deliberation_id)
        .where(Approval.state == ApprovalState.PENDING, Approval.created_session == step.session)
        .order_by(Deliberation.rank, Approval.symbol)
        .with_for_update(of=Approval)
    )
    waiting = [(row[0], row[1]) for row in rows]
    # The database's clock, after the rows are held: past the cutoff a policy has no more say than a human.
    now = (await step.database.execute(select(func.clock_timestamp()))).scalar_one()
    return [one for one in waiting if one[0].expires_at is None or one[0].expires_at > now]


def _approve(step: Step, approval: Approval, policy: StandingPolicy) -> None:
    giver = f"policy {policy.short_id} v{policy.version}"
    approval.state = ApprovalState.APPROVED
    approval.policy_id = policy.id
    approval.decided_by, approval.decided_from = giver, f"approved by {policy.approved_by}"
    approval.decided_at = step.wall_now
    approval.decided_digest = approval.digest
    approval.decision_reason = ""
    approval.effective_at = approval.expires_at or step.wall_now
    step.database.add(verdict_of(approval, VerdictVerb.APPROVED, by=giver, reason="", now=step.wall_now))
