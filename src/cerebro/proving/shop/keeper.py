"""The shop's keeper: starts the engines and the services, keeps them running, changes them while they run.

Everything is a child of the keeper with a death signal: when the keeper dies, by whatever hand, the
shop is gone with it, faults and all.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

import psutil

from cerebro.kernel.children import Child, State, Supervisor
from cerebro.kernel.clock import Clock
from cerebro.kernel.engines.ground import BASE_ENVIRONMENT, answers_http, make_directory
from cerebro.kernel.engines.nats import nats_url, prepare_nats
from cerebro.kernel.engines.postgres import postgres_url, prepare_postgres
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.settings import Settings
from cerebro.proving.shop import stock
from cerebro.proving.shop.control import Wanted
from cerebro.proving.shop.herald import Herald
from cerebro.proving.shop.plan import BUILDS, GOOD_VERSION, SERVICES, config_of, flags_of
from cerebro.proving.shop.registry import Entry, Place, Registry, Trouble, save
from cerebro.proving.shop.service import ALWAYS_OPEN, arguments
from cerebro.proving.shop.telling import Telling
from cerebro.proving.shop.wire import LOOPBACK, Lines
from cerebro.spine.errors import Invalid, Unavailable

TICK_S, READY_S, DRAIN_S, STOP_S = 0.25, 25.0, 0.3, 1.5
REPLICAS_MAX = 6
# Operations that change a version, a configuration or a flag, which is told as that.
SELF_TOLD = frozenset(
    ("deploy", "rollback", "flag_off", "flag_on", "restore_config", "shed", "raise_limit", "limit_retries")
)
KEEPER, USERS = "shop-keeper", "load"

log = get_log(__name__)


@dataclass(slots=True)
class Replica:
    """One process of a service and who keeps it running."""

    name: str
    number: int
    port: int
    version: str
    incarnation: int
    supervisor: Supervisor

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self.supervisor.statuses()[0].pid

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.supervisor.statuses()[0].state


@dataclass(slots=True)
class Keeper:
    """The running shop.

    Args:
        settings: The shop's own; see `settings_of_shop`.
    """

    settings: Settings
    wanted: Wanted
    clock: Clock
    registry: Registry = field(init=False)
    replicas: dict[str, list[Replica]] = field(init=False, default_factory=dict)
    versions: dict[str, list[str]] = field(init=False, default_factory=dict)  # the latest last
    configs: dict[str, list[dict[str, float]]] = field(init=False, default_factory=dict)  # before each change
    engines: dict[str, Supervisor] = field(init=False, default_factory=dict)
    halted: set[str] = field(init=False, default_factory=set)  # engines that are to stay down
    neighbours: list[Supervisor] = field(init=False, default_factory=list)  # foreign programs
    lines: Lines = field(init=False, default_factory=Lines)
    telling: Telling = field(init=False)
    herald: Herald = field(init=False)
    _incarnation: int = field(init=False, default=0)

    @property
    def home(self) -> Path:
        """Where the shop keeps its own files."""
        return self.settings.data_dir

    @property
    def registry_file(self) -> Path:
        """What services read."""
        return self.home / "registry.json"

    @property
    def disk(self) -> Path:
        """The small disk that the checkout writes to."""
        return self.home / "disk"

    async def open(self) -> None:
        """Start everything and wait until users are served.

        Raises:
            Invalid: A port or path does not do.
            Unavailable: An engine or a service does not come up; the detail says why.
        """
        make_directory(self.home, 0o711)
        make_directory(self.disk, 0o700)
        self._start_engine("nats", prepare_nats(self.settings))
        self._start_engine("postgres", prepare_postgres(self.settings))
        self.registry = self._first_registry()
        self.herald = Herald(self.wanted.export_url, self.wanted.export_key, self.clock)
        self.telling = Telling(KEEPER, 0, GOOD_VERSION, self.registry, self.clock)
        await stock.prepare(postgres_url(self.settings), self.registry.bus_url)
        self.registry.database_url = await self.new_credential()
        for name in SERVICES:
            self.versions[name], self.configs[name], self.replicas[name] = [GOOD_VERSION], [], []
            self.registry.services[name] = Entry(config=config_of(name), flags=flags_of(name))
        self.registry.services["load"].config |= {"rate": self.wanted.rate, "day_s": self.wanted.day_s}
        self.publish()  # a process reads the registry as it starts
        for names in ([name for name in SERVICES if name != USERS], [USERS]):  # users come when the shop is open
            for name in names:
                for _ in range(SERVICES[name].replicas):
                    self._add(name)
            self.publish()
            await asyncio.gather(*(self.wait_ready(name) for name in names))

    def _start_engine(self, name: str, child: Child) -> None:
        self.engines[name] = Supervisor([child], self.clock)
        self.engines[name].start(_pause)

    def _first_registry(self) -> Registry:
        wanted = self.wanted
        return Registry(
            bus_url=nats_url(self.settings), disk=str(self.disk), session_key=token_urlsafe(24),
            export_url=wanted.export_url, export_key=wanted.export_key, export_s=wanted.export_s,
            trace_share=wanted.trace_share,
        )  # fmt: skip

    async def new_credential(self) -> str:
        """Give the services' database user a new password; the address with it."""
        return await stock.new_credential(postgres_url(self.settings), token_urlsafe(18))

    @property
    def database_url(self) -> str:
        """The owner's way to the database."""
        return postgres_url(self.settings)

    def publish(self) -> None:
        """Let every service see the registry as it is now."""
        for name, replicas in self.replicas.items():
            entry = self.registry.services[name]
            known = {place.number: place.weight for place in entry.places}
            entry.places = [Place(each.number, each.port, known.get(each.number, 1.0)) for each in replicas]
            entry.troubles = [each for each in entry.troubles if each.until_ms > self.clock.now_ms()]
        save(self.registry, self.registry_file)

    def entry(self, name: str) -> Entry:
        """A service as it is to run now.

        Raises:
            Invalid: There is no such service.
        """
        if name not in self.registry.services:
            raise Invalid(f"The shop has no service {name!r}.", f"It has: {', '.join(SERVICES)}.")
        return self.registry.services[name]

    def _add(self, name: str) -> Replica:
        """Start one more process of a service, without waiting for it."""
        taken = {each.number for each in self.replicas[name]}
        number = next(count for count in range(REPLICAS_MAX + 1) if count not in taken)
        replica = self._spawn(name, number, _free_port())
        self.replicas[name].append(replica)
        return replica

    def _spawn(self, name: str, number: int, port: int) -> Replica:
        self._incarnation += 1
        version = self.versions[name][-1]
        child = Child(
            name=f"{name}-{number}",
            argv=arguments(
                name, number, port, version=version, incarnation=self._incarnation, registry=self.registry_file
            ),
            environment=BASE_ENVIRONMENT,
            log_file=self.home / "logs" / f"{name}-{number}.log",
            ready=lambda _pid: answers_http(port, ALWAYS_OPEN),
            ready_s=READY_S,
            stop_s=STOP_S,
        )
        supervisor = Supervisor([child], self.clock)
        supervisor.start(_at_once)
        return Replica(name, number, port, version, self._incarnation, supervisor)

    async def wait_ready(self, name: str) -> None:
        """Return when every process of the service answers.

        Raises:
            Unavailable: One does not.
        """
        until_s = self.clock.monotonic_s() + READY_S
        while not all(each.state is State.READY for each in self.replicas[name]):
            if self.clock.monotonic_s() > until_s:
                raise Unavailable(f"{name} of the shop does not start.", f"Its log: {self.home / 'logs'}.")
            self.tick()
            await asyncio.sleep(0.1)

    def tick(self) -> None:
        """Look after every process once."""
        for name, supervisor in self.engines.items():
            if name not in self.halted:
                supervisor.tick()
        for replica in self.every_replica():
            replica.supervisor.tick()

    def every_replica(self) -> list[Replica]:
        """All of them."""
        return [each for replicas in self.replicas.values() for each in replicas]

    async def restart(self, name: str, *, number: int | None = None) -> None:
        """End the processes in order and start them again, one after the other."""
        for replica in [each for each in self.replicas[name] if number in (None, each.number)]:
            await self._renew(replica)

    async def _renew(self, replica: Replica) -> None:
        """Drain, end, start anew, wait, send it work again."""
        name, number = replica.name, replica.number
        several = len(self.replicas[name]) > 1
        before = next((p.weight for p in self.entry(name).places if p.number == number), 1.0)
        if several:
            self.weigh(name, number, 0.0)
            await asyncio.sleep(DRAIN_S)
        self._end(replica)
        fresh = self._spawn(name, number, _free_port())
        self.replicas[name] = [fresh if each is replica else each for each in self.replicas[name]]
        self.publish()
        await self._wait_up(fresh)
        self.weigh(name, number, before or 1.0)

    async def _wait_up(self, replica: Replica) -> None:
        """A version or configuration that does not start is left to fall: that is what the change did."""
        until_s = self.clock.monotonic_s() + READY_S / 2
        while replica.state is not State.READY and self.clock.monotonic_s() < until_s:
            if replica.supervisor.statuses()[0].restarts:
                return
            await asyncio.sleep(0.1)
            self.tick()  # while something is changed, nobody else looks after the processes

    async def revive(self, name: str) -> None:
        """Start those anew that do not run: what kept them from it may be gone."""
        for replica in [each for each in self.replicas[name] if each.state is not State.READY]:
            await self._renew(replica)

    def weigh(self, name: str, number: int | None, weight: float) -> None:
        """Give one replica, or each, this share of the work."""
        entry = self.entry(name)
        entry.places = [
            Place(place.number, place.port, weight) if number in (None, place.number) else place
            for place in entry.places
        ]
        self.publish()

    async def scale(self, name: str, count: int) -> None:
        """Run this many processes of the service."""
        if not 1 <= count <= REPLICAS_MAX:
            raise Invalid(f"{count} replicas of {name} do not fit.", f"Say 1 to {REPLICAS_MAX}.")
        while len(self.replicas[name]) < count:
            self._add(name)
        while len(self.replicas[name]) > count:
            self.weigh(name, self.replicas[name][-1].number, 0.0)
            await asyncio.sleep(DRAIN_S)
            self._end(self.replicas[name].pop())
        self.publish()
        await self.wait_ready(name)

    async def deploy(self, name: str, version: str) -> None:
        """Roll out a version, one process after the other.

        Raises:
            Invalid: There is no such version.
        """
        if version not in BUILDS:
            raise Invalid(f"There is no version {version!r}.", f"There are: {', '.join(BUILDS)}.")
        self.versions[name].append(version)
        self.told("deploy", name, f"{name} {version} deployed", version=version)
        await self.restart(name)

    async def rollback(self, name: str) -> None:
        """Back to the version before, if there is one."""
        if len(self.versions[name]) > 1:
            self.versions[name].pop()
            self.told(
                "deploy", name, f"{name} rolled back to {self.versions[name][-1]}", version=self.versions[name][-1]
            )
            await self.restart(name)

    def configure(self, name: str, values: Mapping[str, float], *, told: bool = True) -> None:
        """Change the configuration; the one before is kept."""
        entry = self.entry(name)
        self.configs[name].append(dict(entry.config))
        entry.config |= dict(values)
        if told:
            self.told("config", name, f"{name} reconfigured: {dict(values)}")
        self.publish()

    def restore_config(self, name: str) -> None:
        """Back to the configuration before, if there is one; also names and weights."""
        if self.configs[name]:
            self.registry.services[name].config = self.configs[name].pop()
            self.told("config", name, f"{name}: configuration restored")
        if name in self.registry.unresolved:
            self.registry.unresolved.remove(name)
        self.weigh(name, None, 1.0)

    def take_back(
        self, name: str, ours: Mapping[str, float], before: Mapping[str, float], *, told: bool = True
    ) -> None:
        """Undo what is left of a change of the configuration; what others have changed since stays."""
        entry = self.entry(name)
        back = {key: before[key] for key, value in ours.items() if entry.config[key] == value != before[key]}
        past = [each for each in self.configs[name] if not any(each[key] == ours[key] for key in back)]
        self.configs[name] = [each for each in past if each != entry.config | back]
        if back:
            entry.config |= back
        if back and told:
            self.told("config", name, f"{name}: configuration restored: {back}")
        self.publish()

    async def as_planned(self) -> None:
        """Everything as it was when the shop was opened, whatever has been done to it since."""
        registry = self.registry
        registry.supplier, registry.circuit_open = "main", False
        for name, entry in registry.services.items():
            wish = {key: entry.config[key] for key in ("rate", "day_s") if name == USERS}
            entry.config, entry.flags, self.configs[name] = config_of(name) | wish, flags_of(name), []
            entry.places = [Place(place.number, place.port) for place in entry.places]
        self.publish()
        for name, plan in SERVICES.items():
            stale = self.versions[name][-1] != GOOD_VERSION
            self.versions[name] = [GOOD_VERSION]
            if stale:
                await self.restart(name)
            if len(self.replicas[name]) != plan.replicas:
                await self.scale(name, plan.replicas)

    def flag(self, name: str, flag: str, *, on: bool) -> None:
        """Turn a feature on or off."""
        self.entry(name).flags[flag] = on
        self.told("flag", name, f"{name}: {flag} turned {'on' if on else 'off'}", flag=flag)
        self.publish()

    def afflict(self, name: str, trouble: Trouble) -> None:
        """Put a trouble onto a service."""
        self.entry(name).troubles.append(trouble)
        self.publish()

    def relieve(self, injection_id: str) -> None:
        """Take the troubles of this injection away, wherever they are."""
        for entry in self.registry.services.values():
            entry.troubles = [each for each in entry.troubles if each.id != injection_id]
        self.publish()

    def told(self, kind: str, name: str, title: str, **attributes: str) -> None:
        """A change as the shop's own people would announce it."""
        labels = {"event.name": kind, "service.changed": name} | attributes
        self.telling.log("INFO", title, **labels)
        if kind != "operation":
            self.herald.tell(kind, name, title, attributes)
        elif attributes["operation"] not in SELF_TOLD:
            self.herald.tell(attributes["operation"], name, title, {})

    def signal(self, replica: Replica, number: signal.Signals) -> None:
        """Send a signal to a process that is still ours."""
        if replica.pid:
            os.kill(replica.pid, number)

    def halt_engine(self, name: str) -> None:
        """Take an engine down and leave it down."""
        self.halted.add(name)
        self.engines[name].stop(_pause)

    def resume_engine(self, name: str) -> None:
        """Bring it back."""
        if name in self.halted:
            self.engines[name].start(_pause)
            self.halted.discard(name)

    def end_neighbours(self) -> None:
        """End the foreign programs."""
        while self.neighbours:
            self.neighbours.pop().stop(_pause)

    def footprint(self) -> Sequence[Mapping[str, object]]:
        """Every process with what it costs."""
        rows = [_row(f"{each.name}-{each.number}", each.state, each.pid, each.version) for each in self.every_replica()]
        return [*self.footprint_of_engines(), *rows, _row("keeper", State.READY, os.getpid(), "")]

    def footprint_of_engines(self) -> Sequence[Mapping[str, object]]:
        """The database and the queue with what they cost."""
        return [_row(name, *_engine_state(one), "") for name, one in self.engines.items()]

    def close(self) -> None:
        """End every process, the services first."""
        self.end_neighbours()
        for replica in reversed(self.every_replica()):  # the users go first
            self._end(replica)
        for supervisor in reversed(list(self.engines.values())):
            supervisor.stop(_pause)
        self.lines.close()
        telling: Telling | None = getattr(self, "telling", None)  # not there yet when an engine did not start
        if telling:
            telling.close()

    def _end(self, replica: Replica) -> None:
        if replica.pid and psutil.Process(replica.pid).status() == psutil.STATUS_STOPPED:
            os.kill(replica.pid, signal.SIGKILL)  # it cannot hear anything else
        replica.supervisor.stop(_pause)


