"""History packs: folders of daily bars that replays, evidence and tests read (docs/history-packs.md)."""

import errno
import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agents.market.actions import Actions, CorporateAction, DataNote, reconcile
from agents.market.bars import AssetType, Bars, BarsAsTraded, Basis, FloatArray, Instrument, MarketView
from agents.market.pack_csv import PackError, clean_text, parse_actions, parse_bars, parse_universe
from storage.errors import OperatorError

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"

BARS_FILES = ("bars.csv", "bars.csv.gz")
UNIVERSE_FILES = ("universe.csv", "universe.csv.gz")
ACTIONS_FILES = ("corporate_actions.csv", "corporate_actions.csv.gz")
DESCRIPTION_FILE = "pack.toml"

# Scaled bars that are kept, for each symbol on average: a replay needs one, one beside it another.
SCALED_KEPT = 2

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class _Description(BaseModel):
    """The optional pack.toml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = ""
    licence: str = ""
    note: str = ""
    # A pack that does not say is assumed to hold only names that are still listed: the cautious reading.
    survivors: bool = True

    @field_validator("title", "licence", "note")
    @classmethod
    def _one_clean_line(cls, text: str) -> str:
        return clean_text(text)


@dataclass(frozen=True, eq=False)
class HistoryPack:
    """A checked pack in memory.

    `first` and `last` bound the sessions on which at least one stock has a close. `survivors` says that names
    which were delisted since are absent, so that buying and holding looks better than it was. `digest` is the
    SHA-256 over the names and contents of the pack's files. `actions` are the splits and dividends the pack
    tells of, less the splits its prices contradict; `data_notes` says which those are and what else of the
    factors does not fit.
    """

    name: str
    title: str
    licence: str
    note: str
    survivors: bool
    folder: Path
    digest: str
    instruments: Mapping[str, Instrument] = field(repr=False)
    first: date
    last: date
    actions: Actions = field(repr=False)
    data_notes: tuple[DataNote, ...] = field(repr=False)
    _bars: Mapping[str, Bars] = field(repr=False)
    _bases: Mapping[str, Basis] = field(repr=False)  # of the symbols whose factor is not always 1
    _sessions: tuple[date, ...] = field(repr=False)
    _scaled: Callable[[str, float], Bars] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scaled", _scaler(self._bars, SCALED_KEPT * len(self._bases)))

    def bars(self, symbol: str) -> Bars:
        """All bars of the symbol on the pack's own basis; empty when there are none.

        Growth over splits is measured on them. A decision gets a `view` instead.
        """
        return self._bars.get(symbol) or Bars.empty(symbol)

    def view(self, session: date) -> MarketView:
        """What a decision at the close of `session` may see, on the basis of that session.

        Every symbol's bars are those of the pack times one constant, its factor on `session`: the last bar is
        as traded, those before a split are divided by its ratio (volumes the other way).
        """
        history = BarsAsTraded(session, self._bars, self._bases, self._scaled)
        return MarketView(session, self.instruments, history)

    def factor(self, symbol: str, session: date) -> float:
        """By what the symbol's `bars` are multiplied in the view of `session`."""
        basis = self._bases.get(symbol)
        return 1.0 if basis is None else basis.at(session)

    def sessions(self, first: date, last: date) -> list[date]:
        """The sessions from `first` to `last`, both included, on which at least one stock has a close."""
        return [session for session in self._sessions if first <= session <= last]


def load_pack(folder: Path) -> HistoryPack:
    """Read and check the pack in `folder`; OperatorError names the file, the row and the defect."""
    folder = folder.resolve()
    files = _read_files(folder)
    bars_file, universe_file = _one_of(files, BARS_FILES, folder), _one_of(files, UNIVERSE_FILES, folder)
    actions_file = _at_most_one_of(files, ACTIONS_FILES, folder)
    description = _describe(files.get(DESCRIPTION_FILE), folder)
    instruments = parse_universe(files[universe_file], f"{folder.name}/{universe_file}")
    bars, factors = parse_bars(files[bars_file], f"{folder.name}/{bars_file}", instruments)
    told: tuple[CorporateAction, ...] = ()
    if actions_file is not None:
        told = parse_actions(files[actions_file], f"{folder.name}/{actions_file}", instruments)
    bases, actions, data_notes = _reconcile(bars, factors, Actions(told))
    traded = [
        series.sessions[~np.isnan(series.close)]
        for symbol, series in bars.items()
        if instruments[symbol].asset_type is AssetType.STOCK
    ]
    sessions: list[date] = np.unique(np.concatenate(traded)).tolist() if traded else []
    if not sessions:
        raise OperatorError(
            f"the pack {folder.name} has no bars of any stock", "add stocks: funds and indices are not traded"
        )
    name = clean_text(folder.name)
    return HistoryPack(
        name=name,
        title=description.title or name,
        licence=description.licence,
        note=description.note,
        survivors=description.survivors,
        folder=folder,
        digest=_digest(files),
        instruments=MappingProxyType(instruments),
        first=sessions[0],
        last=sessions[-1],
        actions=actions,
        data_notes=data_notes,
        _bars=MappingProxyType(bars),
        _bases=MappingProxyType(bases),
        _sessions=tuple(sessions),
    )


