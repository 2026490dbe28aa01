"""What corporate actions do to what the desk holds and has in mind, as pure rules.

A split multiplies shares and divides prices, a dividend is cash, a symbol change is a name. Whatever cannot
be right is refused with its reason and changes nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

from agents.market.actions import ActionKey, ActionKind, CorporateAction, in_order
from agents.market.calendar import sessions_between
from agents.trading.book import OpenPosition
from storage.records import TICK, to_cents, to_price

# Beyond these a ratio is a mistake of its source: the largest splits of listed US stocks were 50:1 and 1:100.
LARGEST_RATIO = Fraction(100)
SMALLEST_RATIO = Fraction(1, 100)

# A move from close to open that is taken for a split until somebody has looked, as a fraction of the close.
SUSPECT_MOVE = Decimal("0.25")

# A dividend above this fraction of the close moves the price too far for the terms of an entry still to come.
VOID_DIVIDEND = Decimal("0.02")

# A dividend above this fraction of the close is a spin-off that its source states in dollars: the prices of
# the position move with it.
SPIN_OFF = Decimal("0.05")

# Sessions without a bar after which a symbol is taken to have left the exchange.
DELISTED_AFTER = 5


@dataclass(frozen=True, kw_only=True)
class Applied:
    """An action as it was lived through by one position.

    `position` is what is held afterwards, None when nothing is left. `cash` are the dollars that come in: a
    dividend, or what the fraction of a share was paid (cash in lieu) at `price` dollars a new share. The
    costs are dollars paid for the shares held before and after, each to the cent.
    """

    action: CorporateAction
    position: OpenPosition | None
    cash: Decimal
    cost_before: Decimal
    cost_after: Decimal
    note: str
    fraction: Fraction = Fraction(0)
    price: Decimal | None = None
    late: bool = False
    drop: Decimal | None = None  # dollars a share by which a spin-off lowered every price of the position

    @property
    def realised(self) -> Decimal:
        """Dollars of profit booked by the action: its cash less the cost that left with it.

        Contains what rounding prices to the tick moved the cost basis by, so that cash and profits still
        agree to the cent once the position is closed.
        """
        return self.cash - (self.cost_before - self.cost_after)

    @property
    def is_income(self) -> bool:
        """Whether the cash is a dividend beside the trade; other cash is part of the trade's own profit."""
        return self.action.kind is ActionKind.DIVIDEND and self.drop is None


@dataclass(frozen=True)
class Refused:
    """Why an action was not applied to a position; nothing changed."""

    action: CorporateAction
    reason: str


def apply_action(
    position: OpenPosition,
    action: CorporateAction,
    *,
    today: date,
    applied: Collection[ActionKey],
    reference: Decimal | None = None,
) -> Applied | Refused:
    """What `action` makes of `position` before the open of `today`, or why it is refused.

    `applied` are the keys of the actions this position has lived through already. `reference` is the price,
    in dollars a new share, at which a fraction of a share is paid; without one the last close over the ratio.
    An action whose ex-date is past is applied once, with a note that it was late.
    """
    reason = _refusal(position, action, today, applied)
    if reason is not None:
        return Refused(action, reason)
    late = action.ex_date < today
    if action.kind is ActionKind.SPLIT:
        return _split(position, action, reference, late)
    if action.kind is ActionKind.DIVIDEND:
        return _dividend(position, action, late)
    return _rename(position, action, late)


def live_through(
    position: OpenPosition,
    actions: Iterable[CorporateAction],
    *,
    today: date,
    applied: Collection[ActionKey],
    reference: Decimal | None = None,
) -> tuple[OpenPosition | None, list[Applied | Refused]]:
    """The position after `actions`, in the order in which they take effect, and what each of them did.

    `actions` are those of the position's symbol; once nothing is held any more the rest are refused.
    `reference` is only for a day with a single split.
    """
    held: OpenPosition | None = position
    done = set(applied)
    results: list[Applied | Refused] = []
    for action in sorted(actions, key=in_order):
        if held is None:
            results.append(Refused(action, f"nothing of {action.symbol} is held any more"))
            continue
        result = apply_action(held, action, today=today, applied=done, reference=reference)
        results.append(result)
        if isinstance(result, Applied):
            held = result.position
            done.add(action.key)
    return held, results


