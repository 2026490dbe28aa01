import inspect
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.market.calendar import add_sessions
from agents.trading import broker
from agents.trading.limits import ClosedTrade, Lock, Protections, locks_on
from agents.trading.limits.protections import StoplossGuard
from storage.records import ExitReason

START = date(2024, 3, 4)


def day(n: int) -> date:
    return add_sessions(START, n) if n else START


def trade(
    left: int, symbol: str = "AAA", r: float = -1.0, reason: ExitReason = ExitReason.STOP_LOSS
) -> ClosedTrade:
    return ClosedTrade(symbol=symbol, entry_session=day(left - 1), exit_session=day(left), reason=reason, r=r)


def locked(trades: list[ClosedTrade], on: int) -> dict[tuple[str, str | None], date]:
    return {(lock.protection, lock.symbol): lock.until for lock in locks_on(trades, day(on), Protections())}


def test_a_symbol_rests_after_any_exit() -> None:
    won = [trade(1, r=2.0, reason=ExitReason.TAKE_PROFIT)]
    assert locked(won, 1) == locked(won, 3) == {("CooldownPeriod", "AAA"): day(3)}
    assert locked(won, 4) == {}


def test_stops_in_many_names_lock_all_and_the_lock_lasts_its_time() -> None:
    stops = [trade(n, symbol=f"S{n}", r=-0.4) for n in (1, 2, 3, 4)]
    assert ("StoplossGuard", None) not in locked(stops[:3], 4)
    assert locked(stops, 4)["StoplossGuard", None] == day(9)
    assert ("StoplossGuard", None) in locked(stops, 9)
    assert ("StoplossGuard", None) not in locked(stops, 10)
    spread = [trade(n, symbol=f"S{n}", r=-0.4) for n in (1, 2, 3, 11)]  # the first is out of the window
    assert ("StoplossGuard", None) not in locked(spread, 11)


def test_a_stop_that_made_money_is_no_bad_sign() -> None:
    trailing = [trade(n, f"S{n}", r=0.5, reason=ExitReason.TRAILING_STOP) for n in (1, 2, 3, 4)]
    assert set(locked(trailing, 4)) == {
        ("CooldownPeriod", "S3"),
        ("CooldownPeriod", "S4"),
        ("CooldownPeriod", "S2"),
    }


def test_two_stops_lock_their_symbol_alone() -> None:
    stops = [trade(1, r=-0.4), trade(5, r=-0.4)]
    assert locked(stops, 6) == {
        ("StoplossGuard", "AAA"): day(15),
        ("CooldownPeriod", "AAA"): day(7),
    }


def test_a_fall_over_the_trades_locks_all() -> None:
    falling = [trade(1, "W", r=3.0, reason=ExitReason.TAKE_PROFIT)] + [
        trade(n, f"S{n}", r=-1.5, reason=ExitReason.TIME_EXIT) for n in (2, 3, 4, 5)
    ]
    assert locked(falling, 5)["MaxDrawdown", None] == day(10)
    assert ("MaxDrawdown", None) not in locked(falling[1:], 5)  # too few trades to judge


def test_a_symbol_that_earns_too_little_is_locked() -> None:
    poor = [trade(n, r=-0.6, reason=ExitReason.TIME_EXIT) for n in (1, 30)]
    assert locked(poor, 31)["LowProfitPairs", "AAA"] == day(50)
    assert ("LowProfitPairs", "AAA") not in locked(poor[:1], 2)


def test_a_lock_holds_up_to_and_including_its_last_session() -> None:
    one = Lock(protection="CooldownPeriod", symbol="AAA", until=day(3), reason="")
    assert one.holds("AAA", day(3))
    assert not one.holds("AAA", day(4))
    assert not one.holds("BBB", day(3))
    assert Lock(protection="MaxDrawdown", symbol=None, until=day(3), reason="").holds("BBB", day(3))


def test_a_protection_can_be_tightened_within_its_bounds_only() -> None:
    assert StoplossGuard(stops=1).stops == 1
    for wrong in ({"stops": 11}, {"lock": 0}, {"stosp": 3}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            StoplossGuard.model_validate(wrong)


TRADES = st.lists(
    st.builds(
        trade,
        st.integers(1, 80),
        st.sampled_from(["AAA", "BBB", "CCC"]),
        st.floats(-3, 3),
        st.sampled_from(list(ExitReason)),
    ),
    max_size=15,
)


@settings(deadline=None)
@given(TRADES, st.integers(1, 100), st.randoms())
def test_locks_depend_on_the_past_alone_and_not_on_its_order(
    trades: list[ClosedTrade], on: int, any_order: object
) -> None:
    locks = locks_on(trades, day(on), Protections())
    assert locks == locks_on(reversed(trades), day(on), Protections())
    assert locks == locks_on([one for one in trades if one.exit_session <= day(on)], day(on), Protections())
    assert all(lock.until >= day(on) and lock.reason for lock in locks)


@settings(deadline=None)
@given(TRADES, st.integers(1, 99))
def test_a_lock_once_given_stands_until_its_session(trades: list[ClosedTrade], on: int) -> None:
    tomorrow = {
        (lock.protection, lock.symbol): lock.until for lock in locks_on(trades, day(on + 1), Protections())
    }
    for lock in locks_on(trades, day(on), Protections()):
        if lock.until > day(on):
            assert tomorrow[lock.protection, lock.symbol] >= lock.until


@pytest.mark.parametrize("name", ["exit_on_bar", "exit_without_bar"])
def test_no_exit_asks_for_a_limit_or_a_lock(name: str) -> None:
    function = getattr(broker, name)
    asked = " ".join(str(one) for one in inspect.signature(function).parameters.values())
    for word in ("BookView", "Limits", "Lock", "Protections", "Candidate", "Ladder"):
        assert word not in asked
    used = {*function.__code__.co_names, *broker._exit.__code__.co_names}
    assert not used & {"recheck_entry", "locks_on", "size_entry", "ladder_state"}
