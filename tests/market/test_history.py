"""History packs: what is read, what is refused and in which words, and how packs reach the library."""

import csv
import gzip
import os
import random
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.market.bars import AssetType
from agents.market.history import SAMPLE_FOLDER, HistoryPack, find_pack, import_pack, load_pack
from storage.errors import OperatorError

REFERENCE_PACK = Path(__file__).resolve().parents[2].parent / "shared/data/pack"

HEADER = "date,symbol,open,high,low,close,volume"
BARS = (
    "2024-01-02,AAA,10,11,9.5,10.5,1000",
    "2024-01-03,AAA,10.5,11,10,10.75,2000",
    "2024-01-02,^GSPC,4745.2,4754.33,4722.67,4742.83,0",
)
UNIVERSE = """\
symbol,name,sector,industry,asset_type
AAA,Triple A Inc.,Industrials,,stock
BBB,,,,stock
^GSPC,S&P 500,,,index
"""


def write_pack(folder: Path, *rows: str, header: str = HEADER, universe: str = UNIVERSE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.csv").write_text("\n".join((header, *(rows or BARS))) + "\n")
    (folder / "universe.csv").write_text(universe)
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(OperatorError) as caught:
        load_pack(folder)
    return caught.value.problem


def test_a_pack_is_read(tmp_path: Path) -> None:
    pack = load_pack(write_pack(tmp_path / "small"))
    assert (pack.name, pack.title, pack.survivors) == ("small", "small", True)
    assert (pack.first, pack.last) == (date(2024, 1, 2), date(2024, 1, 3))
    assert pack.instruments["AAA"].name == "Triple A Inc."
    assert pack.instruments["AAA"].industry is None
    assert pack.instruments["BBB"].name == "BBB"
    assert pack.instruments["^GSPC"].asset_type is AssetType.INDEX
    assert pack.bars("AAA").close.tolist() == [10.5, 10.75]
    assert len(pack.bars("BBB")) == len(pack.bars("ZZZ")) == 0
    assert pack.sessions(date(2024, 1, 3), date(2024, 2, 1)) == [date(2024, 1, 3)]
    assert pack.view(pack.first).bars("AAA").close.tolist() == [10.5]
    assert pack.view(pack.first).symbols == ("AAA",)


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    sorted_pack = load_pack(write_pack(tmp_path / "a"))
    moved = [",".join([row.split(",")[-1], "x", *row.split(",")[:-1]]) for row in reversed(BARS)]
    other = load_pack(
        write_pack(tmp_path / "b", *moved, header="volume,note,date,symbol,open,high,low,close")
    )
    for symbol in ("AAA", "^GSPC"):
        for column in ("sessions", "open", "high", "low", "close", "volume"):
            ours, theirs = getattr(sorted_pack.bars(symbol), column), getattr(other.bars(symbol), column)
            assert ours.tolist() == theirs.tolist()


def test_empty_fields_are_missing_values(tmp_path: Path) -> None:
    bars = load_pack(write_pack(tmp_path, BARS[0], "2024-01-03,AAA,,,,,")).bars("AAA")
    assert np.isnan(bars.close[1])
    assert np.isnan(bars.volume[1])
    assert bars.on(date(2024, 1, 3)) is None


def test_windows_files_are_read(tmp_path: Path) -> None:
    write_pack(tmp_path)
    text = "\r\n".join((HEADER, *BARS)) + "\r\n\r\n"
    (tmp_path / "bars.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(load_pack(tmp_path).bars("AAA")) == 2


def test_the_description_is_read(tmp_path: Path) -> None:
    write_pack(tmp_path)
    (tmp_path / "pack.toml").write_text('title = "My\\u001b[31m pack"\nlicence = "CC0"\nsurvivors = false\n')
    pack = load_pack(tmp_path)
    assert (pack.title, pack.licence, pack.note, pack.survivors) == ("My[31m pack", "CC0", "", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title = ", "pack.toml: is no TOML file"),
        ('survivors = "yes"', "pack.toml: survivors: Input should be a valid boolean"),
        ("survivor = true", "pack.toml: survivor: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    write_pack(tmp_path)
    (tmp_path / "pack.toml").write_text(text)
    assert expected in complaint(tmp_path)


def test_names_lose_their_control_characters(tmp_path: Path) -> None:
    evil = (
        "symbol,name,sector,industry,asset_type\nAAA,Tri\x1b]0;x\x07ple\u202e\u200b  A,Tech\x9b,\x7f,stock\n"
    )
    instrument = load_pack(write_pack(tmp_path, BARS[0], universe=evil)).instruments["AAA"]
    assert (instrument.name, instrument.sector, instrument.industry) == ("Tri]0;xple A", "Tech", None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2024-01-04,AAA,10,11,9,10", "row 3: has 6 fields instead of 7"),
        ("2024-01-04,AAA,10,11,9,10,1,2", "row 3: has 8 fields instead of 7"),
        ("", "row 3: has 0 fields instead of 7"),
        ("2024-01-06,AAA,10,11,9,10,1", "row 3: '2024-01-06' is no session of the NYSE"),
        ("2024-01-01,AAA,10,11,9,10,1", "row 3: '2024-01-01' is no session of the NYSE"),
        ("1985-01-02,AAA,10,11,9,10,1", "row 3: '1985-01-02' is no session of the NYSE"),
        ("2024-02-30,AAA,10,11,9,10,1", "row 3: '2024-02-30' is no session of the NYSE"),
        ("20240104,AAA,10,11,9,10,1", "row 3: '20240104' is no session of the NYSE"),
        (",AAA,10,11,9,10,1", "row 3: '' is no session of the NYSE"),
        ("2024-01-04,CCC,10,11,9,10,1", "row 3: 'CCC' is not in the universe"),
        ("2024-01-04,aaa,10,11,9,10,1", "row 3: 'aaa' is no symbol"),
        ("2024-01-04,\x1b[2J,10,11,9,10,1", r"row 3: '\x1b[2J' is no symbol"),
        ("2024-01-04,AAA,ten,11,9,10,1", "row 3: open 'ten' is no number"),
        ("2024-01-04,AAA,10,11,9,nan,1", "row 3: close 'nan' is no number"),
        ("2024-01-04,AAA,10,11,9,10,1_000", "row 3: volume '1_000' is no number"),
        ("2024-01-04,AAA,10,11,9,\uff11\uff10,1", r"row 3: close '\uff11\uff10' is no number"),
        ("2024-01-04,AAA,10,11,9,inf,1", "row 3: a value is infinite"),
        ("2024-01-04,AAA,10,1e999,9,10,1", "row 3: a value is infinite"),
        ("2024-01-04,AAA,10,inf,inf,10,1", "row 3: a value is infinite"),
        ("2024-01-04,AAA,10,11,0,10,1", "row 3: a price is not above zero"),
        ("2024-01-04,AAA,-10,11,9,10,1", "row 3: a price is not above zero"),
        ("2024-01-04,AAA,10,11,9,10,-1", "row 3: the volume is negative"),
        ("2024-01-04,AAA,10,9,11,10,1", "row 3: the high is below the low"),
        ("2024-01-04,AAA,12,11,9,10,1", "row 3: the open is outside low..high"),
        ("2024-01-04,AAA,10,11,9,8,1", "row 3: the close is outside low..high"),
        ("2024-01-02,AAA,10,11,9,10,1", "row 3: AAA has a second bar on 2024-01-02"),
        ('2024-01-04,"AAA,10,11,9,10,1', "line 4: unexpected end of data"),
    ],
)
def test_a_wrong_bar_is_refused_by_row(tmp_path: Path, row: str, expected: str) -> None:
    found = complaint(write_pack(tmp_path / "bad", BARS[0], row, BARS[2]))
    assert found.startswith(f"bad/bars.csv: {expected}")
    assert found.isprintable()
    assert found.isascii()


def test_rows_are_numbered_beyond_the_first_chunk(tmp_path: Path) -> None:
    days = [str(day) for day in load_pack(SAMPLE_FOLDER).sessions(date(2000, 3, 1), date(2013, 3, 1))][:2500]
    rows = [f"{day},AAA,10,11,9,10,1" for day in days]
    rows[2345] = rows[2345].replace("11", "x")
    assert "row 2347: high 'x' is no number" in complaint(write_pack(tmp_path, *rows))
    rows[2345] = rows[2345].replace("x", "1")
    rows[2400] = rows[2400].replace("11", "2")
    found = complaint(write_pack(tmp_path, *rows))
    assert "row 2347: the high is below the low" in found
    assert found.endswith("1 more such rows")


def test_rounding_is_tolerated_and_index_closes_are_free(tmp_path: Path) -> None:
    rows = ("2024-01-02,AAA,100.5,100,100,99.5,1", "2024-01-02,^GSPC,4800,4754,4722,4700,0")
    assert load_pack(write_pack(tmp_path, *rows)).bars("AAA").close.tolist() == [99.5]
    found = complaint(write_pack(tmp_path, rows[0], "2024-01-02,^GSPC,4700,4600,4722,4700,0"))
    assert "row 3: the high is below the low" in found


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("aaa,Lower,,,stock", "row 2: 'aaa' is no symbol"),
        ("ABCDEFGHIJKLM,Long,,,stock", "row 2: 'ABCDEFGHIJKLM' is no symbol"),
        ("../X,Path,,,stock", "row 2: '../X' is no symbol"),
        ("AAA,Triple A,,,share", "row 2: asset_type 'share' is not stock, etf or index"),
        ("AAA,A,,,stock\nAAA,B,,,stock", "row 3: AAA is listed twice"),
    ],
)
def test_a_wrong_universe_is_refused_by_row(tmp_path: Path, row: str, expected: str) -> None:
    universe = f"symbol,name,sector,industry,asset_type\n{row}\n"
    assert f"universe.csv: {expected}" in complaint(write_pack(tmp_path, universe=universe))


def test_missing_and_ambiguous_files_are_named(tmp_path: Path) -> None:
    assert "there is no folder" in complaint(tmp_path / "nowhere")
    assert "lacks bars.csv and bars.csv.gz" in complaint(tmp_path)
    write_pack(tmp_path)
    (tmp_path / "bars.csv.gz").write_bytes(gzip.compress((tmp_path / "bars.csv").read_bytes()))
    assert "has both bars.csv and bars.csv.gz" in complaint(tmp_path)
    (tmp_path / "universe.csv").unlink()
    (tmp_path / "bars.csv").unlink()
    assert "lacks universe.csv and universe.csv.gz" in complaint(tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    found = complaint(write_pack(tmp_path, header=HEADER.replace("volume", "vol")))
    assert "row 1: the header must name the column volume once" in found
    (tmp_path / "bars.csv").write_text("")
    assert "bars.csv: is empty" in complaint(tmp_path)
    (tmp_path / "bars.csv").write_text(HEADER)
    assert "bars.csv: has no rows" in complaint(tmp_path)


def test_a_pack_without_stocks_is_refused(tmp_path: Path) -> None:
    assert "has no bars of any stock" in complaint(write_pack(tmp_path, BARS[2]))
    assert "has no bars of any stock" in complaint(write_pack(tmp_path, "2024-01-02,AAA,,,,,"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"date,symbol\n\x00", "line 2: contains a NUL byte"),
        (b"date,symbol\n\nna\xefve", "line 3: is not UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (write_pack(tmp_path) / "bars.csv").write_bytes(content)
    assert expected in complaint(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flip", "plain", "tail"])
def test_a_damaged_gzip_is_refused(tmp_path: Path, damage: str) -> None:
    plain = (write_pack(tmp_path) / "bars.csv").read_bytes()
    (tmp_path / "bars.csv").unlink()
    packed = gzip.compress(plain)
    broken = {
        "cut": packed[:-20],
        "flip": packed[:40] + bytes([packed[40] ^ 0xFF]) + packed[41:],
        "plain": plain,
        "tail": packed + b"more",
    }
    (tmp_path / "bars.csv.gz").write_bytes(broken[damage])
    assert "bars.csv.gz: is truncated or no gzip file" in complaint(tmp_path)


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_load_or_are_refused(tmp_path: Path, noise: bytes, at: int) -> None:
    content = "\n".join((HEADER, *BARS)).encode()
    (write_pack(tmp_path) / "bars.csv").write_bytes(content[:at] + noise + content[at:])
    try:
        load_pack(tmp_path)
    except OperatorError as error:
        assert error.problem.isprintable()


def test_the_digest_follows_the_contents_only(tmp_path: Path) -> None:
    first = load_pack(write_pack(tmp_path / "one")).digest
    assert load_pack(write_pack(tmp_path / "two")).digest == first
    (tmp_path / "two" / "README").write_text("not part of the pack")
    assert load_pack(tmp_path / "two").digest == first
    assert load_pack(write_pack(tmp_path / "two", BARS[0])).digest != first


def test_an_imported_pack_is_found_by_its_name(tmp_path: Path) -> None:
    source, library = write_pack(tmp_path / "small"), tmp_path / "state" / "library"
    (source / "notes.txt").write_text("stays behind")
    pack = import_pack(source, library)
    assert (pack.name, pack.folder) == ("small", library / "small")
    assert pack.digest == load_pack(source).digest
    assert sorted(path.name for path in pack.folder.iterdir()) == ["bars.csv", "universe.csv"]
    assert find_pack("small", library) == library / "small"
    assert import_pack(source, library).digest == pack.digest
    assert [path.name for path in library.iterdir()] == ["small"]


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    import_pack(write_pack(tmp_path / "small"), tmp_path / "library")
    other = write_pack(tmp_path / "other", BARS[0])
    with pytest.raises(OperatorError, match="already holds other data as small; import under another name"):
        import_pack(other, tmp_path / "library", "small")
    assert import_pack(other, tmp_path / "library").name == "other"


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a b", "-x", "x" * 41, "a/b", "sample", "a\n"])
def test_a_name_that_could_mislead_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError):
        import_pack(write_pack(tmp_path / "small"), tmp_path / "library", name)
    assert not (tmp_path / "library").exists()


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, library = write_pack(tmp_path / "small"), tmp_path / "library"

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OperatorError, match=r"cannot write .*small \(No space left on device\)"):
        import_pack(source, library)
    assert list(library.iterdir()) == []


def test_a_library_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match=r"cannot write .*small \(Not a directory\)"):
        import_pack(write_pack(tmp_path / "small"), tmp_path / "file" / "library")


def test_packs_are_found_by_name_or_path(tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert find_pack("sample", library) == SAMPLE_FOLDER
    folder = write_pack(tmp_path / "mine")
    assert find_pack(str(folder), library) == folder
    import_pack(folder, library)
    (library / ".importing-x").mkdir()
    with pytest.raises(
        OperatorError, match=r"no history pack 'nope'; name a folder or one of: sample, mine$"
    ):
        find_pack("nope", library)
    for odd in ("", "\0", "x\x1b"):
        with pytest.raises(OperatorError):
            find_pack(odd, library)


@pytest.mark.long
@pytest.mark.pack
@pytest.mark.skipif(not REFERENCE_PACK.is_dir(), reason="the reference pack is not beside the project")
def test_the_reference_pack_loads_whole() -> None:
    pack = load_pack(REFERENCE_PACK)
    assert (pack.first, pack.last) == (date(2007, 1, 3), date(2016, 12, 30))
    assert len(pack.sessions(pack.first, pack.last)) == 2518
    view = pack.view(pack.last)
    assert len(view.symbols) == 129
    assert (view.index_symbol, view.volatility_symbol) == ("SPY", "^VIX")
    assert pack.view(pack.first).index_symbol == "^GSPC"
    assert all(len(pack.bars(symbol)) == 2518 for symbol in pack.instruments)
    symbol = random.Random(1).choice(view.symbols)
    newest, kept = view.bars(symbol).last, pack.bars(symbol).on(pack.last)
    assert newest is not None
    assert kept is not None
    assert newest.close == kept.close * pack.factor(symbol, pack.last)


FACTOR_HEADER = f"{HEADER},raw_factor"
FACTOR_BARS = (
    "2024-01-02,AAA,10,11,9.5,10.5,1000,4",
    "2024-01-03,AAA,10.5,11,10,10.75,2000,4",
    "2024-01-04,AAA,10.5,11,10,10.25,4000,2",
    "2024-01-02,^GSPC,4745.2,4754.33,4722.67,4742.83,0,1",
)
ACTIONS = "symbol,date,type,value\nAAA,2024-01-04,split,2.000002\nAAA,2024-01-03,dividend,0.25\n"


def write_raw_pack(folder: Path, *rows: str, actions: str = ACTIONS) -> Path:
    write_pack(folder, *(rows or FACTOR_BARS), header=FACTOR_HEADER)
    (folder / "corporate_actions.csv").write_text(actions)
    return folder


def test_a_view_shows_prices_and_shares_as_traded_that_day(tmp_path: Path) -> None:
    pack = load_pack(write_raw_pack(tmp_path))
    before, after = (pack.view(date(2024, 1, day)).bars("AAA") for day in (3, 4))
    assert before.close.tolist() == [42, 43]
    assert before.volume.tolist() == [250, 500]
    assert after.close.tolist() == [21, 21.5, 20.5]
    assert after.open.tolist() == [20, 21, 21]
    assert after.volume.tolist() == [500, 1000, 2000]
    assert pack.view(date(2024, 1, 4)).bars("^GSPC").close.tolist() == [4742.83]
    assert pack.bars("AAA").close.tolist() == [10.5, 10.75, 10.25]
    assert [pack.factor("AAA", date(2024, 1, day)) for day in (2, 3, 4, 5)] == [4, 4, 2, 2]
    [split] = pack.actions.on(date(2024, 1, 4))
    assert (split.kind.value, float(split.ratio)) == ("split", 2)
    assert pack.data_notes == ()


def test_without_factors_a_view_shows_the_very_arrays_of_the_pack(sample: HistoryPack) -> None:
    for symbol in sample.instruments:
        seen, kept = sample.view(date(2008, 1, 2)).bars(symbol), sample.bars(symbol)
        assert np.shares_memory(seen.close, kept.close)
    assert (len(sample.actions), sample.data_notes) == (0, ())


def test_bars_are_scaled_once_while_the_factor_stands(tmp_path: Path) -> None:
    pack = load_pack(write_raw_pack(tmp_path))
    first, second, third = (pack.view(date(2024, 1, day)).bars("AAA") for day in (2, 3, 4))
    assert np.shares_memory(first.close, second.close)
    assert not np.shares_memory(second.close, third.close)
    assert not third.close.flags.writeable


def test_a_pack_on_another_basis_gives_the_same_views(tmp_path: Path) -> None:
    """A split after the session changes every adjusted price and no view: it is in the constant alone."""
    pack = load_pack(write_raw_pack(tmp_path / "a"))
    rebased = (
        "2024-01-02,AAA,5,5.5,4.75,5.25,2000,8",
        "2024-01-03,AAA,5.25,5.5,5,5.375,4000,8",
        "2024-01-04,AAA,5.25,5.5,5,5.125,8000,4",
        "2024-01-05,AAA,500,550,500,525,8,1",
        FACTOR_BARS[3],
    )
    other = load_pack(write_raw_pack(tmp_path / "b", *rebased))
    for day in (2, 3, 4):
        for column in ("open", "high", "low", "close", "volume"):
            seen, expected = (
                getattr(one.view(date(2024, 1, day)).bars("AAA"), column) for one in (other, pack)
            )
            assert seen.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        ("", "row 2: raw_factor is missing"),
        ("0", "row 2: raw_factor 0 is not above zero or absurd"),
        ("-2", "row 2: raw_factor -2 is not above zero or absurd"),
        ("inf", "row 2: raw_factor inf is not above zero or absurd"),
        ("1e7", "row 2: raw_factor 10000000 is not above zero or absurd"),
        ("nan", "row 2: raw_factor 'nan' is no number"),
        ("two", "row 2: raw_factor 'two' is no number"),
    ],
)
def test_a_wrong_factor_is_refused_by_row(tmp_path: Path, factor: str, expected: str) -> None:
    rows = (FACTOR_BARS[0].removesuffix("4") + factor, *FACTOR_BARS[1:])
    assert expected in complaint(write_raw_pack(tmp_path, *rows))


def test_a_factor_named_twice_is_refused(tmp_path: Path) -> None:
    write_pack(tmp_path, *(f"{row},1" for row in FACTOR_BARS), header=f"{FACTOR_HEADER},raw_factor")
    assert "row 1: the header names the column raw_factor more than once" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("CCC,2024-01-04,split,2", "row 3: 'CCC' is not in the universe"),
        ("AAA,2024-01-06,split,2", "row 3: '2024-01-06' is no session of the NYSE"),
        ("AAA,2045-01-03,split,2", "row 3: '2045-01-03' is no session of the NYSE"),
        ("AAA,2024-01-04,merger,2", "row 3: type 'merger' is not split or dividend"),
        ("AAA,2024-01-04,symbol_change,2", "row 3: type 'symbol_change' is not split or dividend"),
        ("AAA,2024-01-04,split,", "row 3: value '' is missing, not above zero or absurd"),
        ("AAA,2024-01-04,split,0", "row 3: value '0' is missing, not above zero or absurd"),
        ("AAA,2024-01-04,dividend,-1", "row 3: value '-1' is missing, not above zero or absurd"),
        ("AAA,2024-01-04,dividend,inf", "row 3: value 'inf' is missing, not above zero or absurd"),
        ("AAA,2024-01-04,split,2:1", "row 3: value '2:1' is no number"),
        ("AAA,2024-01-03,dividend,0.26", "row 3: AAA has another dividend on 2024-01-03 with another value"),
        ("AAA,2024-01-04,split", "row 3: has 3 fields instead of 4"),
    ],
)
def test_a_wrong_action_is_refused_by_row(tmp_path: Path, row: str, expected: str) -> None:
    text = f"symbol,date,type,value\nAAA,2024-01-03,dividend,0.25\n{row}\n"
    assert complaint(write_raw_pack(tmp_path / "bad", actions=text)).startswith(
        f"bad/corporate_actions.csv: {expected}"
    )


