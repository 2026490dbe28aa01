"""Trades over a stored history, each opportunity on its own, by the rules the desk itself trades by.

The screen, the setups, the deliberation, the sizes, the fills, the corporate actions, the stops that a
tighter regime raises and the exits are the very functions a replay calls; here they run in memory, and what
does not depend on a variant is worked out once.

What a replay knows and this leaves out is the rest of the account and its record: every trade is sized on the
same equity with nothing else held, no setup has a record yet, and the votes count by majority. So a replay
trades a part of these, at the same prices; the others it denies for what it holds already, for heat, sector,
correlation, places and cash, for losses and drawdown, and by its protections. The R of a trade differs by its
number of shares alone: the commission and the cent are spread over more or fewer of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from agents.learning.readings import Readings
from agents.learning.runs import Key, Run, SimulatedTrade
from agents.learning.space import DeskRules
from agents.market.actions import ActionKey, Actions
from agents.market.bars import Bar, MarketView
from agents.market.calendar import previous_session
from agents.market.indicators import Technicals, technicals
from agents.market.regime import Regime, read_regime
from agents.orchestrator import CONSENSUS, AgentOrchestrator, Briefing
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.research import ResearchAgent
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent
from agents.trading.book import OpenPosition
from agents.trading.broker import EntryFill, ExitFill, SizedEntry, fill_entry, paid_out, size_entry_order
from agents.trading.corporate import Applied, live_through, pending_after
from agents.trading.costs import Costs
from agents.trading.holding import meet_bar, raised_stop
from agents.trading.limits import AT_THE_TOP, BookView, Candidate, Limits, earnings_of, risk_policy
from agents.trading.limits.facts import candidate
from agents.trading.outcomes import outcome
from agents.trading.policy import Policy, is_tighter, policy_for
from agents.trading.screener import Screened, ScreenRules, near_setups, screen_readings
from agents.trading.setups import SetupPlan, plan_setup
from storage.records import DeskKind, SetupType, TradeTerms

EQUITY = Decimal(100_000)
NOBODY = UUID(int=0)

# What is kept in memory between runs; what is beyond is worked out again.
SCREENS_KEPT = 2  # of as many screen rules; ten years of ten candidates an evening are some 60 MB
TRADES_KEPT = 40_000  # some 2.5 KB each


class History(Protocol):
    """Where the bars come from: a history pack, or what a desk has stored."""

    @property
    def actions(self) -> Actions: ...

    def sessions(self, first: date, last: date) -> list[date]:
        """The sessions from first to last, both included."""

    def view(self, session: date) -> MarketView:
        """Everything known at the close of a session, and of nothing later."""


class HistorySimulator:
    """Runs rules over a history. Keeps what no rule changes, and every trade it has worked out once.

    Not for two tasks at a time. ValueError without a session from `first` to `last`.
    """

    def __init__(self, history: History, first: date, last: date, *, equity: Decimal = EQUITY) -> None:
        self._history = history
        self._sessions = tuple(history.sessions(first, last))
        if not self._sessions:
            raise ValueError(f"expected sessions from {first} to {last}, there are none")
        self._equity = equity
        self._readings: dict[date, Readings] = {}
        self._regimes: dict[date, Regime | None] = {}
        self._screens: dict[ScreenRules, dict[tuple[date, frozenset[SetupType]], tuple[Screened, ...]]] = {}
        self._bars: dict[tuple[str, date], Bar | None] = {}
        self._at_raises: dict[tuple[str, date], Technicals | None] = {}
        self._voted_down: set[Key] = set()
        self._known: dict[tuple[str, date, date], Candidate] = {}
        self._trades: dict[tuple[object, ...], SimulatedTrade | _Untraded] = {}
        self._orchestrator = AgentOrchestrator(
            research=ResearchAgent(),
            news=NewsAnalystAgent(),
            strategy=StrategyBuilderAgent(),
            risk=RiskManagerAgent(),
        )

    @property
    def sessions(self) -> tuple[date, ...]:
        return self._sessions

    def over(self, first: date, last: date) -> "HistorySimulator":
        """Another span of the same history, sharing all that is known of its sessions; not at the same time.

        ValueError without a session from `first` to `last`.
        """
        other = HistorySimulator(self._history, first, last, equity=self._equity)
        other._readings, other._regimes = self._readings, self._regimes
        other._screens, other._bars = self._screens, self._bars
        other._at_raises, other._known = self._at_raises, self._known
        other._voted_down, other._trades = self._voted_down, self._trades
        return other

    async def run(self, rules: DeskRules, costs: Costs, *, every: bool = False) -> Run:
        """The trades of the rules; nothing later than its own close decides an opportunity.

        As on a desk, a signal in a symbol that is held already is none, unless `every` one is asked for.
        """
        costs = costs.for_desk(DeskKind.HISTORY)
        policies = self._policies(rules)
        raises = self._raises(policies, rules.regime_policy.stop_atr)
        trades: dict[Key, SimulatedTrade] = {}
        free_from: dict[str, date] = {}
        still_open: set[Key] = set()
        for place, session in enumerate(self._sessions[:-1]):
            regime, policy = self._regime(session), policies[place]
            if regime is None or policy is None:
                continue
            limits = risk_policy(rules.limits, policy.risk_per_trade, policy.heat)
            for row in self._selected(session, rules.screen, policy.setups):
                if not every and session < free_from.get(row.symbol, date.min):
                    continue
                if Key(session, row.symbol) in self._voted_down:
                    continue
                plan = plan_setup(row.symbol, row.technicals, rules.setups, policy.setups)
                if not isinstance(plan, SetupPlan):
                    continue
                key = (_prices(plan), limits, rules.limits, rules.regime_policy, costs)
                found = self._trades.get(key)
                if found is None:
                    found = await self._trade(place, row, regime, policy.setups, limits, rules, raises, costs)
                    self._keep(key, found)
                elif isinstance(found, SimulatedTrade) and found.exited > self._sessions[-1]:
                    found = _Untraded(is_open=True)  # another span saw its end
                if isinstance(found, SimulatedTrade):
                    trades[found.key] = found
                    free_from[row.symbol] = found.exited
                elif found.is_open:
                    still_open.add(Key(session, row.symbol))
                    free_from[row.symbol] = date.max
        symbol, held = self._index()
        return Run(
            sessions=self._sessions,
            trades=trades,
            open_ended=len(still_open),
            still_open=frozenset(still_open),
            index_symbol=symbol,
            index_return=held,
        )

    def _keep(self, key: tuple[object, ...], found: "SimulatedTrade | _Untraded") -> None:
        """What has ended is the same in every span; of what is open another one may see the end."""
        if isinstance(found, _Untraded) and found.is_open:
            return
        if len(self._trades) == TRADES_KEPT:
            self._trades.clear()
        self._trades[key] = found

    def _index(self) -> tuple[str | None, float | None]:
        first, last = (self._history.view(session) for session in (self._sessions[0], self._sessions[-1]))
        symbol = last.index_symbol
        if symbol is None:
            return None, None
        bought, sold = first.bars(symbol).last, last.bars(symbol).last
        return symbol, None if bought is None or sold is None else sold.close / bought.close - 1

    def _regime(self, session: date) -> Regime | None:
        """The regime at the close of a session, read once: no rule that may be changed decides it."""
        if session not in self._regimes:
            self._regimes[session] = read_regime(self._history.view(session))
        return self._regimes[session]

    def _policies(self, rules: DeskRules) -> list[Policy | None]:
        """What the market of each session allows under the rules; None where it cannot be read."""
        return [
            None
            if regime is None
            else policy_for(
                regime.direction,
                regime.volatility,
                rules.regime_policy,
                full_risk=rules.limits.risk_per_trade,
            )
            for regime in map(self._regime, self._sessions)
        ]

    def _raises(self, policies: Sequence[Policy | None], stop_atr: float) -> "_Raises":
        tighter = frozenset(
            session
            for session, before, now in zip(self._sessions[1:], policies, policies[1:], strict=False)
            if before is not None and now is not None and is_tighter(now, before)
        )
        return _Raises(sessions=tighter, stop_atr=stop_atr)

    def _read(self, session: date) -> Readings:
        """The readings of a session, once; they depend on no rule that may be changed."""
        if session not in self._readings:
            view = self._history.view(session)
            self._readings[session] = Readings.of(
                session, {symbol: technicals(view.bars(symbol)) for symbol in view.symbols}
            )
        return self._readings[session]

    def _selected(
        self, session: date, rules: ScreenRules, allowed: frozenset[SetupType]
    ) -> tuple[Screened, ...]:
        kept = self._screens.get(rules)
        if kept is None:
            if len(self._screens) == SCREENS_KEPT:
                self._screens.popitem()  # the newest: the first are the champion's
            kept = self._screens[rules] = {}
        if (session, allowed) not in kept:
            read = self._read(session).unpacked()
            near = {  # no other is selected, and most evenings most symbols are near nothing
                symbol: one
                for symbol, one in read.items()
                if one is not None and near_setups(one, rules, allowed)
            }
            kept[session, allowed] = screen_readings(session, near, rules, allowed=allowed).selected
        return kept[session, allowed]

    async def _trade(
        self,
        place: int,
        row: Screened,
        regime: Regime,
        allowed: frozenset[SetupType],
        limits: Limits,
        rules: DeskRules,
        raises: "_Raises",
        costs: Costs,
    ) -> "SimulatedTrade | _Untraded":
        """One opportunity from its deliberation to its exit."""
        session, entry = self._sessions[place], self._sessions[place + 1]
        facts = self._facts(row.symbol, session, session, entry)
        briefing = Briefing(
            kind=DeskKind.HISTORY,
            direction=regime.direction,
            volatility=regime.volatility,
            book=_lone_book(self._equity),
            facts={row.symbol: facts},
            entry_session=entry,
            setups=rules.setups,
            allowed=allowed,
            parameters_version=1,
            limits=limits,
            costs=costs,
        )
        argument = await self._orchestrator.deliberate(row, briefing)
        terms, plan = argument.terms, argument.plan
        if argument.denied_by == CONSENSUS:
            # Strategy is for every plan and the others do not know the rules: no variant changes this vote.
            self._voted_down.add(Key(session, row.symbol))
        if terms is None or plan is None:
            return _Untraded(is_open=False)
        told = [
            action for action in self._history.actions.of(row.symbol) if session < action.ex_date <= entry
        ]
        if not pending_after(row.symbol, told, plan.close).keep:
            return _Untraded(is_open=False)
        facts = self._facts(row.symbol, entry, previous_session(entry), entry)
        sized = size_entry_order(terms, facts, _lone_book(self._equity), rules.limits, costs)
        if not isinstance(sized, SizedEntry):
            return _Untraded(is_open=False)
        fill = fill_entry(sized.order, self._bar(row.symbol, entry), costs)
        if not isinstance(fill, EntryFill):
            return _Untraded(is_open=False)
        ended = self._hold(_position(terms, fill), place + 1, raises, costs)
        if ended is None:
            return _Untraded(is_open=True)
        position, leaving, realised = ended
        return SimulatedTrade(
            key=Key(session, row.symbol),
            setup=terms.setup_type,
            direction=regime.direction,
            volatility=regime.volatility,
            entered=entry,
            shares=fill.shares,
            entry_price=fill.price,
            stop=terms.stop,
            target=terms.target,
            exited=leaving.session,
            exit_price=leaving.price,
            exit_reason=leaving.reason,
            r=outcome(position, leaving, realised=realised).r_multiple,
        )

    def _hold(
        self, position: OpenPosition, place: int, raises: "_Raises", costs: Costs
    ) -> tuple[OpenPosition, ExitFill, Decimal] | None:
        """What was held at the end, how it left, and the dollars realised on the way; None if still open."""
        realised = Decimal("0.00")
        applied: set[ActionKey] = set()
        seen = position.entry_session
        for session in self._sessions[place:]:
            actions = [
                action
                for action in self._history.actions.of(position.symbol)
                if seen < action.ex_date <= session
            ]
            seen = session
            before = position
            for result in live_through(position, actions, today=session, applied=applied)[1]:
                if not isinstance(result, Applied):
                    continue
                if result.position is None:
                    return before, paid_out(before, result.cash, session), realised
                applied.add(result.action.key)
                realised += Decimal(0) if result.is_income else result.realised
                before = position = result.position
            bar = self._bar(position.symbol, session)
            met = meet_bar(position, bar, session, actions=self._history.actions, costs=costs)
            if met.leaving is not None:
                return position, met.leaving, realised
            position = met.position
            if session in raises.sessions:
                readings = self._at_raise(position.symbol, session)
                stop = raised_stop(position, readings, session, stop_atr=raises.stop_atr)
                position = replace(position, stop=stop)
        return None

    def _facts(self, symbol: str, session: date, known: date, entry: date) -> Candidate:
        """What the close of `known` knew of a symbol, on the basis of `session`."""
        key = (symbol, session, known)
        if key not in self._known:
            view = self._history.view(session)
            instrument = view.instruments.get(symbol)
            self._known[key] = candidate(
                view.bars(symbol).upto(known),
                entry_session=entry,
                sector=instrument.sector if instrument is not None else None,
                earnings=earnings_of(DeskKind.HISTORY, None, confirmed=False),
            )
        return self._known[key]

    def _at_raise(self, symbol: str, session: date) -> Technicals | None:
        """The readings of one symbol, also of one that is not traded any more."""
        key = (symbol, session)
        if key not in self._at_raises:
            self._at_raises[key] = technicals(self._history.view(session).bars(symbol))
        return self._at_raises[key]

    def _bar(self, symbol: str, session: date) -> Bar | None:
        """The bar as the session itself saw it."""
        key = (symbol, session)
        if key not in self._bars:
            self._bars[key] = self._history.view(session).bars(symbol).on(session)
        return self._bars[key]


@dataclass(frozen=True, kw_only=True)
class _Raises:
    """On which closes the regime became tighter, and how far below the close stops are pulled then."""

    sessions: frozenset[date]
    stop_atr: float


@dataclass(frozen=True)
class _Untraded:
    """An opportunity that was denied or skipped, or whose trade the history does not see the end of."""

    is_open: bool


def _lone_book(equity: Decimal) -> BookView:
    """An account that holds nothing else and has lost nothing."""
    return BookView(
        equity=equity,
        cash=equity,
        unsettled=Decimal(0),
        exposures=(),
        day_return=0.0,
        week_return=0.0,
        ladder=AT_THE_TOP,
        locks=(),
    )


def _prices(plan: SetupPlan) -> tuple[object, ...]:
    """What of a plan decides how its trade goes: two variants that plan the same trade share it."""
    return (
        plan.symbol,
        plan.session,
        plan.setup_type,
        plan.close,
        plan.min_entry,
        plan.max_entry,
        plan.stop,
        plan.target,
        plan.max_hold,
    )


def _position(terms: TradeTerms, fill: EntryFill) -> OpenPosition:
    return OpenPosition(
        id=NOBODY,
        symbol=terms.symbol,
        setup_type=terms.setup_type,
        shares=fill.shares,
        entry_session=fill.session,
        entry_price=fill.price,
        entry_fee=fill.fee,
        stop=terms.stop,
        initial_stop=terms.stop,
        target=terms.target,
        max_hold=terms.max_hold,
        low_since=fill.price,
        high_since=fill.price,
        last_close=fill.price,
        last_session=fill.session,
    )
