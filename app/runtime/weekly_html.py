"""The weekly report as one HTML file: no script, nothing fetched, every text from the desk escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from app.runtime.weekly import HeldPosition, Week, WeekTrade
from storage.plain import clean

WIDTH, HEIGHT, EDGE = 760, 240, 52  # of the chart, in units of its own

STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --faint: #66758a; --line: #d7dee7; --card: #ffffff;
  --page: #f4f6f9; --desk: #1f6feb; --market: #b8741a; --good: #1a7f4b; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf2; --faint: #93a1b5; --line: #2e3a48;
  --card: #18212c; --page: #10161d; --desk: #6ea8fe; --market: #e0a458; --good: #4cc38a; --bad: #f27c6f; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem 3rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
main { max-width: 840px; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
p { margin: .3rem 0; }
.sub { color: var(--faint); margin-bottom: 1.4rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.2rem; margin: 0 0 1rem; overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(128px, 1fr)); gap: .8rem; }
.figures div { border-left: 3px solid var(--line); padding-left: .7rem; }
.figures b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.figures div > span, small, .none { color: var(--faint); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--faint); }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
.note { color: var(--faint); overflow-wrap: anywhere; }
.tag { border: 1px solid var(--line); border-radius: 4px; padding: 0 .35rem; font-size: .85em; }
ul { margin: 0; padding-left: 1.1rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif; }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; } }
"""


def render(week: Week) -> str:
    """The whole file."""
    title = f"{_text(week.desk)}: week of {week.monday}"
    parts = [
        _section("The week", _figures(week)),
        _section("What a dollar became", _chart(week) + _legend(week)),
        _section("Trades closed", _trades(week.trades)),
        _section("Positions open now", _held(week.held)),
        _section("Decisions", _decisions(week)),
        _section("Since the first close", _benchmarks(week)),
        _section("By market", _regimes(week)),
    ]
    if week.warnings:
        parts.append(_section("Warnings", f"<ul>{_items(week.warnings)}</ul>"))
    last = week.sessions[-1].session if week.sessions else None
    written = f"{week.written_at:%Y-%m-%d %H:%M}Z"
    until = f"settled to {last}" if last else "nothing settled in this week"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{title}</h1>"
        f'<p class="sub">{_text(week.kind)} desk; {until}; written {written}</p>'
        f"{''.join(parts)}</main></body></html>\n"
    )


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{heading}</h2>{body}</section>"


def _text(words: str) -> str:
    """A text of the desk, of a human or of a stranger: never markup."""
    return escape(clean(words), quote=True)


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{_text(line)}</li>" for line in lines)


def _figures(week: Week) -> str:
    sessions = week.sessions
    if not sessions:
        return '<p class="none">Nothing settled in this week.</p>'
    last = sessions[-1]
    flow = sum((point.flow for point in sessions), start=last.flow * 0)
    figures = [
        (
            "return of the week",
            _signed(week.growth, f"{week.growth or 0:+.2%}"),
        ),
        ("the index", "-" if week.market is None else f"{week.market:+.2%}"),
        ("equity", f"{last.equity:,.2f}"),
        ("below its high", f"{last.drawdown:.2%}"),
        ("heat", f"{last.heat:.2%}"),
        (f"{len(week.trades)} trades closed", _signed(week.r, f"{week.r:+.2f}R")),
    ]
    if flow:
        figures.append(("paid in" if flow > 0 else "paid out", f"{abs(flow):,.2f}"))
    return (
        '<div class="figures">'
        + "".join(f"<div><b>{value}</b><span>{label}</span></div>" for label, value in figures)
        + "</div>"
    )


def _signed(value: float | None, text: str) -> str:
    if not value:
        return text
    return f'<span class="{"good" if value > 0 else "bad"}">{text}</span>'


def _chart(week: Week) -> str:
    """The desk and the index as lines, the week shaded, money paid in or out marked."""
    points = week.curve
    if len(points) < 2:
        return '<p class="none">A chart needs two closes.</p>'
    values = [point.growth for point in points] + [p.market for p in points if p.market is not None]
    low, high = min(values), max(values)
    spare = max((high - low) * 0.08, 0.002)
    low, high = low - spare, high + spare

    def across(index: int) -> float:
        return EDGE + index * (WIDTH - EDGE - 8) / (len(points) - 1)

    def up(value: float) -> float:
        return 8 + (high - value) / (high - low) * (HEIGHT - 34)

    def line(pairs: Sequence[tuple[float, float]], colour: str) -> str:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)
        return (
            f'<polyline points="{path}" fill="none" stroke="var(--{colour})" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )

    shapes = []
    inside = [index for index, point in enumerate(points) if point.session >= week.monday]
    if inside:
        left, right = across(max(inside[0] - 1, 0)), across(inside[-1])
        shapes.append(
            f'<rect x="{left:.1f}" y="8" width="{max(right - left, 2):.1f}" height="{HEIGHT - 34}" '
            'fill="var(--line)" opacity="0.5"/>'
        )
    for step in range(5):
        value = low + (high - low) * step / 4
        shapes.append(
            f'<line x1="{EDGE}" x2="{WIDTH - 8}" y1="{up(value):.1f}" y2="{up(value):.1f}" '
            'stroke="var(--line)"/>'
            f'<text x="{EDGE - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value - 1:+.1%}</text>'
        )
    market = [
        (across(index), up(point.market)) for index, point in enumerate(points) if point.market is not None
    ]
    shapes.append(line(market, "market"))
    shapes.append(line([(across(index), up(point.growth)) for index, point in enumerate(points)], "desk"))
    for index, point in enumerate(points):
        if point.flow:
            x = across(index)
            shapes.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{HEIGHT - 26}" stroke="var(--faint)" '
                f'stroke-dasharray="3 3"><title>{point.session}: {point.flow:+,.2f} dollars</title></line>'
            )
    shapes.append(f'<text x="{EDGE}" y="{HEIGHT - 6}">{points[0].session}</text>')
    shapes.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">{points[-1].session}</text>')
    label = "Time-weighted return of the desk and of the index"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(shapes)}</svg>'


