"""The vendor's screener over profiles that are kept: what a desk with a free key can screen by itself."""

from __future__ import annotations

from collections.abc import Iterable

from agents.market.fmp.models import Profile, ScreenerRow
from agents.market.fmp.queries import Screener


def screen_profiles(profiles: Iterable[Profile], criteria: Screener) -> tuple[ScreenerRow, ...]:
    """The companies that meet the criteria, the largest first; a figure that is not there meets none."""
    found = [_row(profile) for profile in profiles if _meets(profile, criteria)]
    return tuple(sorted(found, key=lambda row: (-(row.market_cap or 0), row.symbol))[: criteria.limit])


def _meets(profile: Profile, criteria: Screener) -> bool:
    bounds = (
        (profile.market_cap, criteria.market_cap_more_than, criteria.market_cap_lower_than),
        (profile.price, criteria.price_more_than, criteria.price_lower_than),
        (profile.beta, criteria.beta_more_than, criteria.beta_lower_than),
        (profile.volume, criteria.volume_more_than, criteria.volume_lower_than),
        (profile.last_dividend, criteria.dividend_more_than, None),
    )
    words = (
        (profile.sector, criteria.sector),
        (profile.industry, criteria.industry),
        (profile.exchange, criteria.exchange),
        (profile.country, criteria.country),
    )
    flags = (
        (profile.is_etf, criteria.is_etf),
        (profile.is_fund, criteria.is_fund),
        (profile.is_actively_trading, criteria.is_actively_trading),
    )
    return (
        all(_between(value, more, less) for value, more, less in bounds)
        and all(asked is None or (told or "").casefold() == asked.casefold() for told, asked in words)
        and all(asked is None or told is None or told == asked for told, asked in flags)
    )


def _between(value: float | None, more: float | None, less: float | None) -> bool:
    if value is None:
        return more is None and less is None
    return (more is None or value > more) and (less is None or value < less)


def _row(profile: Profile) -> ScreenerRow:
    return ScreenerRow(
        symbol=profile.symbol,
        company_name=profile.company_name,
        market_cap=profile.market_cap,
        sector=profile.sector,
        industry=profile.industry,
        beta=profile.beta,
        price=profile.price,
        last_annual_dividend=profile.last_dividend,
        volume=profile.volume,
        exchange=profile.exchange,
        country=profile.country,
        is_etf=profile.is_etf,
        is_fund=profile.is_fund,
        is_actively_trading=profile.is_actively_trading,
    )