def test_an_action_said_twice_counts_once_and_order_is_free(tmp_path: Path) -> None:
    header, *rows = ACTIONS.splitlines()
    text = "\n".join((header, *reversed(rows), rows[1] + "0", rows[0]))
    pack = load_pack(write_raw_pack(tmp_path, actions=text))
    assert list(pack.actions) == list(load_pack(write_raw_pack(tmp_path)).actions)
    assert len(pack.actions) == 2


def test_both_files_of_actions_are_one_too_many(tmp_path: Path) -> None:
    write_raw_pack(tmp_path)
    (tmp_path / "corporate_actions.csv.gz").write_bytes(gzip.compress(ACTIONS.encode()))
    assert "has both corporate_actions.csv and corporate_actions.csv.gz" in complaint(tmp_path)
    (tmp_path / "corporate_actions.csv").unlink()
    assert len(load_pack(tmp_path).actions) == 2


def test_actions_and_factors_are_part_of_the_digest_and_of_an_import(tmp_path: Path) -> None:
    source = write_raw_pack(tmp_path / "raw")
    digest = load_pack(source).digest
    pack = import_pack(source, tmp_path / "library")
    assert (pack.digest, len(pack.actions)) == (digest, 2)
    (source / "corporate_actions.csv").write_text(ACTIONS.replace("0.25", "0.5"))
    assert load_pack(source).digest != digest
    write_raw_pack(source, *FACTOR_BARS[:2], FACTOR_BARS[2].removesuffix("2") + "2.001", FACTOR_BARS[3])
    assert load_pack(source).digest != digest


