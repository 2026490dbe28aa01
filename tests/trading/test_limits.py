import json
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    Candidate,
    Correlations,
    Denied,
    EarningsDate,
    EarningsStatus,
    KellyCap,
    LadderState,
    Limits,
    Lock,
    Sized,
    recheck_entry,
    risky_reasons,
    size_entry,
)
from storage.records import DeskKind, LimitCheck
from tests.trading.builders import ENTRY, NO_COSTS, book, candidate, exposure, plan, terms

COSTS = Costs()
SIZING = [
    "risk_per_trade",
    "volatility_target",
    "worst_gap",
    "adv",
    "heat",
    "heat_adjusted",
    "sector",
    "cash",
]
GATES = [
    "halt",
    "drawdown",
    "daily_loss",
    "weekly_loss",
    "protections",
    "earnings",
    "max_positions",
    "correlation",
    "reward_risk",
]
HELD = tuple(exposure(f"H{n}", risk="0", value="0") for n in range(10))


def sized(
    view: BookView, limits: Limits | None = None, scale: float = 1.0, facts: Candidate | None = None
) -> Sized:
    result = size_entry(plan(), facts or candidate(), view, limits or Limits(), COSTS, risk_scale=scale)
    assert isinstance(result, Sized), result
    return result


def denied(
    view: BookView, limits: Limits | None = None, scale: float = 1.0, facts: Candidate | None = None
) -> Denied:
    result = size_entry(plan(), facts or candidate(), view, limits or Limits(), COSTS, risk_scale=scale)
    assert isinstance(result, Denied), result
    return result


def check(result: Sized | Denied, name: str) -> LimitCheck:
    return next(check for check in result.checks if check.name == name)


def test_risk_a_trade_sizes_an_ordinary_entry() -> None:
    trade = sized(book())  # 500 dollars of risk at 5 a share, 101 at most
    assert (trade.shares, trade.max_risk, trade.cost) == (100, Decimal("500.00"), Decimal("10101.00"))
    assert [one.name for one in trade.checks] == SIZING + GATES
    assert (trade.bound_by, trade.scale, trade.notes) == ("risk_per_trade", 1.0, ())
    assert all(one.passed for one in trade.checks)
    assert check(trade, "risk_per_trade").after == 0.005
    assert (check(trade, "heat").before, check(trade, "heat").after) == (0.0, 0.005)
    assert (check(trade, "cash").before, check(trade, "cash").after) == (100000.0, 89899.0)


def test_what_heat_leaves_sizes_the_entry() -> None:
    trade = sized(book(heat="5899.99"))  # 100.01 dollars left at 5 a share
    assert (trade.shares, trade.max_risk) == (20, Decimal("100.00"))


def test_what_cash_leaves_sizes_the_entry() -> None:
    assert sized(book(cash="1011.00")).shares == 10  # ten shares and the commission, to the cent
    assert sized(book(cash="1010.99")).shares == 9
    assert sized(book(cash="21011.00"), Limits(min_cash=0.2)).shares == 10


@pytest.mark.parametrize(
    ("view", "limit"),
    [
        (book(equity="900"), "risk_per_trade"),  # 4.50 of risk, a share risks 5
        (book(heat="5995.01"), "heat"),
        (book(heat="7000"), "heat"),
        (book(cash="101.99"), "cash"),
        (book(cash="-50"), "cash"),
        (book(day_return=-0.0201), "daily_loss"),
        (book(week_return=-0.0401), "weekly_loss"),
        (book(exposures=(exposure("BBB", risk="0", value="24900", sector="Technology"),)), "sector"),
        (book(exposures=HELD), "max_positions"),
        (book(ladder=LadderState(drawdown=Decimal("0.12"), high=Decimal(1))), "drawdown"),
        (
            book(ladder=LadderState(drawdown=Decimal("0.01"), high=Decimal(1), halted_since=ENTRY)),
            "halt",
        ),
        (book(locks=(Lock(protection="Cooldown", symbol="AAA", until=ENTRY, reason="sold"),)), "protections"),
        (
            book(exposures=(exposure("BBB"),), correlations=Correlations({("BBB", "AAA"): 0.86})),
            "correlation",
        ),
    ],
)
def test_a_limit_without_room_for_one_share_denies_under_its_name(view: BookView, limit: str) -> None:
    trade = denied(view)
    assert trade.limit == limit
    assert [one.name for one in trade.checks if not one.passed] == [limit]


