"""The `store` role: one process owns chDB, the embedded ClickHouse, and serves ClickHouse's HTTP interface.

An engine path admits one process, so everyone else comes over HTTP with the stock client; at
scale-out only the URL changes. A thread serves a connection and each request opens a handle of its
own: that costs a tenth of a millisecond, lets requests run in parallel, and leaves no setting behind.
Answers are whole before they are sent, so an error is always an error status, and are not compressed,
which the loopback would not thank us for.
"""

import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from cerebro.kernel.clock import SystemClock
from cerebro.kernel.observe.log import get_log, start_logging
from cerebro.kernel.secrets import load_secrets
from cerebro.kernel.settings import EngineSettings, Settings, load_settings
from cerebro.kernel.telemetry import interface
from cerebro.spine.errors import CerebroError, Invalid, TooLarge, Unauthenticated, Unavailable

log = get_log(__name__)

DATABASE = "cerebro"
BODY_BYTES_MAX = 256 << 20
RESULT_BYTES_MAX = 256 << 20
CONNECTIONS_MAX = 128
STATEMENTS_MAX = 8  # at once; the rest wait their turn
INSERTS_MAX = 4  # a lane of their own, so that heavy questions never hold up the recorder
DISK_SHARE = 4  # the bus stops first: what it holds is a tenth of its size once it is here
ROOM_S_MAX = 2.0  # for a place to become free before a connection is refused
IDLE_S_MAX = 600.0
STOP_S_MAX = 8.0  # for statements under way when the process is told to end

# The engine's own defaults are those of a large server: caches of 5 GB, pools of 16 threads and more.
ENGINE = {
    "mark_cache_size": 64 << 20,
    "primary_index_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "uncompressed_cache_size": 0,
    "mmap_cache_size": 64,
    "compiled_expression_cache_size": 16 << 20,
    "query_condition_cache_size": 16 << 20,
    "text_index_tokens_cache_size": 16 << 20,
    "text_index_header_cache_size": 16 << 20,
    "text_index_postings_cache_size": 32 << 20,
    "vector_similarity_index_cache_size": 0,
    "parquet_metadata_cache_size": 0,
    "iceberg_metadata_files_cache_size": 0,
    "background_pool_size": 2,
    "background_merges_mutations_concurrency_ratio": 2,
    "background_schedule_pool_size": 4,
    "background_schedule_pool_initial_size": 2,
    "background_common_pool_size": 2,
    "background_move_pool_size": 1,
    "background_fetches_pool_size": 1,
    "max_thread_pool_size": 128,
    "max_thread_pool_free_size": 8,
}
# What chDB changes for its own kind of use, put back to what a server has.
AS_A_SERVER = {"implicit_select": 0, "allow_introspection_functions": 0}


class StatementFailed(CerebroError):
    """The engine refused or broke off the statement; its message is the detail."""

    code = "invalid"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine gave back, with what it took."""

    body: bytes
    counts: Mapping[str, int]


class Engine:
    """chDB at one path of this process.

    Raises:
        Unavailable: Another process has the path, or it cannot be written.
    """

    def __init__(self, path: Path, limits: EngineSettings) -> None:
        self._connect = _load_chdb()
        self._path = path
        self._free_bytes_min = limits.disk_free_bytes_min // DISK_SHARE
        self._address = f"{quote(str(path))}?{urlencode(_engine_options(limits, self._free_bytes_min))}"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._anchor = self._connect(self._address)  # the engine lives as long as one handle does
        except RuntimeError as error:
            raise Unavailable(
                f"The store at {path} does not open: {error}", "Is another Cerebro running on this data directory?"
            ) from error
        self._anchor.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")

    def run(self, statement: interface.Statement) -> Answer:
        """Run one statement on a handle of its own.

        Raises:
            StatementFailed: The engine says no; the detail is its message.
        """
        with closing(self._connect(self._address)) as handle:
            try:
                for preparation in _preparations(statement):
                    handle.query(preparation)
                if statement.rows is None:
                    _need_one(handle, statement.sql)
                    return _answered(handle.query(statement.sql, statement.format, params=dict(statement.parameters)))
                self._need_room()
                return _inserted(handle, statement)
            except RuntimeError as error:
                raise StatementFailed(str(error).removeprefix("Streaming insert append failed: ")) from error

    def _need_room(self) -> None:
        """The engine's own look at the disk is not taken for rows that come as a stream."""
        if shutil.disk_usage(self._path).free < self._free_bytes_min:
            short = f"Less than {self._free_bytes_min} bytes of the disk are free."
            raise StatementFailed(f"Code: 243. DB::Exception: {short} (NOT_ENOUGH_SPACE)")

    def close(self) -> None:
        """Stop the background work and let go of the path."""
        self._anchor.close()