def price_after(price: Decimal, ratio: Fraction) -> Decimal:
    """A price a share on the basis after a split, half up to the tick."""
    return to_price(_divided(price, ratio))


def _refusal(
    position: OpenPosition, action: CorporateAction, today: date, applied: Collection[ActionKey]
) -> str | None:
    what = f"the {action.kind.replace('_', ' ')} of {action.symbol} on {action.ex_date.isoformat()}"
    if action.symbol != position.symbol:
        return f"{what} is not about {position.symbol}"
    if action.key in applied:
        return f"{what} has been applied already"
    if action.ex_date > today:
        return f"{what} is still to come"
    if action.kind is ActionKind.SYMBOL_CHANGE:
        return None
    if position.entry_session >= action.ex_date:
        return f"{what} came before the position: it was bought at a price that knows it"
    if action.amount <= 0:
        return f"{what} has the value {action.amount}, which is not above zero"
    if action.kind is ActionKind.SPLIT:
        if not SMALLEST_RATIO <= action.ratio <= LARGEST_RATIO:
            return f"{what} has the absurd ratio {action.amount}: at most 100 for 1 or 1 for 100"
        if (
            price_after(position.initial_stop, action.ratio) < TICK
            or price_after(position.entry_price, action.ratio) <= TICK
        ):
            return f"{what} would bring the prices of the position to the smallest step {TICK}"
        return None
    if any(
        symbol == action.symbol and kind is ActionKind.SPLIT and day > action.ex_date
        for symbol, day, kind in applied
    ):
        return f"{what} comes after a later split was applied: the shares of that day are not known here"
    if action.ex_date == today and action.amount >= position.last_close:
        return f"{what} of {action.amount} is not below the last close {position.last_close}"
    return None


def _split(position: OpenPosition, action: CorporateAction, reference: Decimal | None, late: bool) -> Applied:
    """Shares times the ratio, prices over it.

    Whole shares are kept, rounded down, and the fraction is paid in cash, half up to the cent. Every price is
    rounded half up to the tick, which moves the cost basis and the risk in dollars by at most half a tick a
    share; stop and target are kept at least one tick away from the entry.
    """
    ratio = action.ratio
    exact = position.shares * ratio
    shares = floor(exact)
    fraction = exact - shares
    entry = price_after(position.entry_price, ratio)
    # Bars since a split that was missed are on the new basis already; the extremes mix both and start afresh.
    stale = position.last_session >= action.ex_date
    last_close = position.last_close if stale else price_after(position.last_close, ratio)
    price = last_close if reference is None else reference
    cash = to_cents(_times(price, fraction))
    notes = ["late"] if late else []
    notes.append(f"split {ratio.numerator} for {ratio.denominator}: {position.shares} shares became {shares}")
    if fraction:
        notes.append(f"{float(fraction):.4g} of a share paid at {price}")
    after = None
    if shares:
        stop, target = price_after(position.stop, ratio), price_after(position.target, ratio)
        initial_stop = min(price_after(position.initial_stop, ratio), entry - TICK)
        if position.stop < position.entry_price:
            stop = min(stop, entry - TICK)
        if position.target > position.entry_price:
            target = max(target, entry + TICK)
        after = replace(
            position,
            shares=shares,
            entry_price=entry,
            stop=stop,
            initial_stop=initial_stop,
            target=target,
            sold_shares=_times(position.sold_shares, ratio),
            low_since=min(entry, last_close) if stale else price_after(position.low_since, ratio),
            high_since=max(entry, last_close) if stale else price_after(position.high_since, ratio),
            last_close=last_close,
        )
        if stale:
            notes.append("lowest and highest price start afresh")
    return Applied(
        action=action,
        position=after,
        cash=cash,
        cost_before=_cost(position),
        cost_after=_cost(after),
        note=", ".join(notes),
        fraction=fraction,
        price=price if fraction else None,
        late=late,
    )


