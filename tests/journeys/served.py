"""A PostgreSQL that somebody else runs: TCP, a password, a user who is no superuser."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from storage import embedded_host

USER = "trader"


class Served:
    """One server; `url` is what an operator would put into DATABASE_URL."""

    def __init__(self, folder: Path, address: str) -> None:
        self._account = embedded_host.server_account(folder)
        self._binaries = embedded_host.reachable_binaries(embedded_host.find_wheel(), self._account, folder)
        self._folder = folder
        self._address = address
        self._port = _free_port()
        self._password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        embedded_host.create_data(folder / "data", self._binaries, self._account, durable=False)
        (folder / "data/pg_hba.conf").write_text(
            "local all postgres trust\nhost all all all scram-sha-256\n", encoding="ascii"
        )
        self.start()
        with psycopg.connect(self._local, autocommit=True) as connection:
            connection.execute(f"create role {USER} login createdb password '{self._password}'".encode())
            connection.execute(f"create database quorum owner {USER}".encode())
        with psycopg.connect(self._local.replace("dbname=postgres", "dbname=template1")) as connection:
            connection.execute("create extension vector")

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password}@{self._address}:{self._port}/quorum"

    @property
    def _local(self) -> str:
        return f"host={self._folder} port={self._port} user=postgres dbname=postgres connect_timeout=5"

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        root = os.geteuid() == 0
        options = {"listen_addresses": self._address, "unix_socket_directories": self._folder, "fsync": "off"}
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-p", str(self._port)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=embedded_host.ENVIRONMENT,
            cwd="/",
            user=self._account.uid if root else None,
            group=self._account.gid if root else None,
            extra_groups=[] if root else None,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self._local).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as an administrator would who cannot wait: open transactions are rolled back."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)


@contextmanager
def served(address: str = "127.0.0.1") -> Iterator[Served]:
    """A server of its own, gone with its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="quorum-served-"))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        account = embedded_host.server_account(folder / "data")
        os.chown(folder, account.uid, account.gid)
    server = None
    try:
        server = Served(folder, address)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
