"""Requests of the ClickHouse HTTP interface, taken apart."""

from base64 import b64encode

import pytest

from cerebro.kernel.telemetry import interface
from cerebro.kernel.telemetry.interface import Request, authenticate, inflate, read_statement
from cerebro.spine.errors import Invalid, TooLarge, Unauthenticated


def basic(user, password):
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "target, headers",
    [
        ("/", basic("cerebro", "s3cret")),
        ("/", {"x-clickhouse-user": "cerebro", "x-clickhouse-key": "s3cret"}),
        ("/?user=cerebro&password=s3cret", {}),
    ],
)
def test_the_three_ways_to_say_who_one_is(target, headers):
    """Basic, ClickHouse's headers, the URL."""
    authenticate(Request(target, headers, b""), "s3cret")


@pytest.mark.parametrize(
    "target, headers",
    [
        ("/", {}),
        ("/", basic("cerebro", "wrong")),
        ("/", basic("default", "s3cret")),
        ("/", basic("cerebro", "")),
        ("/", {"authorization": "Basic !!!"}),
        ("/", {"authorization": "Basic " + b64encode(b"\xff\xfe").decode()}),
        ("/", {"authorization": "Bearer s3cret"}),
        ("/", {"x-clickhouse-user": "cerebro", "x-clickhouse-key": "пароль"}),
        ("/?user=cerebro&password=", {}),
    ],
)
def test_anyone_else_stays_outside(target, headers):
    """No credential, a wrong one, an unreadable one."""
    with pytest.raises(Unauthenticated):
        authenticate(Request(target, headers, b""), "s3cret")


@pytest.mark.parametrize(
    "query, body, sql, format, rows",
    [
        ("", b"SELECT 1", "SELECT 1", "TabSeparated", None),
        ("SELECT 1", b"", "SELECT 1", "TabSeparated", None),
        ("SELECT", b" 1", "SELECT\n 1", "TabSeparated", None),
        ("", b"SELECT 1\n FORMAT Native", "SELECT 1\n FORMAT Native", "Native", None),
        ("", b"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "TabSeparated", None),
        ("", b"INSERT INTO t SELECT 1", "INSERT INTO t SELECT 1", "TabSeparated", None),
        ("INSERT INTO t FORMAT CSV", b"1,2", "INSERT INTO t ", "CSV", b"1,2"),
        ("INSERT INTO t (`a)`, b) FORMAT Native", b"\x00\xff\n", "INSERT INTO t (`a)`, b) ", "Native", b"\x00\xff\n"),
        ("", b"INSERT INTO `d`.`t` FORMAT Native\n\x00\xff", "INSERT INTO `d`.`t` ", "Native", b"\x00\xff"),
        ("", b'insert into "FORMAT x" format CSV 1', 'insert into "FORMAT x" ', "CSV", b"1"),
        ("INSERT INTO t SETTINGS a = 1 FORMAT CSV", b"1", "INSERT INTO t SETTINGS a = 1 ", "CSV", b"1"),
        ("INSERT INTO t FORMAT CSV", b"", "INSERT INTO t ", "CSV", b""),
        ("", "INSERT INTO `тест` FORMAT CSV\nж".encode(), "INSERT INTO `тест` ", "CSV", "ж".encode()),
    ],
)
def test_statement_and_rows_are_told_apart(query, body, sql, format, rows):
    """The rows of an insert are bytes; everything else is the statement."""
    from urllib.parse import quote

    found = read_statement(Request(f"/?query={quote(query)}" if query else "/", {}, body))

    assert (found.sql, found.format, found.rows) == (sql, format, rows)


def test_settings_and_parameters_are_told_apart():
    """Words of the interface are neither."""
    found = read_statement(
        Request("/?max_threads=1&param_x=a%27b&database=d&query_id=q&wait_end_of_query=1&session_id=s", {}, b"SELECT 1")
    )

    assert (found.settings, found.parameters) == ({"max_threads": "1"}, {"x": "a'b"})
    assert (found.database, found.query_id) == ("d", "q")


def test_a_form_carries_long_parameters():
    """As the stock client sends them when they are too long for a URL."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"query", b"SELECT {p:String}"), (b"param_p", b"v" * 9000))
    )
    found = read_statement(Request("/", {"content-type": "multipart/form-data; boundary=x"}, body + b"--x--\r\n"))

    assert (found.sql, len(found.parameters["p"])) == ("SELECT {p:String}", 9000)


@pytest.mark.parametrize(
    "request_",
    [
        Request("/", {}, b""),
        Request("/?query=%20", {}, b""),
        Request("/?a%20b=1", {}, b"SELECT 1"),
        Request("/", {}, b"SELECT '\xff'"),
        Request("/", {"content-encoding": "rot13"}, b"SELECT 1"),
        Request("/", {"content-encoding": "zstd"}, b"SELECT 1"),
        Request("/", {}, b"SELECT 1 " + b" " * interface.STATEMENT_BYTES_MAX),
    ],
)
def test_what_does_not_fit_is_refused(request_):
    """With a sentence, before the engine sees it."""
    with pytest.raises(Invalid):
        read_statement(request_)


@pytest.mark.parametrize("name", ["lz4", "zstd", "gzip", "deflate", "br"])
def test_compressed_bodies_come_out_whole_and_bombs_do_not(name, monkeypatch):
    """Whatever the encoding, the result has a bound."""
    body = b"INSERT" * 10_000
    packed = bytes(interface.CODECS[name].compress(body))

    assert inflate(packed, name) == body
    monkeypatch.setattr(interface, "INFLATED_BYTES_MAX", 4096)
    with pytest.raises(TooLarge):
        inflate(packed, name)
