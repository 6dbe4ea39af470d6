"""The shop as a `Ground`: opened, broken, measured and mended from another process."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Any

import msgspec

from cerebro.kernel.children import die_with_parent, is_running, log_tail
from cerebro.kernel.clock import Clock, SystemClock
from cerebro.kernel.engines.ground import make_directory
from cerebro.kernel.settings import Settings, as_environment
from cerebro.proving.faults import ALL, fault_of
from cerebro.proving.model import Fault, Health, Injection, Operation
from cerebro.proving.shop.breaks import BREAKS
from cerebro.proving.shop.control import (
    FILE,
    LEASE_S,
    Ask,
    Begun,
    Doing,
    Problem,
    Sign,
    Standing,
    Wanted,
    write_private,
)
from cerebro.proving.shop.house import MODULE, targets
from cerebro.proving.shop.wire import Lines
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

UP_S, DOWN_S, ACT_S = 90.0, 30.0, 120.0


class Shop:
    """The running shop; see `Ground` for what can be asked of it.

    Args:
        settings: Of the Cerebro beside it: the shop lives in a directory of its data directory.
        lease_s: After so long an injection ends by itself.
    """

    def __init__(self, settings: Settings, *, lease_s: float = LEASE_S, clock: Clock | None = None) -> None:
        self._settings, self._lease_s = settings, lease_s
        self._clock = clock or SystemClock()
        self._lines = Lines()
        self._house: subprocess.Popen[bytes] | None = None  # when it was started here

    @property
    def home(self) -> Path:
        """Where it keeps its files."""
        return self._settings.data_dir / "shop"

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._sign() is not None

    @property
    def entities(self) -> frozenset[EntityKey]:
        """What it is made of, but for its users, as Cerebro calls it."""
        return frozenset(EntityKey.parse(each) for each in targets())

    async def up(self, wanted: Wanted, *, with_us: bool = False) -> None:
        """Start it and wait until users are served.

        Args:
            with_us: It ends when this thread does.

        Raises:
            Invalid: It runs already.
            Unavailable: It does not come up; the detail says why.
        """
        if self.is_up:
            raise Invalid("The shop is up already.", "cerebro shop status, cerebro shop down.")
        make_directory(self._settings.data_dir, 0o711)
        make_directory(self._settings.runtime_dir, 0o711)
        make_directory(self.home, 0o711)
        (self.home / FILE).unlink(missing_ok=True)
        wish = self.home / "wanted.json"
        try:
            write_private(wish, msgspec.json.encode(wanted))
        except OSError as error:
            raise Unavailable(
                f"{self.home} cannot be written: {error.strerror}.", "Make room, or another place."
            ) from error
        house = self._house = self._start(wish, with_us=with_us)
        until_s = self._clock.monotonic_s() + UP_S
        while not self.is_up:
            if house.poll() is not None or self._clock.monotonic_s() > until_s:
                house.terminate()
                raise Unavailable(f"The shop does not start: {log_tail(self._log)}")
            await asyncio.sleep(0.1)

    @property
    def _log(self) -> Path:
        return self.home / "logs" / "house.log"

    def _start(self, wish: Path, *, with_us: bool) -> "subprocess.Popen[bytes]":
        make_directory(self._log.parent, 0o711)
        with self._log.open("wb") as out:
            return subprocess.Popen(  # noqa: S603  our own program
                (sys.executable, "-m", MODULE, "--wish", str(wish)),
                env=as_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(SIGTERM) if with_us else None,  # noqa: PLW1509  before any thread of ours
            )

    async def down(self) -> bool:
        """End it and every process of it; false when it did not run."""
        sign = self._sign()
        if sign is None:
            return await self._break_off()
        await self._ask("POST", "/down")
        self._lines.close()
        until_s = self._clock.monotonic_s() + DOWN_S
        while is_running(sign.pid, sign.started_s):
            if self._clock.monotonic_s() > until_s:
                raise Unavailable(f"The shop (pid {sign.pid}) does not end.", "End it by hand.")
            await asyncio.sleep(0.1)
        if self._house:
            self._house.wait()
        return True

    async def _break_off(self) -> bool:
        """End a shop of ours that is not open yet; false when there is none."""
        house = self._house
        if house is None or house.poll() is not None:
            return False
        house.terminate()
        until_s = self._clock.monotonic_s() + DOWN_S
        while house.poll() is None:
            if self._clock.monotonic_s() > until_s:
                house.kill()  # its processes go with it
            await asyncio.sleep(0.1)
        return True

    async def standing(self) -> Standing:
        """Its processes, what they cost, and the faults that run."""
        return msgspec.json.decode(await self._ask("GET", "/standing"), type=Standing)

    def faults(self) -> Sequence[Fault]:
        """The kinds it can have, controls among them."""
        return [fault for kind, fault in ALL.items() if kind in BREAKS]

    async def inject(self, kind: str, *, seed: int, target: EntityKey | None = None) -> Injection:
        """Begin a fault; see `Ground.inject`."""
        ask = Ask(kind, seed, target.text if target else "", self._lease_s)
        return _injection(msgspec.json.decode(await self._ask("POST", "/inject", ask), type=Begun))

    async def end(self, injection: Injection) -> Injection:
        """End it; see `Ground.end`."""
        begun = Begun(
            injection.id, injection.fault.kind, injection.target.text, injection.start_ms, injection.end_ms,
            injection.seed, dict(injection.parameters),
        )  # fmt: skip
        return _injection(msgspec.json.decode(await self._ask("POST", "/end", begun), type=Begun))

    async def operate(self, operation: Operation) -> None:
        """Do something to it; see `Ground.operate`."""
        await self._ask("POST", "/operate", Doing(operation.name, operation.target.text, dict(operation.parameters)))

    async def tidy(self) -> None:
        """End every fault and put everything back as it was when the shop was opened, whatever was done to it since."""
        await self._ask("POST", "/tidy")

    async def health(self, start_ms: int, end_ms: int) -> Health:
        """What users felt of the requests that began in this stretch, by the load generator's own record."""
        felt = await self._ask("GET", f"/felt?start_ms={start_ms}&end_ms={end_ms}")
        said: Mapping[str, Any] = msgspec.json.decode(felt)
        return Health(start_ms, end_ms, **said)

    async def _ask(self, method: str, target: str, body: msgspec.Struct | None = None) -> bytes:
        sign = self._sign()
        if sign is None:
            raise Unavailable("The shop is not up.", "Start it: cerebro shop up.")
        headers = {"authorization": f"Bearer {sign.token}"}
        words = msgspec.json.encode(body) if body else b""
        try:
            answer = await self._lines.ask(sign.port, method, target, body=words, headers=headers, timeout_s=ACT_S)
        except (OSError, TimeoutError) as error:
            raise Unavailable("The shop's keeper does not answer.", f"Its log: {self._log}") from error
        if not answer.ok:
            problem = msgspec.json.decode(answer.body, type=Problem)
            kind = Unavailable if problem.code == Unavailable.code else Invalid
            raise kind(problem.detail, problem.mend)
        return answer.body

    def _sign(self) -> Sign | None:
        try:
            sign = msgspec.json.decode((self.home / FILE).read_bytes(), type=Sign)
        except FileNotFoundError:
            return None
        return sign if is_running(sign.pid, sign.started_s) else None


def _injection(begun: Begun) -> Injection:
    return Injection(
        begun.id, fault_of(begun.kind), EntityKey.parse(begun.target), begun.start_ms, begun.end_ms, begun.seed,
        begun.parameters,
    )  # fmt: skip