def test_a_split_without_factors_is_left_out_with_a_note(tmp_path: Path) -> None:
    write_pack(tmp_path, *BARS, "2024-01-04,AAA,10.5,11,10,10.25,4000")
    (tmp_path / "corporate_actions.csv").write_text(ACTIONS)
    pack = load_pack(tmp_path)
    assert [action.kind for action in pack.actions] == ["dividend"]
    [note] = pack.data_notes
    assert (note.symbol, note.session) == ("AAA", date(2024, 1, 4))
    assert note.what == "a split of 2 is told, prices change their basis by 1: left out"


@pytest.mark.long
@pytest.mark.pack
def test_the_last_bar_of_a_view_is_as_traded_and_the_rest_the_same_bars_times_one_constant(
    market_pack: HistoryPack,
) -> None:
    random_days = random.Random(2).sample(market_pack.sessions(market_pack.first, market_pack.last), 25)
    factors = raw_factors(market_pack)
    for session in random_days:
        view = market_pack.view(session)
        for symbol in view.symbols:
            seen, kept = view.bars(symbol), market_pack.bars(symbol).upto(session)
            factor = factors[symbol, str(session)]
            assert seen.close[-1] == kept.close[-1] * factor
            for column in ("open", "high", "low", "close"):
                assert (getattr(seen, column) == getattr(kept, column) * factor).all()
            assert (seen.volume == kept.volume / factor).all()


