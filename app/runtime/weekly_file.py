"""Where a weekly report lies, and writing it whole or not at all."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from app.runtime.weekly import Week
from app.runtime.weekly_html import render


def report_path(home: Path, desk: str, monday: date) -> Path:
    """The report of a desk's week; desk names are checked before a desk is made, so they are file names."""
    return home / "reports" / f"{desk}-{monday}.html"


def write_report(path: Path, week: Week) -> None:
    """Write the file; who reads meanwhile sees the old one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(render(week), encoding="utf-8")
    new.replace(path)