def test_a_loss_at_the_limit_still_trades() -> None:
    assert sized(book(day_return=-0.02)).shares == 100


def test_half_is_half_whichever_limit_bound() -> None:
    assert sized(book(), scale=0.5).shares == 50
    assert sized(book(cash="1011.00"), scale=0.5).shares == 5
    assert denied(book(cash="102.00"), scale=0.5).limit == "cash"


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.0001, float("nan")])
def test_a_scale_that_would_enlarge_or_turn_a_trade_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="risk scale"):
        size_entry(plan(), candidate(), book(), Limits(), COSTS, risk_scale=scale)


def test_an_account_without_equity_cannot_be_sized() -> None:
    with pytest.raises(ValueError, match="equity above zero"):
        book(equity="0")


def test_a_fill_never_exceeds_what_was_approved() -> None:
    def fill(price: str, **approved: int | str) -> int:
        result = recheck_entry(terms(**approved), Decimal(price), candidate(), book(), Limits(), NO_COSTS)  # type: ignore[arg-type]
        assert isinstance(result, Sized)
        return result.shares

    assert fill("99", max_shares=100) == 100  # cheaper: risk would allow 166
    assert fill("101", max_shares=200) == 100
    assert fill("100", max_shares=100, max_risk="200.00") == 50


def test_a_fill_obeys_limits_tightened_since_and_a_book_filled_since() -> None:
    def fill(view: BookView, limits: Limits) -> Sized | Denied:
        return recheck_entry(terms(), Decimal(100), candidate(), view, limits, NO_COSTS)

    tightened = fill(book(), Limits(risk_per_trade=0.001))
    assert isinstance(tightened, Sized)
    assert tightened.shares == 25
    bound = terms(
        limits=Limits(risk_per_trade=0.002)
    )  # what was approved under a tighter limit stays under it
    approved = recheck_entry(bound, Decimal(100), candidate(), book(), Limits(), NO_COSTS)
    assert isinstance(approved, Sized)
    assert approved.shares == 50
    for view, limit in ((book(heat="6000"), "heat"), (book(cash="99"), "cash")):
        refused = fill(view, Limits())
        assert isinstance(refused, Denied)
        assert refused.limit == limit


def test_a_fill_outside_the_approved_band_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected a price from 99 to 101"):
        recheck_entry(terms(), Decimal("101.01"), candidate(), book(), Limits(), COSTS)


def test_a_reservation_takes_cash_and_heat() -> None:
    before = book(cash="5000", heat="100")
    reserved = before.reserve("AAA", Decimal("1011.00"), Decimal("50.00"), sector="Technology")
    assert (reserved.cash, reserved.heat_usd) == (Decimal("3989.00"), Decimal("150.00"))
    assert reserved.reserved == frozenset({"AAA"})


def risky(checks: tuple[LimitCheck, ...], **changes: Any) -> tuple[str, ...]:
    return risky_reasons(checks, **{"earnings_in": None, "kind": DeskKind.PAPER} | changes)


def test_an_ordinary_trade_is_not_risky() -> None:
    assert risky(sized(book()).checks) == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"earnings_in": 0}, "earnings 0 sessions after the entry"),
        ({"earnings_in": 5}, "earnings 5 sessions after the entry"),
        ({"earnings_in": 6}, ""),
        ({"earnings_in": -1}, ""),
        ({"kind": DeskKind.LIVE}, "real money"),
    ],
)
def test_earnings_nearby_and_real_money_are_risky(changes: dict[str, Any], reason: str) -> None:
    assert "".join(risky(sized(book()).checks, **changes)) == reason


