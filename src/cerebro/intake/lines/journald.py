"""The systemd journal, followed through `journalctl`: the journal's files have no other stable reader."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cerebro.intake import metrics
from cerebro.intake.lines.line import SEVERITIES, CursorLost, Line
from cerebro.kernel.observe.log import get_log

log = get_log(__name__)

FIRST_LINES = 200  # of what is there at the very first start
LINE_BYTES_MAX = 1 << 20
QUIET_S = 0.1  # a pause this long ends a batch
STOP_S = 2.0
REST_S = 2.0  # after the child ended by itself
COMPLAINT_BYTES_MAX = 2000
FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_EXE", "_PID", "_SYSTEMD_UNIT", "_TRANSPORT",
    "_SOURCE_REALTIME_TIMESTAMP",
)  # fmt: skip
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}

Field = str | list[int | str | list[int]] | None
_DECODER = msgspec.json.Decoder(dict[str, Field])


class Journald:
    """Follows the journal; starts `journalctl` again whenever it ends or another place is asked for.

    Args:
        program: The path of journalctl.
    """

    name = "journald"

    def __init__(self, program: str) -> None:
        self._program = program
        self._child: asyncio.subprocess.Process | None = None
        self._at = ""  # where the child stands

    async def lines(self, after: str, count_max: int, wait_s: float) -> Sequence[Line]:
        """The next entries; see `Source`."""
        if self._child is None or self._at != after:
            await self._start(after)
        found: list[Line] = []
        while len(found) < count_max:
            raw = await self._raw(QUIET_S if found else wait_s)
            if not raw:
                break
            if (line := parse_entry(raw)) is not None:
                self._at = line.cursor
                found.append(line)
        return found

    async def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), STOP_S)
        except TimeoutError:
            child.kill()
            await child.wait()

    async def _start(self, after: str) -> None:
        """`setpriv` has the kernel end the child when we die; without it the child ends at its next line."""
        await self.close()
        place = (f"--after-cursor={after}", "--no-tail") if after else (f"--lines={FIRST_LINES}",)
        setpriv = shutil.which("setpriv", path=ENVIRONMENT["PATH"])
        guard = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
        argv = (
            *guard,
            self._program,
            "--follow",
            "--output=json",
            f"--output-fields={','.join(FIELDS)}",
            "--quiet",
            *place,
        )
        self._child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
            limit=LINE_BYTES_MAX,
        )
        self._at = after

    async def _raw(self, wait_s: float) -> bytes:
        """One line of the child; empty when none came in time, or the child ended."""
        assert self._child is not None
        assert self._child.stdout is not None
        try:
            raw = await asyncio.wait_for(self._child.stdout.readline(), wait_s)
        except TimeoutError:
            return b""
        except ValueError:  # longer than LINE_BYTES_MAX; what was read of it is gone
            metrics.JOURNAL_SKIPPED.labels("too_long").inc()
            return b"\n"
        if raw:
            return raw
        await self._ended()
        return b""

    async def _ended(self) -> None:
        """Say why, and rest before it is started again."""
        child, self._child = self._child, None
        assert child is not None
        assert child.stderr is not None
        complaint = (await child.stderr.read(COMPLAINT_BYTES_MAX)).decode("utf-8", "replace").strip()
        code = await child.wait()
        log.warning("journalctl_ended", exit_code=code, complaint=complaint)
        if self._at and "cursor" in complaint.lower():
            raise CursorLost("The journal no longer knows the place where it was read to.")
        await asyncio.sleep(REST_S)


def parse_entry(raw: bytes) -> Line | None:
    """One entry of `journalctl --output=json`; `None`, counted, when it is none.

    Source: systemd, Journal Export Formats, "Journal JSON Format".
    """
    try:
        entry = _DECODER.decode(raw)
        observed_ns = int(_text(entry.get("__REALTIME_TIMESTAMP"))) * 1000
        source = _text(entry.get("_SOURCE_REALTIME_TIMESTAMP"))
        cursor = _text(entry.get("__CURSOR"))
    except (msgspec.DecodeError, ValueError):
        if raw.strip():
            metrics.JOURNAL_SKIPPED.labels("unreadable").inc()
        return None
    priority = _text(entry.get("PRIORITY"))
    severity, severity_text = SEVERITIES[int(priority)] if priority in set("01234567") else (0, "")
    executable = Path(_text(entry.get("_EXE"))).name or _text(entry.get("_COMM"))
    return Line(
        at_ns=int(source) * 1000 if source.isdigit() else observed_ns,
        observed_ns=observed_ns,
        body=_text(entry.get("MESSAGE")),
        cursor=cursor,
        severity=severity,
        severity_text=severity_text,
        program=_text(entry.get("SYSLOG_IDENTIFIER")) or executable,
        executable=executable,
        attributes={
            "process.pid": _text(entry.get("_PID")),
            "systemd.unit": _text(entry.get("_SYSTEMD_UNIT")),
            "journald.transport": _text(entry.get("_TRANSPORT")),
        },
    )


def _text(value: Field) -> str:
    """A field as text: bytes come as numbers, a field given twice as a list, one too large as null."""
    if isinstance(value, str):
        return value
    if not value:
        return ""
    first = value[0]
    if isinstance(first, str):
        return first
    if isinstance(first, list):
        return _text(list(first))
    return bytes(byte for byte in value if isinstance(byte, int) and 0 <= byte < 256).decode("utf-8", "replace")
