"""A company's figures: income statements, key metrics and ratios, and how they are brought to today's price.

Margins, yields and returns are fractions (0.25 is 25%), amounts in the reported currency. Of the vendor's
many keys these are the ones the desk reads; the rest stays in the cached answer.
"""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from agents.market.fmp.fields import Day, MaybeDay, MaybeLine, Number, SymbolRow

# Between two filings a price rarely doubles or halves. A split does just that, and would make ratios wrong.
MOST_MOVED = 1.9


def _annual_name(name: str) -> str:
    special = {"ev_to_ebitda": "evToEBITDA", "net_debt_to_ebitda": "netDebtToEBITDA"}
    return special.get(name, to_camel(name))


def _ttm_name(name: str) -> str:
    return _annual_name(name) if name in ("symbol", "market_cap") else f"{_annual_name(name)}TTM"


class Period(SymbolRow):
    """The year or quarter a row is about."""

    date: Day
    fiscal_year: MaybeLine = None
    period: MaybeLine = None
    reported_currency: MaybeLine = None


class IncomeStatement(Period):
    """Revenue to earnings of one period; `filing_date` is when it could be known."""

    filing_date: MaybeDay = None
    revenue: Number = None
    cost_of_revenue: Number = None
    gross_profit: Number = None
    research_and_development_expenses: Number = None
    selling_general_and_administrative_expenses: Number = None
    operating_expenses: Number = None
    interest_income: Number = None
    interest_expense: Number = None
    depreciation_and_amortization: Number = None
    ebitda: Number = None
    ebit: Number = None
    operating_income: Number = None
    income_before_tax: Number = None
    income_tax_expense: Number = None
    net_income: Number = None
    eps: Number = None
    eps_diluted: Number = None
    weighted_average_shs_out: Number = None
    weighted_average_shs_out_dil: Number = None


class Metrics(SymbolRow):
    """Size, enterprise multiples, returns and cycle of a company."""

    market_cap: Number = None
    enterprise_value: Number = None
    ev_to_sales: Number = None
    ev_to_operating_cash_flow: Number = None
    ev_to_free_cash_flow: Number = None
    ev_to_ebitda: Number = None
    net_debt_to_ebitda: Number = None
    current_ratio: Number = None
    income_quality: Number = None
    graham_number: Number = None
    working_capital: Number = None
    invested_capital: Number = None
    return_on_assets: Number = None
    return_on_equity: Number = None
    return_on_invested_capital: Number = None
    return_on_capital_employed: Number = None
    earnings_yield: Number = None
    free_cash_flow_yield: Number = None
    capex_to_revenue: Number = None
    days_of_sales_outstanding: Number = None
    days_of_inventory_outstanding: Number = None
    cash_conversion_cycle: Number = None
    tangible_asset_value: Number = None


class Ratios(SymbolRow):
    """Margins, solvency and price multiples of a company."""

    gross_profit_margin: Number = None
    ebitda_margin: Number = None
    operating_profit_margin: Number = None
    net_profit_margin: Number = None
    asset_turnover: Number = None
    current_ratio: Number = None
    quick_ratio: Number = None
    cash_ratio: Number = None
    price_to_earnings_ratio: Number = None
    price_to_earnings_growth_ratio: Number = None
    forward_price_to_earnings_growth_ratio: Number = None
    price_to_book_ratio: Number = None
    price_to_sales_ratio: Number = None
    price_to_free_cash_flow_ratio: Number = None
    price_to_operating_cash_flow_ratio: Number = None
    debt_to_assets_ratio: Number = None
    debt_to_equity_ratio: Number = None
    debt_to_market_cap: Number = None
    interest_coverage_ratio: Number = None
    dividend_payout_ratio: Number = None
    dividend_yield: Number = None
    revenue_per_share: Number = None
    net_income_per_share: Number = None
    book_value_per_share: Number = None
    free_cash_flow_per_share: Number = None
    dividend_per_share: Number = None


class KeyMetrics(Metrics, Period):
    """Key metrics of one period."""

    model_config = ConfigDict(alias_generator=_annual_name)


class FinancialRatios(Ratios, Period):
    """Ratios of one period."""


class KeyMetricsTtm(Metrics):
    """Key metrics of the trailing twelve months, at the price of the day they were fetched."""

    model_config = ConfigDict(alias_generator=_ttm_name)

    def at_market_cap(self, market_cap: float) -> Self | None:
        """The metrics at another market capitalisation; None where they cannot be brought there.

        Enterprise value moves by as much as the capitalisation does, its multiples with it; yields on the
        price move the other way. What the statements alone say stays.
        """
        if not self.market_cap or not _believable(market_cap / self.market_cap):
            return None
        ratio = market_cap / self.market_cap
        changed: dict[str, float | None] = {
            "market_cap": market_cap,
            "earnings_yield": _times(self.earnings_yield, 1 / ratio),
            "free_cash_flow_yield": _times(self.free_cash_flow_yield, 1 / ratio),
        }
        value = self.enterprise_value
        if value:
            moved = value + market_cap - self.market_cap
            changed["enterprise_value"] = moved
            for name in ("ev_to_sales", "ev_to_operating_cash_flow", "ev_to_free_cash_flow", "ev_to_ebitda"):
                changed[name] = _times(getattr(self, name), moved / value)
        return self.model_copy(update=changed)


class FinancialRatiosTtm(Ratios):
    """Ratios of the trailing twelve months, at the price of the day they were fetched."""

    model_config = ConfigDict(alias_generator=_ttm_name)

    @property
    def price(self) -> float | None:
        """The price they were reckoned with: price to book times book value a share, else by the earnings."""
        for multiple, each in (
            (self.price_to_book_ratio, self.book_value_per_share),
            (self.price_to_earnings_ratio, self.net_income_per_share),
        ):
            if multiple and each and multiple * each > 0:
                return multiple * each
        return None

    def at_price(self, price: float) -> Self | None:
        """The ratios at another price: P/E now = P/E then x price now / price then, and so on.

        None where the price then is not known, or so far away that a split may lie between.
        """
        then = self.price
        if then is None or not _believable(price / then):
            return None
        ratio = price / then
        dearer = (
            "price_to_earnings_ratio",
            "price_to_earnings_growth_ratio",
            "forward_price_to_earnings_growth_ratio",
            "price_to_book_ratio",
            "price_to_sales_ratio",
            "price_to_free_cash_flow_ratio",
            "price_to_operating_cash_flow_ratio",
        )
        changed = {name: _times(getattr(self, name), ratio) for name in dearer}
        changed["dividend_yield"] = _times(self.dividend_yield, 1 / ratio)
        changed["debt_to_market_cap"] = _times(self.debt_to_market_cap, 1 / ratio)
        return self.model_copy(update=changed)


def _believable(ratio: float) -> bool:
    return 1 / MOST_MOVED < ratio < MOST_MOVED


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