@pytest.mark.parametrize(
    ("view", "limits", "reason"),
    [
        (book(), Limits(risk_per_trade=0.0075), "risks 0.75% of equity"),
        (book(heat="3600"), Limits(), "heat would be 4.1%"),
        (book(cash="1100"), Limits(), "of the cash limit"),
        (book(day_return=-0.019), Limits(), "5% of the daily_loss limit"),
        (book(heat="2300"), Limits(heat=0.03), "7% of the heat limit"),
    ],
)
def test_what_is_risky_says_why(view: BookView, limits: Limits, reason: str) -> None:
    (said,) = risky(sized(view, limits).checks)
    assert reason in said


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        (candidate(adv_shares=None), "adv"),
        (candidate(adv_shares=0), "adv"),
        (candidate(adv_shares=99), "adv"),
        (candidate(daily_volatility=4.0), "volatility_target"),
        (
            candidate(earnings=EarningsDate(status=EarningsStatus.CONFIRMED, session=date(2024, 3, 13))),
            "earnings",
        ),
    ],
)
def test_a_fact_of_the_symbol_can_deny_under_its_name(facts: Candidate, limit: str) -> None:
    trade = denied(book(), facts=facts)
    assert trade.limit == limit
    assert [one.name for one in trade.checks if not one.passed] == [limit]


@pytest.mark.parametrize(
    ("facts", "limit", "shares"),
    [
        (candidate(adv_shares=5_000), "adv", 50),
        (candidate(daily_volatility=0.05), "volatility_target", 79),  # 400 dollars at 5.05 a share
        (
            candidate(worst_gap=0.1045),
            "worst_gap",
            142,
        ),  # SPY's worst night; 1,500 dollars at 10.5545 a share
        (candidate(worst_gap=None), "worst_gap", 14),  # the loss of everything
        (candidate(daily_volatility=None), "volatility_target", 3),
        (candidate(kelly=KellyCap(risk=0.001, trades=40)), "kelly", 20),
    ],
)
def test_a_fact_of_the_symbol_can_size_the_entry(facts: Candidate, limit: str, shares: int) -> None:
    trade = sized(book(), Limits(risk_per_trade=0.0075), facts=facts)
    assert (trade.bound_by, trade.shares) == (limit, shares)


def test_a_kelly_fraction_above_the_limit_widens_nothing() -> None:
    trade = sized(book(), facts=candidate(kelly=KellyCap(risk=0.04375, trades=100)))
    assert (trade.shares, trade.bound_by) == (100, "risk_per_trade")
    assert check(trade, "kelly").limit == 0.04375
    assert "kelly" not in [one.name for one in sized(book()).checks]  # no record yet


def test_a_setup_without_an_edge_is_traded_at_the_floor_or_given_up() -> None:
    facts = candidate(kelly=KellyCap(risk=0.0, trades=34))
    trade = sized(book(), facts=facts)
    assert (trade.bound_by, trade.max_risk) == ("kelly", Decimal("50.00"))  # 0.05% of equity
    assert trade.notes == (
        "no edge in 34 trades of the setup: the record allows 0.000% of equity, the floor is 0.05%",
    )
    given_up = denied(book(), Limits(kelly_floor=0), facts=facts)
    assert (given_up.limit, given_up.reason) == ("kelly", "no edge in 34 trades of the setup")
    assert [one.name for one in given_up.checks if not one.passed] == ["kelly"]
    poor = denied(book(equity="9000"), facts=facts)
    assert poor.reason == (
        "kelly leaves 4.50 dollars (34 trades of the setup allow 0.000% of equity), one share needs 5.00"
    )


def test_the_sector_sizes_the_entry_and_those_without_one_share_one() -> None:
    crowded = exposure("BBB", risk="0", value="19950", sector=None)
    trade = sized(book(exposures=(crowded,)), facts=candidate(sector=None))
    assert (trade.bound_by, trade.shares) == ("sector", 50)
    assert "the sector is unknown" in trade.notes[0]
    assert sized(book(exposures=(crowded,))).shares == 100