def _reconcile(
    bars: Mapping[str, Bars], factors: Mapping[str, FloatArray], told: Actions
) -> tuple[dict[str, Basis], Actions, tuple[DataNote, ...]]:
    bases: dict[str, Basis] = {}
    kept = [action for action in told if action.symbol not in bars]
    notes: list[DataNote] = []
    for symbol, series in bars.items():
        found = reconcile(symbol, series.sessions, factors[symbol], told.of(symbol))
        if (found.basis.factors != 1).any():
            bases[symbol] = found.basis
        kept += found.actions
        notes += found.notes
    return bases, Actions(kept), tuple(notes)


def _scaler(bars: Mapping[str, Bars], kept: int) -> Callable[[str, float], Bars]:
    """Bars of a symbol times a factor; a replay asks for the same ones every session until a split."""

    @lru_cache(maxsize=kept)
    def scaled(symbol: str, factor: float) -> Bars:
        return bars[symbol].scaled(factor)

    return scaled


def import_pack(source: Path, library: Path, name: str | None = None) -> HistoryPack:
    """Check the pack in `source` and copy its files to `library`/`name` (else the source folder's name).

    All or nothing: the copy is made beside and renamed. Importing the same files again changes nothing.
    """
    source = source.resolve()
    name = _checked_name(source.name if name is None else name)
    pack = load_pack(source)
    target = library.resolve() / name
    try:
        if not target.exists():
            _copy(pack, target)
    except OSError as error:
        if error.errno not in (
            errno.EEXIST,
            errno.ENOTEMPTY,
        ):  # else somebody imported under this name just now
            raise OperatorError(
                f"cannot write {target} ({error.strerror})", "free the disk or correct the permissions"
            ) from error
    if not target.is_dir() or _digest(_read_files(target)) != pack.digest:
        raise OperatorError(
            f"the library already holds other data as {name}",
            "import under another name, or remove that folder",
        )
    return load_pack(target)


def find_pack(name_or_path: str, library: Path) -> Path:
    """The folder of a pack: the bundled "sample", a name in the library, or else a path to a folder."""
    if name_or_path == SAMPLE:
        return SAMPLE_FOLDER
    if _NAME.fullmatch(name_or_path) and (library / name_or_path).is_dir():
        return library / name_or_path
    if "\0" not in name_or_path and name_or_path and Path(name_or_path).is_dir():
        return Path(name_or_path)
    there = [SAMPLE, *_library_names(library)]
    raise OperatorError(
        f"there is no history pack {name_or_path!a}", f"name a folder or one of: {', '.join(there)}"
    )


def _library_names(library: Path) -> list[str]:
    if not library.is_dir():
        return []
    return sorted(entry.name for entry in library.iterdir() if _NAME.fullmatch(entry.name) and entry.is_dir())


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name!a} cannot name a pack",
            "choose up to 40 of a-z 0-9 _ -, beginning with a letter or digit",
        )
    if name == SAMPLE:
        raise OperatorError(f"{SAMPLE} is the pack that comes with the desk", "import under another name")
    return name


def _read_files(folder: Path) -> dict[str, bytes]:
    """The contents of the pack's files that are there, by file name."""
    if not folder.is_dir():
        raise OperatorError(f"there is no folder {folder}", "name the folder that holds the pack")
    names = (*BARS_FILES, *UNIVERSE_FILES, *ACTIONS_FILES, DESCRIPTION_FILE)
    try:
        return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    except OSError as error:
        raise OperatorError(
            f"cannot read {error.filename} ({error.strerror})", "correct the permissions of the pack"
        ) from error


def _one_of(files: Mapping[str, bytes], names: tuple[str, str], folder: Path) -> str:
    found = [name for name in names if name in files]
    if len(found) != 1:
        state = "has both" if found else "lacks"
        raise OperatorError(
            f"{folder} {state} {names[0]} and {names[1]}", "a pack has exactly one of the two"
        )
    return found[0]


def _at_most_one_of(files: Mapping[str, bytes], names: tuple[str, str], folder: Path) -> str | None:
    return _one_of(files, names, folder) if any(name in files for name in names) else None


def _digest(files: Mapping[str, bytes]) -> str:
    lines = [f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _describe(content: bytes | None, folder: Path) -> _Description:
    file = f"{folder.name}/{DESCRIPTION_FILE}"
    try:
        return _Description.model_validate(tomllib.loads((content or b"").decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackError(file, f"is no TOML file ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise PackError(file, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _copy(pack: HistoryPack, target: Path) -> None:
    """Copy the files of `pack` beside `target`, see that they are whole and on disk, then rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=target.parent) as scratch:
        copy = Path(scratch) / target.name
        copy.mkdir()
        for name, content in _read_files(pack.folder).items():
            with (copy / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if _digest(_read_files(copy)) != pack.digest:
            raise OperatorError(f"{pack.folder} changed while it was imported", "import it again")
        copy.rename(target)