class Gateway(HTTPServer):
    """The HTTP server: a thread for each connection, and two lanes to the engine."""

    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, engine: Engine, password: str) -> None:
        self.password = password
        self.clock = SystemClock()
        self._engine = engine
        self._lanes = {True: threading.BoundedSemaphore(INSERTS_MAX), False: threading.BoundedSemaphore(STATEMENTS_MAX)}
        self._connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._threads = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="connection")
        self._idle: dict[socket.socket, None] = {}  # open and waiting for a request, the longest waiting first
        self._open: set[socket.socket] = set()
        self._busy = threading.Condition()
        self._busy_count = 0
        super().__init__(("127.0.0.1", port), Connection)

    def run(self, statement: interface.Statement) -> Answer:
        """Run the statement when its lane is free."""
        with self._lanes[statement.rows is not None]:
            return self._engine.run(statement)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Around a request that should be answered before the process ends."""
        with self._busy:
            self._busy_count += 1
        try:
            yield
        finally:
            with self._busy:
                self._busy_count -= 1
                self._busy.notify_all()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread; when all are taken, hang up on the one that has been idle the longest."""
        if not self._connections.acquire(blocking=False):
            for idle in tuple(self._idle)[:1]:
                _hang_up(idle)
            if not self._connections.acquire(timeout=ROOM_S_MAX):
                log.warning("connection_refused", connections_max=CONNECTIONS_MAX)
                self.shutdown_request(request)
                return
        self._threads.submit(self._serve_connection, request, client_address)

    def wait_for_request(self, connection: socket.socket) -> None:
        """The connection has nothing to do now."""
        self._idle[connection] = None

    def begin_request(self, connection: socket.socket) -> None:
        """The connection is not to be hung up on."""
        self._idle.pop(connection, None)

    def _serve_connection(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        self._open.add(request)
        try:
            self.finish_request(request, client_address)
        except (OSError, ValueError):  # the peer left, or we closed the socket to stop
            log.debug("connection_lost", peer_port=client_address[1])
        finally:
            self._open.discard(request)
            self._idle.pop(request, None)
            self.shutdown_request(request)
            self._connections.release()

    def drain(self) -> bool:
        """Wait for what is under way, then hang up on everyone; false when it took too long."""
        with self._busy:
            finished = self._busy.wait_for(lambda: self._busy_count == 0, STOP_S_MAX)
        for connection in tuple(self._open):
            _hang_up(connection)
        return finished


class Connection(BaseHTTPRequestHandler):
    """One client's connection, request after request."""

    server: Gateway
    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"  # what clients look for
    sys_version = ""
    timeout = IDLE_S_MAX
    disable_nagle_algorithm = True
    wbufsize = -1
    rbufsize = 1 << 16
    plain: ClassVar[Mapping[str, bytes]] = {"/ping": b"Ok.\n", "/replicas_status": b"Ok.\n"}

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self.server.wait_for_request(self.connection)
        super().handle_one_request()

    def parse_request(self) -> bool:
        """The request's first line is here: read the rest of its head."""
        self.server.begin_request(self.connection)
        return super().parse_request()

    def do_GET(self) -> None:
        """Liveness, or a statement in the URL."""
        path, query = (parts := urlsplit(self.path)).path, parts.query
        if (said := self.plain.get(path)) or (path == "/" and not query and (said := b"Ok.\n")):
            self._send(200, said, {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        """A statement, with its rows when it is an insert."""
        with self.server.busy():
            self._run()

    def _run(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        query_id = ""
        try:
            request = interface.Request(self.path, headers, self._body(headers))
            interface.authenticate(request, self.server.password)
            statement = interface.read_statement(request)
            query_id = statement.query_id or self.server.clock.new_id()
            answer = self.server.run(statement)
        except CerebroError as error:
            self._refuse(error, query_id)
            return
        shown = {"X-ClickHouse-Format": statement.format} if statement.answers else {}
        self._send(
            200,
            answer.body,
            {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Summary": interface.summary(answer.counts), **shown},
        )

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise self._unread(Invalid("Content-Length is not a number."))
        if int(length) > BODY_BYTES_MAX:
            raise self._unread(TooLarge(f"The body is over {BODY_BYTES_MAX} bytes."))
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        """A body sent in chunks. Source: RFC 9112, section 7.1."""
        parts, total_bytes = [], 0
        while size := self._chunk_size():
            total_bytes += size
            if total_bytes > BODY_BYTES_MAX:
                raise self._unread(TooLarge(f"The body is over {BODY_BYTES_MAX} bytes."))
            parts.append(self._exactly(size))
            self._exactly(2)
        while self.rfile.readline(4096).strip():  # trailers, which nobody needs
            pass
        return b"".join(parts)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(4096).split(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError:
            raise self._unread(Invalid("The body's chunks are not readable.")) from None

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise self._unread(Invalid("The body is shorter than announced."))
        return body

    def _unread(self, error: CerebroError) -> CerebroError:
        """The rest of the body stays unread, so the connection cannot serve another request."""
        self.close_connection = True
        return error

    def _refuse(self, error: CerebroError, query_id: str) -> None:
        if isinstance(error, Unauthenticated):
            code, status = 516, 401
        elif isinstance(error, TooLarge):
            code, status = 307, 413
        elif isinstance(error, StatementFailed):
            code = interface.code_of(error.detail)
            status = interface.status_of(code)
        else:
            code, status = 36, 400
        text = error.detail if isinstance(error, StatementFailed) else f"Code: {code}. DB::Exception: {error}"
        log.debug("statement_refused", engine_code=code, status=status)
        self._send(
            status, text.encode() + b"\n", {"X-ClickHouse-Exception-Code": str(code), "X-ClickHouse-Query-Id": query_id}
        )

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        fixed = {"Content-Type": "text/plain; charset=UTF-8", "X-ClickHouse-Timezone": "UTC"}
        for name, value in {**fixed, **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line for each request would be a line for each insert."""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def serve(settings: Settings) -> None:
    """Be the store until SIGTERM or SIGINT; then finish what is under way. Call it in the main thread.

    Raises:
        Unavailable: The path or the port is taken.
    """
    engine = Engine(settings.data_dir / "ch", settings.engines)
    port = settings.engines.store_port
    try:
        gateway = Gateway(port, engine, load_secrets(settings.data_dir).store_password)
    except OSError as error:
        engine.close()
        raise Unavailable(
            f"Port {port} cannot be used: {error.strerror}.", "Choose another `engines.store_port`."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=gateway.shutdown, name="stop").start())
    log.info("store_opened", port=gateway.server_port, path=str(settings.data_dir / "ch"))
    gateway.serve_forever(poll_interval=0.5)
    gateway.server_close()
    finished = gateway.drain()
    log.info("store_closed", statements_finished=finished)
    if not finished:
        os._exit(0)  # a statement that does not end ends with the process: what is stored is on the disk
    engine.close()


def main() -> int:
    """Entry of the process: `python -m cerebro.kernel.telemetry.gateway`."""
    try:
        settings = load_settings()
        start_logging(settings.log_level, "store")
        serve(settings)
    except CerebroError as error:
        log.error("store_failed", detail=error.detail, mend=error.mend)  # noqa: TRY400  a sentence, not a trace
        return 1
    return 0


def _load_chdb() -> Callable[[str], Any]:
    """Import the engine without pyarrow, which it would load only to use where we do not: 37 MB less.

    A `None` in `sys.modules` is Python's own way to say that a module is not to be had.
    """
    absent = "pyarrow" not in sys.modules
    if absent:
        sys.modules["pyarrow"] = None  # type: ignore[assignment]
    try:
        from chdb import _chdb  # noqa: PLC0415  half a gigabyte: only the store loads it
    finally:
        if absent:
            del sys.modules["pyarrow"]
    return _chdb.connect  # type: ignore[attr-defined,no-any-return]


def _engine_options(limits: EngineSettings, free_bytes_min: int) -> dict[str, object]:
    return {
        "max_server_memory_usage": limits.store_memory_bytes_max,
        **ENGINE,
        **AS_A_SERVER,
        "max_memory_usage": limits.query_memory_bytes_max,
        "max_execution_time": limits.query_timeout_s,
        "max_result_bytes": RESULT_BYTES_MAX,
        "min_free_disk_bytes_to_perform_insert": free_bytes_min,
    }


def _need_one(handle: Any, sql: str) -> None:
    """Refuse several statements in one request, as a server does; chDB would run them all."""
    if handle.classify_query(sql)["statement_count"] > 1:
        raise StatementFailed("Code: 62. DB::Exception: Multi-statements are not allowed. (SYNTAX_ERROR)")


def _preparations(statement: interface.Statement) -> list[str]:
    """Bring a handle to the state the statement asks for; `readonly` last, since nothing can be set after it."""
    wanted = dict(statement.settings)
    readonly = wanted.pop("readonly", None)
    assignments = ", ".join(f"{name} = {_quoted(value)}" for name, value in wanted.items())
    return [
        f"USE `{(statement.database or DATABASE).replace('`', '')}`",
        *([f"SET {assignments}"] if assignments else []),
        *([f"SET readonly = {_quoted(readonly)}"] if readonly is not None else []),
    ]


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _answered(result: Any) -> Answer:
    body = result.bytes() or b""
    counts = {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "result_rows": result.rows_read(),
        "result_bytes": len(body),
        "elapsed_ns": round(result.elapsed() * 1e9),
    }
    return Answer(body, counts)


def _inserted(handle: Any, statement: interface.Statement) -> Answer:
    assert statement.rows is not None
    stream = handle.send_insert(statement.sql, statement.format)
    try:
        if statement.rows:
            handle.insert_append(stream, statement.rows)
        result = handle.insert_done(stream)
    except RuntimeError:
        with suppress(RuntimeError):  # it may have ended by itself
            handle.insert_cancel(stream)
        raise
    counts = {
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "elapsed_ns": round(result.elapsed() * 1e9),
    }
    return Answer(b"", counts)


if __name__ == "__main__":
    sys.exit(main())
