"""What the shop's engines and its machine tell: read from outside every few seconds, as an exporter would."""

import re
from collections.abc import Mapping

import psycopg

from cerebro.kernel.clock import Clock
from cerebro.proving.shop.keeper import Keeper
from cerebro.proving.shop.telling import Telling

ACTIVITY_SQL = """
SELECT count(*) FILTER (WHERE state = 'active') AS active,
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
    count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
    count(*) AS all_sessions,
    coalesce(max(extract(epoch FROM now() - xact_start)) FILTER (WHERE pid <> pg_backend_pid()), 0) AS longest_s
FROM pg_stat_activity WHERE backend_type = 'client backend'
"""
TOTALS_SQL = """
SELECT d.xact_commit, d.xact_rollback, d.deadlocks, d.tup_returned, s.seq_scans
FROM pg_stat_database d, (SELECT sum(seq_tup_read) AS seq_scans FROM pg_stat_user_tables) s
WHERE d.datname = current_database()
"""
# The names that are told, in the order of the columns above.
ACTIVITY = (
    "postgresql.sessions.active", "postgresql.sessions.idle_in_transaction", "postgresql.sessions.waiting",
    "postgresql.backends", "postgresql.transaction.longest",
)  # fmt: skip
TOTALS = (
    "postgresql.commits", "postgresql.rollbacks", "postgresql.deadlocks", "postgresql.tup_returned",
    "postgresql.sequential_rows",
)  # fmt: skip
# A line of the server's log that tells of a trouble; the others are many and say little.
LINE = re.compile(r"^\S+ \S+ \S+ \[\d+\] \S*\s*(?P<level>WARNING|ERROR|FATAL|PANIC):\s+(?P<words>.{1,300})")
SEVERITIES = {"WARNING": "WARN", "ERROR": "ERROR", "FATAL": "FATAL", "PANIC": "FATAL"}
LOG_BYTES_MAX = 64 << 10  # of one look
VERSION = "18"
CONNECT_S = 1


class Exporter:
    """Reads the engines and tells it under their own names.

    Args:
        interval_s: Between two looks.
    """

    def __init__(self, keeper: Keeper, clock: Clock, interval_s: float) -> None:
        self._keeper, self._interval_s = keeper, interval_s
        self._clock, self._pid = clock, 0
        self._telling = Telling("postgres", 0, VERSION, keeper.registry, clock)
        self._log_file, self._read_bytes = keeper.home / "logs" / "postgres.log", 0
        self._seen: dict[str, float] = dict.fromkeys((*ACTIVITY, *TOTALS, "postgresql.up", "process.cpu.time"), 0.0)
        for name in (*ACTIVITY, "postgresql.up"):
            unit = "s" if name.endswith("longest") else "{count}"
            self._telling.gauge(name, unit, lambda name=name: self._seen[name])  # type: ignore[misc]
        for name in TOTALS:
            self._telling.counter(name, "{count}", lambda name=name: self._seen[name])  # type: ignore[misc]
        self._telling.gauge("process.memory.usage", "By", lambda: self._seen.get("process.memory.usage", 0.0))
        self._telling.counter("process.cpu.time", "s", lambda: self._seen["process.cpu.time"])

    async def run(self) -> None:
        """Look until cancelled; when it is closed, say what is left."""
        try:
            while True:
                self._seen |= await self._look()
                self._follow()
                await self._clock.sleep(self._interval_s)
        finally:
            self._telling.close()

    async def _look(self) -> Mapping[str, float]:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._keeper.database_url, connect_timeout=CONNECT_S, options="-c statement_timeout=1000"
            ) as connection:
                activity = await (await connection.execute(ACTIVITY_SQL)).fetchone()
                totals = await (await connection.execute(TOTALS_SQL)).fetchone()
        except psycopg.Error as error:
            self._telling.log("ERROR", "database does not answer", reason=str(error).strip())
            return {"postgresql.up": 0.0}
        values = [float(value or 0) for value in (*(activity or ()), *(totals or ()))]
        return dict(zip((*ACTIVITY, *TOTALS), values, strict=True)) | {"postgresql.up": 1.0} | self._cost()

    def _follow(self) -> None:
        """What the server has written into its log since the last look, as a collector would send it on."""
        try:
            with self._log_file.open("rb") as file:
                file.seek(self._read_bytes)
                text = file.read(LOG_BYTES_MAX)
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if found := LINE.match(line):
                self._telling.log(SEVERITIES[found["level"]], found["words"])

    def _cost(self) -> dict[str, float]:
        """CPU and memory of the server and its backends."""
        row = next(row for row in self._keeper.footprint_of_engines() if row["name"] == "postgres")
        pid, cpu_s = int(str(row["pid"])), float(str(row["cpu_s"]))
        if pid == self._pid:  # backends come and go between two readings, and a total never falls
            cpu_s = max(cpu_s, self._seen["process.cpu.time"])
        self._pid = pid
        return {"process.cpu.time": cpu_s, "process.memory.usage": float(str(row["memory_bytes"]))}
