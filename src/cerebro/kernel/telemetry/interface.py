"""What ClickHouse's HTTP interface says, taken apart and put together: no socket and no engine here.

The gateway speaks the part of the interface that clients use: statements in the URL, in the body or
in a form; settings and `param_…` in the URL; rows after `INSERT … FORMAT …`; compressed bodies.
Sessions are not kept: every request stands alone.

Source: ClickHouse documentation, "HTTP interface".
"""

import hmac
import json
import mmap
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl, urlsplit

import cramjam

from cerebro.spine.errors import Invalid, TooLarge, Unauthenticated

USER = "cerebro"  # the one user of the embedded store
INFLATED_BYTES_MAX = 512 << 20
STATEMENT_BYTES_MAX = 1 << 20
DEFAULT_FORMAT = "TabSeparated"

# Words of the interface itself: no settings of the engine.
TRANSPORT = frozenset(
    {
        "query", "database", "default_format", "user", "password", "query_id", "role", "quota_key",
        "session_id", "session_timeout", "session_check", "close_session", "compress", "decompress",
        "wait_end_of_query", "buffer_size", "client_protocol_version", "enable_http_compression",
        "http_zlib_compression_level", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
SETTING = re.compile(r"[A-Za-z_]\w*")
NAME = r'(?:`(?:[^`\\]|\\.)+`|"(?:[^"\\]|\\.)+"|[A-Za-z_]\w*)'
INSERT = re.compile(
    rf"\s*(?P<head>INSERT\s+INTO\s+(?:TABLE\s+)?{NAME}(?:\s*\.\s*{NAME})?\s*"
    rf"(?:\((?:\s*{NAME}\s*,?)*\)\s*)?(?:SETTINGS\s[^;]*?\s)??)FORMAT\s+(?P<format>[A-Za-z]\w*)[ \t]*;?[ \t]*\r?\n?",
    re.IGNORECASE,
)
TRAILING_FORMAT = re.compile(r"\bFORMAT\s+([A-Za-z]\w*)\s*;?\s*\Z", re.IGNORECASE)
ANSWERS = re.compile(r"[\s(]*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|CHECK|FROM|VALUES)\b", re.IGNORECASE)
CODECS = {"lz4": cramjam.lz4, "zstd": cramjam.zstd, "gzip": cramjam.gzip, "deflate": cramjam.zlib, "br": cramjam.brotli}

CODE = re.compile(r"Code: (\d+)\.")
STATUS = {  # as ClickHouse maps its codes; the rest is 500
    400: (6, 26, 27, 36, 38, 41, 42, 43, 44, 46, 47, 48, 50, 53, 57, 62, 69, 70, 72, 80, 115, 131, 158, 386, 457, 636),
    401: (194, 516),
    403: (164, 291, 497),
    404: (60, 81, 218, 701),
    408: (159, 160),
    503: (202, 439),
}
STATUS_BY_CODE = {code: status for status, codes in STATUS.items() for code in codes}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its body whole and as sent. Header names are in lower case."""

    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement for the engine.

    With `rows`, the SQL is the head of an `INSERT` and `format` says how the rows are written;
    without, `format` is that of the answer.
    """

    sql: str
    format: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    database: str
    query_id: str
    rows: bytes | None = None

    @property
    def answers(self) -> bool:
        """Whether it has a result, be it an empty one."""
        return self.rows is None and ANSWERS.match(_without_comments(self.sql)) is not None


def authenticate(request: Request, password: str) -> None:
    """Let in who knows the password: by Basic, by ClickHouse's own headers or in the URL.

    Raises:
        Unauthenticated: Another user, or another password.
    """
    user, given = _credential(request)
    known = hmac.compare_digest(given.encode(), password.encode())
    if not (hmac.compare_digest(user.encode(), USER.encode()) and known):
        raise Unauthenticated("Authentication failed: the user or the password is wrong.")


def read_statement(request: Request) -> Statement:
    """The statement that the request asks to run.

    Raises:
        Invalid: There is none, or its parts do not fit together.
        TooLarge: The body or the statement is over its limit.
    """
    words = _words(request.target)
    body = inflate(request.body, request.headers.get("content-encoding", ""))
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        words |= _form(request.headers["content-type"], body)
        body = b""
    settings = {name: value for name, value in words.items() if _is_setting(name)}
    if wrong := [name for name in settings if not SETTING.fullmatch(name)]:
        raise Invalid(f"{wrong[0]!r} is not the name of a setting.")
    sql, form, rows = _split(words.get("query", ""), body)
    if not sql.strip():
        raise Invalid("The request has no statement.", "Send it as `query` or as the body.")
    return Statement(
        sql=sql,
        format=form or words.get("default_format") or request.headers.get("x-clickhouse-format") or DEFAULT_FORMAT,
        settings=settings,
        parameters={name[6:]: value for name, value in words.items() if name.startswith("param_")},
        database=words.get("database") or request.headers.get("x-clickhouse-database", ""),
        query_id=words.get("query_id", ""),
        rows=rows,
    )


def inflate(body: bytes, encoding: str) -> bytes:
    """The body as it was before compression, never more than `INFLATED_BYTES_MAX`.

    The room is address space, not memory: pages come to life as they are written.
    """
    if not body or encoding in ("", "identity"):
        return body
    if (codec := CODECS.get(encoding)) is None:
        raise Invalid(f"Content-Encoding {encoding!r} is not known here.", f"Use one of {', '.join(CODECS)}.")
    with mmap.mmap(-1, INFLATED_BYTES_MAX) as room:
        try:
            length = codec.decompress_into(body, room)
        except cramjam.DecompressionError as error:
            fault = f"The body is not {encoding}, or over {INFLATED_BYTES_MAX} bytes once decompressed."
            raise TooLarge(fault) from error
        return room[:length]


def summary(counts: Mapping[str, int]) -> str:
    """The value of `X-ClickHouse-Summary`, whose numbers are strings."""
    return json.dumps({name: str(count) for name, count in counts.items()})


def status_of(code: int) -> int:
    """The HTTP status that goes with an exception code of the engine."""
    return STATUS_BY_CODE.get(code, 500)


def code_of(message: str) -> int:
    """The exception code that the engine's message names; 1002 (unknown exception) when it names none."""
    found = CODE.search(message)
    return int(found[1]) if found else 1002


def _credential(request: Request) -> tuple[str, str]:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, given = b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return user, given
    if key := request.headers.get("x-clickhouse-key"):
        return request.headers.get("x-clickhouse-user", ""), key
    words = _words(request.target)
    return words.get("user", ""), words.get("password", "")


def _words(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def _is_setting(name: str) -> bool:
    return name not in TRANSPORT and not name.startswith("param_")


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """The text fields of a form. Files are external tables, which this store does not take."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields: dict[str, str] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        if part.get_filename():
            raise Invalid("External tables are not taken here.", "Insert the rows into a table first.")
        value = part.get_payload(decode=True)
        if isinstance(value, bytes):
            fields[str(part.get_param("name", header="content-disposition"))] = value.decode()
    return fields


def _split(query: str, body: bytes) -> tuple[str, str, bytes | None]:
    """Statement, format and rows: the rows of an `INSERT … FORMAT …` are bytes, all else is text."""
    head = f"{query}\n".encode() if query else b""
    start = (head + body[:STATEMENT_BYTES_MAX]).decode("latin-1")  # one character a byte, so that ends are offsets
    if found := INSERT.match(start):
        end = found.end() - len(head)
        return (
            found["head"].encode("latin-1").decode(),
            found["format"],
            body[end:] if end > 0 else body,
        )
    if len(head) + len(body) > STATEMENT_BYTES_MAX:
        raise TooLarge(f"The statement is over {STATEMENT_BYTES_MAX} bytes.")
    try:
        sql = (head + body).decode().strip()
    except UnicodeDecodeError as error:
        raise Invalid("The statement is not UTF-8.") from error
    form = TRAILING_FORMAT.search(sql)
    return sql, form[1] if form else "", None


def _without_comments(sql: str) -> str:
    return re.sub(r"/\*.*?\*/|--[^\n]*(?:\n|\Z)", " ", sql, flags=re.DOTALL)