def _dividend(position: OpenPosition, action: CorporateAction, late: bool) -> Applied:
    """Cash for the shares held at the open of the ex-date, half up to the cent.

    The entry price stays, and so do stop and target: the stop is NOT lowered by the dividend, although the
    price falls by it. A distribution large enough to reach the stop ends the trade, with its cash received.
    One above 5% of the close is a spin-off (`_spin_off`), unless it leaves no room for a stop above zero.
    """
    cash = to_cents(position.shares * action.amount)
    stale = position.last_session >= action.ex_date
    close = position.last_close + (action.amount if stale else 0)
    if action.amount > SPIN_OFF * close and position.initial_stop - to_price(action.amount) >= TICK:
        return _spin_off(position, action, cash, late, stale)
    cost = _cost(position)
    note = f"dividend of {action.amount} on {position.shares} shares"
    if action.amount > VOID_DIVIDEND * position.last_close:
        note += f", more than {VOID_DIVIDEND:.0%} of the last close: the stop stays where it is"
    return Applied(
        action=action,
        position=position,
        cash=cash,
        cost_before=cost,
        cost_after=cost,
        note=f"late, {note}" if late else note,
        late=late,
    )


def _spin_off(
    position: OpenPosition, action: CorporateAction, cash: Decimal, late: bool, stale: bool
) -> Applied:
    """The cash in lieu of the shares that were spun off; every price of the position is lowered by as much.

    What is held afterwards is worth less by what was paid, so its entry, stop and target are as far from the
    price as before and nobody is stopped out by bookkeeping.
    """
    drop = to_price(action.amount)
    last_close = position.last_close if stale else position.last_close - drop
    entry = position.entry_price - drop
    after = replace(
        position,
        entry_price=entry,
        stop=position.stop - drop,
        initial_stop=position.initial_stop - drop,
        target=position.target - drop,
        # As after a split that was missed: extremes on two bases start afresh.
        low_since=min(entry, last_close) if stale else max(TICK, position.low_since - drop),
        high_since=max(entry, last_close) if stale else position.high_since - drop,
        last_close=last_close,
    )
    note = f"spin-off of {action.amount} a share on {position.shares} shares: every price is lowered by it"
    return Applied(
        action=action,
        position=after,
        cash=cash,
        cost_before=_cost(position),
        cost_after=_cost(after),
        note=f"late, {note}" if late else note,
        late=late,
        drop=drop,
    )


def _rename(position: OpenPosition, action: CorporateAction, late: bool) -> Applied:
    """The same position, with the same id, under the new symbol."""
    assert action.new_symbol is not None  # a CorporateAction of this kind has one
    cost = _cost(position)
    note = f"{action.symbol} is now {action.new_symbol}"
    return Applied(
        action=action,
        position=replace(position, symbol=action.new_symbol),
        cash=Decimal("0.00"),
        cost_before=cost,
        cost_after=cost,
        note=f"late, {note}" if late else note,
        late=late,
    )


@dataclass(frozen=True)
class PendingDecision:
    """Whether an approval or an entry that has not filled yet stands, and why."""

    keep: bool
    reason: str