def test_correlated_heat_sizes_the_entry() -> None:
    held = tuple(exposure(symbol, risk="1900", value="0") for symbol in ("BBB", "CCC"))
    together = Correlations({("BBB", "CCC"): 1.0, ("AAA", "BBB"): 0.8, ("AAA", "CCC"): 0.8})
    trade = sized(book(exposures=held, correlations=together))
    assert trade.bound_by == "heat_adjusted"  # (3,800 + .8 x)^2 + (.6 x)^2 = 4,000^2 at 248.98 dollars
    assert trade.max_risk == Decimal("245.00")


def test_a_name_that_moves_with_a_held_one_or_is_not_known_not_to_is_denied() -> None:
    close = book(exposures=(exposure("BBB"),), correlations=Correlations({("AAA", "BBB"): 0.91}))
    assert denied(close).reason == "the correlation with BBB is 0.91, the limit is 0.85"
    stranger = book(exposures=(exposure("BBB"),), correlations=Correlations())
    assert denied(stranger).reason == "the correlation with BBB is unknown and counts as 1"
    assert sized(book(correlations=Correlations())).shares == 100  # nothing is held


def test_unsettled_proceeds_are_no_cash_to_enter_with() -> None:
    waiting = book(cash="10000", unsettled="9500")
    trade = sized(waiting)
    assert (trade.bound_by, trade.shares) == ("settled_cash", 4)  # 499 dollars after the commission
    assert check(trade, "settled_cash").after == 95.0
    assert denied(book(cash="10000", unsettled="9900")).limit == "settled_cash"
    on_margin = sized(waiting, Limits.model_validate({"margin_mode": "margin"}))
    assert (on_margin.bound_by, on_margin.shares) == ("cash", 99)
    assert on_margin.cost <= waiting.cash


@pytest.mark.parametrize(
    ("drawdown", "shares"), [("0.0499", 100), ("0.05", 50), ("0.0799", 50), ("0.08", 25), ("0.1199", 25)]
)
def test_the_ladder_shrinks_what_is_entered(drawdown: str, shares: int) -> None:
    trade = sized(book(ladder=LadderState(drawdown=Decimal(drawdown), high=Decimal(1))))
    assert trade.shares == shares
    assert bool(trade.notes) == (shares < 100)


def test_probation_is_a_quarter_and_unknown_earnings_half_of_it() -> None:
    probation = book(ladder=LadderState(drawdown=Decimal(0), high=Decimal(1), probation_left=3))
    assert sized(probation).shares == 25
    unknown = candidate(earnings=EarningsDate(status=EarningsStatus.UNKNOWN))
    both = sized(probation, facts=unknown)
    assert (both.shares, both.scale) == (12, 0.125)
    assert both.notes == (
        "size times 0.25: 3 trades of probation are left",
        "size times 0.5: the next earnings date is unknown",
    )
    history = sized(book(), facts=candidate(earnings=EarningsDate(status=EarningsStatus.NOT_SIMULATED)))
    assert (history.shares, history.notes) == (100, ("earnings are not simulated",))


def test_a_fill_halved_on_the_way_is_not_halved_again() -> None:
    half = book(ladder=LadderState(drawdown=Decimal("0.06"), high=Decimal(1)))
    approved = terms(max_shares=50, max_risk="250.00")
    filled = recheck_entry(approved, Decimal(101), candidate(), half, Limits(), NO_COSTS)
    assert isinstance(filled, Sized)
    assert filled.shares == 50
    worse = book(ladder=LadderState(drawdown=Decimal("0.09"), high=Decimal(1)))
    filled = recheck_entry(approved, Decimal(101), candidate(), worse, Limits(), NO_COSTS)
    assert isinstance(filled, Sized)
    assert filled.shares == 25


def test_a_fill_too_near_its_target_is_denied() -> None:
    def fill(limits: Limits) -> Sized | Denied:
        return recheck_entry(terms(), Decimal("100.50"), candidate(), book(), limits, NO_COSTS)

    assert isinstance(fill(Limits()), Sized)  # 8 to win, 4.50 to lose
    refused = fill(Limits(min_reward_risk=2))
    assert isinstance(refused, Denied)
    assert (refused.limit, refused.reason) == ("reward_risk", "the target is 1.78 times the risk, least 2")


