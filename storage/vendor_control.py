"""What an operator may tell the desk about its vendor: forget a refusal, try a blocked key again."""

from __future__ import annotations

from storage.control import Connection, refused, taken
from storage.records import CommandReceipt, OperationKind, Operator

_FORGET = """
    delete from entitlements
     where state = 'refused' and (symbol = upper(%(what)s) or (symbol = '' and endpoint = %(what)s))
"""
_UNBLOCK = "update vendor_blocks set ended_at = clock_timestamp(), ended_by = %s where ended_at is null"


def forget_refusal(connection: Connection, what: str, operator: Operator) -> CommandReceipt:
    """Ask for a symbol, or an endpoint, again as if it had never been refused."""
    with connection.transaction():
        gone = connection.execute(_FORGET, {"what": what}).rowcount
        if not gone:
            return refused(f"no refusal of {what} is remembered; `quorum fmp entitlements` lists them")
        return taken(connection, OperationKind.VENDOR, operator, f"{gone} refused for {what} forgotten")


def unblock(connection: Connection, operator: Operator) -> CommandReceipt:
    """Let calls be made again, whatever the vendor said of the key."""
    with connection.transaction():
        ended = connection.execute(_UNBLOCK, [operator.name]).rowcount
        if not ended:
            return refused("no key is blocked")
        return taken(connection, OperationKind.VENDOR, operator, "the vendor's key is tried again")