def _legend(week: Week) -> str:
    flows = any(point.flow for point in week.curve)
    dashed = "; dashed: money paid in or out, which is neither gain nor loss" if flows else ""
    return (
        '<p><span style="color:var(--desk)">&#9632;</span> the desk, time-weighted '
        f'<span style="color:var(--market)">&#9632;</span> the index, prices only <small>{dashed}</small></p>'
    )


def _trades(trades: Sequence[WeekTrade]) -> str:
    if not trades:
        return '<p class="none">No trade closed.</p>'
    rows = []
    for trade in trades:
        tags = " ".join(f'<span class="tag">{_text(tag)}</span>' for tag in trade.tags)
        notes = "".join(f'<p class="note">{_text(note)}</p>' for note in trade.notes)
        rows.append(
            f"<tr><td><b>{_text(trade.symbol)}</b> {tags}<br>"
            f"<small>{_text(_words(trade.setup))}</small>{notes}</td>"
            f"<td>{trade.entry_session}<br>{trade.exit_session}</td>"
            f'<td class="n">{trade.shares:,}</td>'
            f'<td class="n">{trade.entry_price:,.2f}<br>{trade.exit_price:,.2f}</td>'
            f"<td>{_text(_words(trade.exit_reason))}</td>"
            f'<td class="n">{_signed(trade.r, f"{trade.r:+.2f}")}</td>'
            f'<td class="n">{_signed(float(trade.pnl), f"{trade.pnl:+,.2f}")}</td></tr>'
        )
    return _table(("trade", "in, out", ">shares", ">prices", "left by", ">R", ">dollars"), rows)


def _held(held: Sequence[HeldPosition]) -> str:
    if not held:
        return '<p class="none">No position is open.</p>'
    rows = [
        f"<tr><td><b>{_text(row.symbol)}</b></td><td>{row.entry_session}</td>"
        f'<td class="n">{row.shares:,}</td><td class="n">{row.entry_price:,.2f}</td>'
        f'<td class="n">{row.last_close:,.2f}</td><td class="n">{row.stop:,.2f}</td>'
        f'<td class="n">{row.target:,.2f}</td>'
        f'<td class="n">{_signed(row.r_now, f"{row.r_now:+.2f}")}</td></tr>'
        for row in held
    ]
    return _table(("symbol", "since", ">shares", ">entry", ">last", ">stop", ">target", ">R"), rows)


def _decisions(week: Week) -> str:
    counts = week.counts
    said = (
        f"{counts.argued} candidates were argued over, {counts.proposed} were proposed: "
        f"{counts.approved} approved, {counts.rejected} rejected. {counts.entered} positions were entered."
    )
    missed = f'<p class="bad">{counts.missed} expired because nobody answered.</p>' if counts.missed else ""
    return f"<p>{said}</p>{missed}"


def _benchmarks(week: Week) -> str:
    found = week.performance
    if not found.sessions:
        return '<p class="none">Nothing has settled yet.</p>'
    rows = [
        f"<tr><td><b>the desk</b><br><small>{found.sessions} sessions, worst drawdown "
        f"{found.max_drawdown:.2%}</small></td>"
        f'<td class="n">{_signed(found.total_return, f"{found.total_return:+.2%}")}</td></tr>'
    ]
    rows += [
        f"<tr><td>{_text(other.name)}<br><small>{_text(other.label)}</small></td>"
        f'<td class="n">{other.total_return:+.2%}</td></tr>'
        for other in found.benchmarks
    ]
    unknown = "".join(f'<p class="note">{_text(words)}</p>' for words in found.unknown)
    models = f"<p>{found.model_calls:,} model calls for {found.model_usd:,.2f} dollars.</p>"
    return _table(("what", ">return"), rows) + unknown + models


def _regimes(week: Week) -> str:
    if not week.regimes:
        return '<p class="none">No regime has been read.</p>'
    rows = [
        f"<tr><td>{_text(row.direction)}</td>"
        f'<td class="n">{row.sessions}</td>'
        f'<td class="n">{_signed(row.growth, f"{row.growth:+.2%}")}</td>'
        f'<td class="n">{"-" if row.market is None else f"{row.market:+.2%}"}</td>'
        f'<td class="n">{row.trades}</td><td class="n">{_signed(row.r, f"{row.r:+.2f}")}</td></tr>'
        for row in week.regimes
    ]
    return _table(("market", ">sessions", ">the desk", ">the index", ">trades", ">R"), rows)


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    """Headings that begin with > stand to the right, over numbers."""
    cells = "".join(
        f'<th class="n">{name[1:]}</th>' if name.startswith(">") else f"<th>{name}</th>" for name in headings
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _words(name: str) -> str:
    return name.replace("_", " ")
