"""Where desks live: names that are refused, databases made and removed, a server somebody else runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from storage import schema
from storage.embedded import EmbeddedServer
from storage.errors import OperatorError
from storage.server import (
    LONGEST_NAME,
    EmbeddedDatabases,
    ServedDatabases,
    Server,
    checked_desk_name,
    open_server,
)

BAD_NAMES = [
    "",
    "Paper",
    "_paper",
    "-paper",
    "a b",
    "a" * 41,
    "../paper",
    "/etc/passwd",
    "a/b",
    'x"; drop database postgres; --',
    "x'",
    "x;y",
    "péper",
    "paper\n",
    "paper\0",
    "%s",
]


@pytest.fixture(scope="module")
def databases(embedded: EmbeddedServer) -> EmbeddedDatabases:
    """The server as a user has it: these tests are about how it makes a desk."""
    return EmbeddedDatabases(embedded)


@pytest.fixture
def url(databases: EmbeddedDatabases) -> Iterator[str]:
    """The address of a database on the test server, as an operator would write it in DATABASE_URL."""
    name = f"served_{uuid4().hex[:8]}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    at = conninfo_to_dict(databases.conninfo())
    yield f"postgresql://postgres@/{name}?host={quote(str(at['host']))}&port={at['port']}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        names = connection.execute("select datname from pg_database where datname like %s", [f"{name}%"])
        for (found,) in names.fetchall():
            connection.execute(f'drop database "{found}" with (force)'.encode())


@pytest.fixture(autouse=True)
def no_desks_of_other_tests(databases: EmbeddedDatabases) -> None:
    for desk in databases.desks():
        databases.drop_desk(desk)


@pytest.fixture(params=["embedded", "served"])
def server(request: pytest.FixtureRequest, databases: EmbeddedDatabases, url: str) -> Server:
    """Either kind of server, with no desk of ours on it."""
    return databases if request.param == "embedded" else ServedDatabases(url)


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_desk_name_is_refused_before_any_database_is_asked(name: str) -> None:
    server = ServedDatabases("postgresql://nobody@/nowhere?host=/nowhere")
    for action in (server.create_desk, server.has_desk, server.drop_desk):
        with pytest.raises(OperatorError, match="is not a desk's name; use up to 40"):
            action(name)


@pytest.mark.parametrize("name", ["a", "7", "paper", "replay-0a1b2c3d", "a_b-c", "a" * 40])
def test_a_proper_desk_name_is_taken_as_it_is(name: str) -> None:
    assert checked_desk_name(name) == name


def test_a_name_that_postgresql_would_cut_off_is_refused() -> None:
    server = ServedDatabases(f"postgresql://nobody@/{'d' * 40}?host=/nowhere")
    longest = "x" * (LONGEST_NAME - 41)
    for action in (server.create_desk, server.has_desk, server.drop_desk):
        with pytest.raises(OperatorError, match="choose a shorter name"):
            action(longest + "x")
        with pytest.raises(OperatorError, match="no database answers"):
            action(longest)


# -- desks ---------------------------------------------------------------------------------------------------


def test_a_desk_is_made_found_listed_and_dropped(server: Server) -> None:
    assert not server.has_desk("one-desk")
    server.create_desk("one-desk")
    server.create_desk("another")
    assert server.has_desk("one-desk")
    assert server.desks() == ["another", "one-desk"]
    conninfo = server.conninfo(server.desk_database("one-desk"))
    schema.upgrade(conninfo)
    server.create_desk("one-desk")  # again: changes nothing
    assert schema.current_revision(conninfo) == schema.known_revisions()[-1]
    with psycopg.connect(conninfo):  # somebody is still connected
        server.drop_desk("one-desk")
    server.drop_desk("one-desk")
    server.drop_desk("another")
    assert server.desks() == []


def test_four_who_make_the_same_desk_at_once_all_have_it(server: Server) -> None:
    with ThreadPoolExecutor(4) as threads:
        for made in [threads.submit(server.create_desk, "same") for _ in range(4)]:
            made.result(timeout=10)
    assert server.desks() == ["same"]
    server.drop_desk("same")


# -- DATABASE_URL --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_an_address_may_be_written_the_old_way_or_sqlalchemys(url: str, scheme: str) -> None:
    server = ServedDatabases(url.replace("postgresql", scheme, 1))
    server.check()
    server.ensure()
    with psycopg.connect(server.conninfo()) as connection:
        assert connection.info.dbname.startswith("served_")


def test_desks_of_two_addresses_on_one_server_are_kept_apart(databases: EmbeddedDatabases, url: str) -> None:
    served = ServedDatabases(url)
    served.create_desk("mine")
    assert databases.desks() == []
    assert served.desks() == ["mine"]


def test_with_an_address_no_server_is_started(tmp_path: Path, url: str) -> None:
    home = tmp_path / "home"
    assert isinstance(open_server(home, url), ServedDatabases)
    assert not home.exists()


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "mysql://root@localhost/quorum",
        "http://localhost",
        "postgresql://u:geheim@h/d?colour=red",
        "postgresql://u:geheim@[::1/d",
        "sqlite:///quorum.db",
        "/var/lib/quorum",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_its_password(address: str) -> None:
    with pytest.raises(OperatorError, match="DATABASE_URL is not a PostgreSQL address") as refused:
        ServedDatabases(address)
    assert "postgresql://user:password@host:5432/database" in refused.value.remedy
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:geheim@127.0.0.1:1/d",
        "postgresql://u:geheim@/d?host=/nowhere",
        "postgresql://u:geheim@127.0.0.1:port/d",
        "postgresql://u:geheim@localhost:1/d",
    ],
)
def test_an_address_that_leads_nowhere_says_so_in_one_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(OperatorError, match=r"no database answers: .*; check DATABASE_URL") as refused:
        open_server(tmp_path, address)
    assert "\n" not in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_a_database_that_does_not_exist_is_named(url: str) -> None:
    elsewhere = re.sub(r"/served_\w+", "/not_there", url)
    with pytest.raises(OperatorError, match='database "not_there" does not exist'):
        ServedDatabases(elsewhere).ensure()


def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.server.OLDEST_SERVER", 99)
    with pytest.raises(OperatorError, match="99 is the oldest supported; upgrade it, or unset DATABASE_URL"):
        ServedDatabases(url).check()


def test_a_user_who_may_not_create_databases_is_told_what_to_do(
    databases: EmbeddedDatabases, url: str
) -> None:
    role = f"poor_{uuid4().hex[:8]}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"create role {role} login")
        try:
            with pytest.raises(OperatorError, match=r"may not create database served_.*_desk; create it"):
                ServedDatabases(url.replace("postgres@", f"{role}@")).create_desk("desk")
        finally:
            connection.execute(f"drop role {role}")