def settings_of_shop(settings: Settings) -> Settings:
    """The shop's own settings: its directories inside Cerebro's, its own engines."""
    engines = settings.engines.model_copy(
        update={"nats_url": "", "postgres_url": "", "clickhouse_url": "", "nats_port": _free_port(), "nats_replicas": 1}
    )
    update = {
        "data_dir": settings.data_dir / "shop",
        "runtime_dir": settings.runtime_dir / "shop",
        "engines": engines,
    }
    return settings.model_copy(update=update)


def _row(name: str, state: State, pid: int, version: str) -> dict[str, object]:
    """One process and its offspring; CPU seconds since its start."""
    row: dict[str, object] = {"name": name, "state": str(state), "pid": pid, "version": version}
    cpu_s, memory = 0.0, 0
    with suppress(psutil.Error):
        leader = psutil.Process(pid) if pid else None
        family = [leader, *(leader.children(recursive=True) if name == "postgres" else [])] if leader else []
        for each in family:
            with suppress(psutil.Error):  # one that ends meanwhile is counted by its parent
                times = each.cpu_times()
                cpu_s += times.user + times.system + (times.children_user + times.children_system) * (each == leader)
                memory += each.memory_full_info().pss
    return row | {"cpu_s": cpu_s, "memory_bytes": memory}


def _engine_state(supervisor: Supervisor) -> tuple[State, int]:
    status = supervisor.statuses()[0]
    return status.state, status.pid


def _pause(duration_s: float) -> bool:
    time.sleep(duration_s)
    return False


def _at_once(_duration_s: float) -> bool:
    """Do not wait: the child is started and `tick` will see it ready."""
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
