"""The only door to Apprise: one message to every address, and which of them did not take it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from storage.plain import clean
from storage.records import Severity

LONGEST = 8_000  # characters of a message; Apprise shortens further where a service asks for it


class Undelivered(Exception):
    """No address took the message. Names services and hosts, never what is secret in an address."""


def deliver(addresses: Sequence[str], *, title: str, body: str, severity: Severity) -> str:
    """Send a message to every address, blocking; which of them did not take it, or nothing.

    One that took it is enough: sending again would tell that one twice. Raises Undelivered when none did.
    """
    from apprise import (
        Apprise,
        NotifyFormat,
        NotifyType,
    )  # a hundred services: half a second nobody else pays

    kinds = {
        Severity.INFO: NotifyType.INFO,
        Severity.WARNING: NotifyType.WARNING,
        Severity.CRITICAL: NotifyType.FAILURE,
    }
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines may hold an address
    failed = []
    for address in addresses:
        post = Apprise()
        taken = post.add(address) and post.notify(
            title=harmless(title),
            body="\n".join(harmless(line) for line in body.split("\n"))[:LONGEST],
            notify_type=kinds[severity],
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
        )
        if not taken:
            failed.append(("" if len(post) else "no Apprise address: ") + spoken(address))
    said = f"not taken by {', '.join(failed)}" if failed else ""
    if len(failed) == len(addresses):
        raise Undelivered(said)
    return said


def harmless(line: str) -> str:
    """Outside text that neither commands a terminal nor calls everybody in a chat."""
    return clean(line).replace("@", "(at)")


def spoken(address: str) -> str:
    """An address as it may be shown: its scheme, and the host where there is a user before it."""
    try:
        parts = urlsplit(address)
        scheme, host = parts.scheme, parts.hostname if parts.scheme in SPOKEN_HOSTS else None
    except ValueError:
        scheme, host = "", None
    return f"{clean(scheme) or '?'}://{clean(host) if host else '...'}"


# Elsewhere what looks like a host may be a token: tgram://TOKEN/CHAT.
SPOKEN_HOSTS = frozenset({"json", "jsons", "mailto", "mailtos", "ntfys", "matrixs", "gotifys"})