@pytest.mark.long
@pytest.mark.pack
def test_earlier_bars_of_a_view_are_raw_prices_over_the_splits_between(market_pack: HistoryPack) -> None:
    factors = raw_factors(market_pack)
    # Names with splits whose factor steps at splits only; the slips of a vendor's rounding are below 0.1%.
    names = ("AAPL", "CMI", "CSX", "CTSH", "GILD", "MNST", "NFLX", "NKE", "NVDA", "TJX", "UNP", "C", "AIG")
    for symbol in names:
        splits = [action for action in market_pack.actions.of(symbol) if action.kind == "split"]
        kept = market_pack.bars(symbol)
        for session in (date(2007, 3, 1), date(2010, 6, 30), date(2014, 6, 9), date(2016, 12, 30)):
            seen = market_pack.view(session).bars(symbol)
            for index in range(0, len(seen), 50):
                day = seen.sessions[index].item()
                raw = float(kept.close[index]) * factors[symbol, str(day)]
                for split in splits:
                    if day < split.ex_date <= session:
                        raw /= float(split.ratio)
                assert seen.close[index] == pytest.approx(raw, rel=1e-3)


def raw_factors(pack: HistoryPack) -> dict[tuple[str, str], float]:
    """The factor of every bar of the large pack, read beside the loader."""
    with gzip.open(pack.folder / "bars.csv.gz", "rt") as file:
        return {(row["symbol"], row["date"]): float(row["raw_factor"]) for row in csv.DictReader(file)}
