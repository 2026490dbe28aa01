"""News of strangers: read as plain text, matched with care, told once."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.market.fmp.caller import Errand
from agents.market.news.config import NewsConfig
from agents.market.news.feeds import FeedRefused, read_feed
from agents.market.news.items import NewsItem, distinct
from agents.market.news.matching import symbols_in, tickers_of
from agents.market.news.sources import News, NewsSources, _new_york
from agents.market.plain_text import plain_text
from tests.market.fmp.kit import IN_SESSION, Bench
from tests.standins.fmp_words import Fault, FaultKind
from tests.standins.pages import Page, Pages, serving

NAMES = {
    "AAPL": "Apple Inc.",
    "KO": "The Coca-Cola Company",
    "BAC": "Bank of America Corporation",
    "TGT": "Target Corporation",
    "V": "Visa Inc.",
    "F": "Ford Motor Company",
    "BRK-B": "Berkshire Hathaway Inc. Class B",
}
ERRAND = Errand(job="news")


def rss(*items: str) -> bytes:
    return f"<?xml version='1.0'?><rss version='2.0'><channel>{''.join(items)}</channel></rss>".encode()


def item(title: str, text: str = "Text.", when: str = "Tue, 10 Mar 2026 14:00:00 GMT") -> str:
    return f"<item><title>{title}</title><description>{text}</description><pubDate>{when}</pubDate></item>"


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Shares of Apple (NASDAQ: AAPL) rose", ("AAPL",)),
        ("NYSE:KO and $BAC fell", ("BAC", "KO")),
        ("the maker (V) said", ("V",)),
        ("Berkshire (NYSE: BRK.B) bought", ("BRK-B",)),
        ("Bank of America cuts its target", ("BAC",)),
        ("Apple Inc. reports", ("AAPL",)),
        ("Ford Motor recalls", ("F",)),
        ("Berkshire Hathaway holds", ("BRK-B",)),
        ("An apple a day; the target is visa-free travel to a ford", ()),
        ("Apple falls from the tree", ()),  # one word is no company
        ("BANK OF AMERICA", ()),
        ("AAPL without a mark, F for effort, V for victory", ()),
        ("costs US$V or $VV", ()),
        ("(CEO) of (ABC)", ()),
    ],
)
def test_a_text_is_about_a_company_only_when_it_plainly_says_so(text: str, symbols: tuple[str, ...]) -> None:
    assert symbols_in(text, NAMES) == symbols


def test_a_vendors_tickers_are_read_and_what_is_none_is_left_out() -> None:
    assert tickers_of("NYSE:MRK, NASDAQ:AAPL,NYSE:BRK.B") == ("MRK", "AAPL", "BRK-B")
    assert tickers_of("") == tickers_of("NYSE:<b>, nonsense") == ()


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Up&nbsp;5% &amp; more</p><p>Next</p>", "Up 5% & more Next"),
        ("<script>alert(1)</script>News<style>x{}</style><!-- hidden -->", "News"),
        ("a\x1b[2Jb\u202ec\u200bd", "abcd"),
        ("&lt;b&gt;shown&lt;/b&gt;", "<b>shown</b>"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("<scr<script></script>ipt>x", "x"),
        ("<script>never closed", ""),
        ("\x1b[31mred &#27;[2J", "red [2J"),
    ],
)
def test_markup_becomes_one_plain_line(markup: str, text: str) -> None:
    assert plain_text(markup, 200) == text


@given(st.text(max_size=300), st.integers(4, 50))
def test_no_text_keeps_control_characters_lines_or_length(markup: str, longest: int) -> None:
    text = plain_text(markup, longest)
    assert len(text) <= longest and text == text.strip()
    assert not any(
        ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or letter in "\u202e\u200b" for letter in text
    )


def test_feeds_of_both_kinds_are_read() -> None:
    told = read_feed(
        rss(item("One &amp; two", "&lt;p&gt;Body&lt;/p&gt;"), item(""), item("No date", when="soon"))
    )
    assert [(entry.title, entry.text, entry.published) for entry in told] == [
        ("One & two", "Body", datetime(2026, 3, 10, 14, 0, tzinfo=UTC)),
        ("No date", "Text.", None),
    ]
    atom = (
        b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><title>A</title>"
        b"<summary>S</summary><updated>2026-03-10T10:00:00-04:00</updated></entry></feed>"
    )
    assert read_feed(atom)[0].published == datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
    assert read_feed(rss(item("Schöner Tag")).decode().encode("cp1252"))[0].title == "Schöner Tag"
    assert read_feed(rss(item("Wide")).decode().encode("utf-16"))[0].title == "Wide"


LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
BOMBS = {
    "billion laughs": f"<!DOCTYPE r [<!ENTITY l0 'ha'>{LAUGHS}]><rss version='2.0'>&l9;</rss>",
    "quadratic": f"<!DOCTYPE r [<!ENTITY a '{'x' * 50_000}'>]><rss>{'&a;' * 10_000}</rss>",
    "a file": "<!DOCTYPE r [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><rss version='2.0'>&f;</rss>",
    "another host": "<!DOCTYPE r SYSTEM 'http://127.0.0.1:1/x.dtd'><rss version='2.0'/>",
    "a parameter": "<!DOCTYPE r [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><rss/>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_is_read(bomb: str, encoding: str) -> None:
    with pytest.raises(FeedRefused, match="declares a document type"):
        read_feed(bomb.encode(encoding))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Not found</body></html>",
        b"/etc/passwd",
        b"http://127.0.0.1:1/feed.xml",
        b"<rss><channel>",
        b"<rss version='2.0'><x:y/></rss>",
        b'{"Error Message": "no"}',
        b"<rss version='2.0'>&undeclared;</rss>",
    ],
)
def test_what_is_no_feed_is_refused(body: bytes) -> None:
    with pytest.raises(FeedRefused):
        read_feed(body)


@pytest.mark.parametrize(
    "body",
    [
        "<rss>" + "<a>" * 100 + "</a>" * 100 + "</rss>",
        "<rss>" + "<a/>" * 6_000 + "</rss>",
        "<rss " + " ".join(f"a{n}='1'" for n in range(100)) + "/>",
    ],
    ids=["deep", "many", "wide"],
)
def test_more_elements_than_a_feed_has_are_refused(body: str) -> None:
    with pytest.raises(FeedRefused, match="more elements than a feed"):
        read_feed(body.encode())


@given(st.binary(max_size=400) | st.text("<>/&;!?='\" rsitemlechang", max_size=200).map(str.encode))
def test_any_bytes_are_entries_or_refused(body: bytes) -> None:
    try:
        assert read_feed(body) == ()
    except FeedRefused as refused:
        assert str(refused)


def told(title: str, minutes: int | None, source: str = "a", text: str = "") -> NewsItem:
    published = None if minutes is None else IN_SESSION + timedelta(minutes=minutes)
    return NewsItem(
        source=source, title=title, text=text, published=published, fetched_at=IN_SESSION, symbols=()
    )


def test_the_same_piece_is_told_once_by_who_told_it_first() -> None:
    news = distinct(
        [
            told("Fed cuts rates!", 9, "b"),
            told("FED cuts — rates", 5, "a"),
            told("Other", 7),
            told("Undated", None),
        ]
    )
    assert [(one.title, one.source) for one in news] == [
        ("Other", "a"),
        ("FED cuts — rates", "a"),
        ("Undated", "a"),
    ]
    assert told("A b", 1, text="x, y").digest == told("a B!", 2, text="X y").digest != told("A b", 1).digest
    assert len(distinct([told("東京", 1), told("大阪", 2)])) == 2


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serving() as server:
        yield server


async def read(bench: Bench, *feeds: str, articles: int = 0, max_bytes: int = 100_000) -> News:
    config = NewsConfig(feeds=feeds, articles=articles, max_bytes=max_bytes)
    sources = NewsSources(config, bench.market, bench.store, bench.clock)
    try:
        return await sources.read(NAMES, ERRAND)
    finally:
        await sources.aclose()


async def test_the_vendors_articles_and_the_feeds_make_one_list(bench: Bench, pages: Pages) -> None:
    pages.pages["/rss"] = Page(
        rss(item("Apple Inc. buys"), item("Later", when="Tue, 10 Mar 2027 14:00:00 GMT"))
    )
    news = await read(bench, f"{pages.root}/rss", f"{bench.vendor.root}/public/feed.xml", articles=3)
    assert news.failed == () and len(news.items) == 6
    (apple,) = (one for one in news.about("AAPL") if one.source != "fmp-articles" and "buys" in one.title)
    assert apple.source == "127.0.0.1" and apple.published == datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
    articles = [one for one in news.items if one.source == "fmp-articles"]
    assert articles[0].published == IN_SESSION and "<" not in articles[0].text
    assert any("AAPL" in one.symbols for one in articles)
    assert news.items[-1].title == "Later" and news.items[-1].published is None  # it lies ahead
    assert bench.calls == 1


async def test_a_feed_is_asked_once_in_a_while_and_its_last_entries_outlive_a_failure(
    bench: Bench, pages: Pages
) -> None:
    pages.pages["/rss"] = Page(rss(item("First")))
    await read(bench, f"{pages.root}/rss")
    bench.clock.pass_by(minutes=29)
    assert (await read(bench, f"{pages.root}/rss")).failed == ()
    assert pages.asked == ["/rss"]
    pages.pages["/rss"] = Page(b"<rss>", 200)
    bench.clock.pass_by(minutes=2)
    news = await read(bench, f"{pages.root}/rss")
    assert [one.title for one in news.items] == ["First"] and news.items[0].fetched_at == IN_SESSION
    assert "no well-formed XML" in news.failed[0].why


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (Page(b"", 500), "it answered 500"),
        (Page(b"", 302, {"Location": "file:///etc/passwd"}), "it answered 302"),
        (Page(b"x" * 200_000), "does not end"),
        (Page(gzip.compress(b"x" * 50_000_000), headers={"Content-Encoding": "gzip"}), "beyond all measure"),
        (Page(b"junk", headers={"Content-Encoding": "gzip"}), "cannot be unpacked"),
        (Page(b"junk", headers={"Content-Encoding": "br"}), "not asked for"),
        (Page(BOMBS["a file"].encode()), "declares a document type"),
    ],
)
async def test_a_bad_feed_says_why_and_spoils_nothing_else(
    bench: Bench, pages: Pages, page: Page, why: str
) -> None:
    pages.pages |= {"/bad": page, "/good": Page(rss(item("Good")))}
    news = await read(bench, f"{pages.root}/bad", f"{pages.root}/good")
    assert [one.title for one in news.items] == ["Good"]
    assert why in news.failed[0].why
    assert pages.asked == ["/bad", "/good"]


async def test_no_link_of_a_feed_is_followed(bench: Bench, pages: Pages) -> None:
    link = f"{pages.root}/trap"
    body = (
        f"<item><title>T</title><link>{link}</link><description>&lt;img src='{link}'&gt;</description></item>"
    )
    pages.pages["/rss"] = Page(rss(body, f"<image><url>{link}</url></image>"))
    assert len((await read(bench, f"{pages.root}/rss")).items) == 1
    assert pages.asked == ["/rss"]


async def test_without_the_vendor_the_feeds_are_still_read(bench: Bench, pages: Pages) -> None:
    pages.pages["/rss"] = Page(rss(item("Good")))
    bench.vendor.faults.append(Fault(FaultKind.DAILY_LIMIT))
    news = await read(bench, f"{pages.root}/rss", articles=5)
    assert len(news.items) == 1 and "used up" in news.failed[0].why


async def test_the_secret_in_a_feeds_address_is_not_kept(
    bench: Bench, pages: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pages.pages["/rss?token=s3cret"] = Page(rss(item("Good")))
    await read(bench, f"{pages.root}/rss?token=s3cret")
    assert bench.store.kept and "s3cret" not in repr(bench.store.kept)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("url", ["http://example.com/rss", "file:///etc/passwd", "/etc/passwd", "https://"])
def test_what_is_no_safe_address_is_no_feed(url: str) -> None:
    with pytest.raises(ValidationError):
        NewsConfig(feeds=(url,))


@pytest.mark.parametrize("told", ["9999-12-31 23:00:00", "0001-01-01 00:00:00", "yesterday", ""])
def test_an_article_of_no_time_that_can_be_told_is_an_article_all_the_same(told: str) -> None:
    at = _new_york(told)
    assert at is None or at.year == 1
