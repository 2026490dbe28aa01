"""Who sits at this terminal."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import Operator


def this_operator() -> Operator:
    """The login name, the terminal, and where its SSH connection comes from."""
    from storage.records import Operator  # after the console's first paint

    try:
        tty = os.ttyname(sys.stdin.fileno())
    except (OSError, ValueError):
        tty = ""  # input is not a terminal, or is closed
    origin = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return Operator(name=_login_name(), tty=tty, ssh_origin=origin)


def _login_name() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = f"uid {os.getuid()}"
    return name.encode(errors="replace").decode()  # from the environment: any bytes