def test_a_plan_is_measured_from_its_highest_entry() -> None:
    assert check(sized(book()), "reward_risk").after == 1.5  # 101 to 108.50, stop 96
    refused = denied(book(), Limits(min_reward_risk=1.6))
    assert (refused.limit, refused.reason) == ("reward_risk", "the target is 1.50 times the risk, least 1.6")


@pytest.mark.parametrize("stop", ["101", "102", "0", "-5"])
def test_an_inverted_or_negative_stop_is_refused(stop: str) -> None:
    with pytest.raises(ValueError, match="expected an entry above a stop above zero"):
        size_entry(replace(plan(), stop=Decimal(stop)), candidate(), book(), Limits(), COSTS)
    with pytest.raises(ValueError, match="expected an entry above a stop above zero"):
        upside_down = replace(terms(), stop=Decimal(stop))
        recheck_entry(upside_down, Decimal(101), candidate(), book(), Limits(), COSTS)


def test_the_facts_of_another_symbol_or_session_are_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected the facts of AAA, was BBB"):
        size_entry(plan(), candidate("BBB"), book(), Limits(), COSTS)
    with pytest.raises(ValueError, match="expected the facts of AAA on 2024-03-08"):
        late = candidate(entry_session=date(2024, 3, 11))
        recheck_entry(terms(), Decimal(100), late, book(), Limits(), COSTS)


def test_a_fill_takes_cash_heat_and_a_place() -> None:
    after = book().bought(
        "AAA", amount=Decimal(10_000), fee=Decimal(1), risk=Decimal(400), sector="Technology"
    )
    assert (after.cash, after.heat_usd, after.held, after.reserved) == (
        Decimal(89_999),
        Decimal(400),
        frozenset({"AAA"}),
        frozenset(),
    )
    assert denied(after).limit == "correlation"  # with itself


def test_facts_and_returns_that_are_no_numbers_are_refused() -> None:
    for wrong in (float("nan"), float("inf"), -0.1):
        with pytest.raises(ValueError, match="worst_gap of AAA from zero on"):
            candidate(worst_gap=wrong)
        with pytest.raises(ValueError, match="daily_volatility of AAA from zero on"):
            candidate(daily_volatility=wrong)
    with pytest.raises(ValueError, match="expected returns"):
        book(day_return=float("nan"))
    with pytest.raises(ValueError, match="expected returns"):
        book(week_return=float("inf"))
    with pytest.raises(ValueError, match="unsettled cash from zero on"):
        book(unsettled="-1")


@pytest.mark.parametrize(
    "facts", [candidate(), candidate(adv_shares=None, worst_gap=None, daily_volatility=None, sector=None)]
)
def test_the_checks_can_be_written_down_and_read_again(facts: Candidate) -> None:
    crowded = book(heat="1000", unsettled="100", held=frozenset({"BBB"}))
    for one in size_entry(plan(), facts, crowded, Limits(), COSTS).checks:
        written = json.dumps(asdict(one), allow_nan=False)
        assert LimitCheck(**json.loads(written)) == one


def test_each_check_says_what_it_counts_in_and_which_way() -> None:
    checks = sized(book(unsettled="100")).checks
    assert {one.name for one in checks if one.unit == "usd"} == {"cash", "settled_cash"}
    assert {one.name for one in checks if one.unit == "count"} == {
        "halt",
        "protections",
        "earnings",
        "max_positions",
    }
    assert {one.name for one in checks if one.unit == "ratio"} == {"correlation", "reward_risk"}
    assert {one.name for one in checks if one.floor} == {"cash", "settled_cash", "reward_risk"}
    assert {one.name for one in checks if one.strict} == {"drawdown"}
    at = LimitCheck(name="drawdown", limit=0.12, before=0.12, after=0.12, strict=True)
    assert (at.passed, at.headroom) == (False, 0.0)