def pending_after(symbol: str, actions: Iterable[CorporateAction], close: Decimal) -> PendingDecision:
    """What becomes of a pending approval or resting entry of `symbol` when `actions` take effect.

    Its prices and shares were approved on the basis of `close`, the last one. After a split or a symbol
    change they mean something else: void. Dividends leave them be unless together they are above 2% of the
    close.
    """
    paid = Decimal(0)
    for action in sorted((action for action in actions if action.symbol == symbol), key=in_order):
        day = action.ex_date.isoformat()
        if action.kind is ActionKind.SPLIT:
            return PendingDecision(
                False, f"{symbol} split {action.amount} for 1 on {day}: the prices are void"
            )
        if action.kind is ActionKind.SYMBOL_CHANGE:
            return PendingDecision(False, f"{symbol} became {action.new_symbol} on {day}")
        paid += action.amount
    if paid > VOID_DIVIDEND * close:
        return PendingDecision(
            False, f"{symbol} pays {paid}, more than {VOID_DIVIDEND:.0%} of the close {close}"
        )
    return PendingDecision(True, f"{symbol} pays {paid}" if paid else f"no action of {symbol}")


@dataclass(frozen=True)
class SuspectedSplit:
    """An open too far from the close before to be believed: the paper stop is held until it is looked into.

    `move` is the open against the close as a fraction, -0.5 for half of it.
    """

    previous_close: Decimal
    opened: Decimal
    move: float
    reason: str


@dataclass(frozen=True)
class StopHold:
    """Whether the paper stop is still held back, and why."""

    is_released: bool
    reason: str


def suspected_split(
    previous_close: Decimal, opened: Decimal | None, known_actions: Iterable[CorporateAction]
) -> SuspectedSplit | None:
    """The suspicion when the open lies over 25% from where the close and the known actions put it.

    `known_actions` are the symbol's actions since that close: a known split or dividend explains its own
    part of the move. Without an open there is nothing to suspect: a symbol that shows no bars is halted or
    delisted (`presumed_delisted`), not split.
    """
    if opened is None or opened <= 0 or previous_close <= 0:
        return None
    if not _is_suspect(previous_close, opened, known_actions):
        return None
    move = float(opened / previous_close - 1)
    return SuspectedSplit(
        previous_close=previous_close,
        opened=opened,
        move=move,
        reason=f"suspected split: opened at {opened}, {move:+.1%} from the close {previous_close}",
    )


def release(suspicion: SuspectedSplit, answer: Iterable[CorporateAction] | None) -> StopHold:
    """Whether the stop is released, given what the split check found; None while it has not answered.

    Any answer releases it: either there is an action, which is applied first so that the stop stands on the
    new basis, or there is none, and the move is the market's.
    """
    if answer is None:
        return StopHold(False, suspicion.reason)
    found = list(answer)
    if found and not _is_suspect(suspicion.previous_close, suspicion.opened, found):
        told = ", ".join(f"{action.kind.replace('_', ' ')} {action.value}" for action in found)
        return StopHold(True, f"explained by {told}: the stop stands after it is applied")
    return StopHold(True, f"no action explains {suspicion.move:+.1%}: the move is the market's")


def presumed_delisted(last_session: date, today: date, after: int = DELISTED_AFTER) -> bool:
    """Whether a symbol whose last bar is of `last_session` has shown none for `after` sessions up to `today`.

    Such a holding leaves by its time (`broker.exit_without_bar`); it is never taken for a split.
    """
    return sessions_between(last_session, today) >= after


def _is_suspect(previous_close: Decimal, opened: Decimal, actions: Iterable[CorporateAction]) -> bool:
    expected = previous_close
    for action in sorted(actions, key=in_order):
        if action.kind is ActionKind.SPLIT and action.amount > 0:
            expected = _divided(expected, action.ratio)
        elif action.kind is ActionKind.DIVIDEND:
            expected -= action.amount
    return expected <= 0 or abs(opened / expected - 1) > SUSPECT_MOVE


def _cost(position: OpenPosition | None) -> Decimal:
    """Dollars paid for the shares, as the ledger has them."""
    return Decimal("0.00") if position is None else position.cost


def _divided(price: Decimal, ratio: Fraction) -> Decimal:
    return price * ratio.denominator / ratio.numerator


def _times(price: Decimal, fraction: Fraction) -> Decimal:
    return price * fraction.numerator / fraction.denominator
