"""What each kind of fault turns on which part of the estate, and what truly mends it.

A fault turns *knobs* of nodes; queues, retries, pools and callers do the rest. Nothing here says what will be
seen. `MENDS` are the operations that take the cause away on its own target; an operation that only relieves (more
replicas, a restart of what leaks) acts through the estate's physics and is not listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.proving.estate.columns import Knob
from cerebro.proving.estate.topology import CACHE, DATABASE, EXTERNAL, KIND_NAMES, QUEUE, SERVICE, WORKER
from cerebro.proving.model import Declared
from cerebro.spine.errors import Invalid

ENTRY = 100  # a target: a service that users reach
HOST = 101  # a target: a machine
KEEPER = 102  # a target: a service that asks a database
WIDE = 103  # a target: a service with more than one replica

Turn = tuple[Knob, float, float]  # a knob, and the bounds that its value is drawn between


@dataclass(frozen=True, slots=True)
class Effect:
    """How a fault works on this ground.

    Args:
        on: Kinds of node that can have it.
        turns: What is turned, from the start to the end.
        cycle_s: Where it comes and goes: the length of one turn and of its bad part, seconds.
        change: Kind of the change event that it shows at its start; empty for none.
        lasts_s: When it passes by itself; 0 for never.
        planned: Operations it consists of: harmless ones, done at the start.
    """

    on: tuple[int, ...] = (SERVICE,)
    turns: tuple[Turn, ...] = ()
    cycle_s: tuple[float, float] = (0.0, 0.0)
    change: str = ""
    lasts_s: float = 0.0
    planned: tuple[str, ...] = ()
    mends: frozenset[str] = field(default=frozenset())
    empties_cache: bool = False


def _on(*on: int, turns: tuple[Turn, ...], mends: str = "", change: str = "", **more: object) -> Effect:
    return Effect(on, turns, change=change, mends=frozenset(mends.split()), **more)  # type: ignore[arg-type]


K = Knob
EFFECTS: Mapping[str, Effect] = {
    "crash": _on(SERVICE, WORKER, turns=((K.ALIVE, 0.0, 0.35),), mends="restart", cycle_s=(90.0, 60.0)),
    "hang": _on(SERVICE, turns=((K.HANG, 0.45, 0.7),), mends="restart drain"),
    "slow_cpu": _on(SERVICE, turns=((K.SPEED, 0.06, 0.12),), mends="restart"),
    "memory_leak": _on(SERVICE, turns=((K.MEMORY_RATE, 0.0015, 0.003),), mends="restart"),
    "connection_pool_exhaustion": _on(KEEPER, turns=((K.POOL_RATE, 0.004, 0.02),), mends="restart"),
    "outside_api_slow": _on(EXTERNAL, turns=((K.DELAY_S, 2.0, 5.0),), mends="failover"),
    "outside_api_failing": _on(EXTERNAL, turns=((K.ERROR, 0.5, 0.95),), mends="failover"),
    "bad_deploy_errors": _on(SERVICE, turns=((K.ERROR, 0.1, 0.5),), mends="rollback", change="deploy"),
    "bad_deploy_latency": _on(
        SERVICE, turns=((K.COST, 3.0, 5.0), (K.DELAY_S, 0.3, 1.0)), mends="rollback", change="deploy"
    ),
    "bad_flag": _on(SERVICE, turns=((K.ERROR, 0.15, 0.5),), mends="flag_off", change="flag"),
    "queue_backlog": _on(WORKER, turns=((K.CONSUME, 0.06, 0.12),), mends="restart"),
    "cache_flush": _on(
        CACHE, turns=((K.HIT, 0.0, 0.05),), mends="restore_config", cycle_s=(240.0, 200.0), empties_cache=True
    ),
    "fd_exhaustion": _on(SERVICE, turns=((K.FILE_RATE, 0.01, 0.03),), mends="restart drain"),
    "thread_starvation": _on(SERVICE, turns=((K.THREADS, 0.005, 0.015), (K.DELAY_S, 0.3, 0.8)), mends="restart"),
    "disk_full": _on(DATABASE, turns=((K.DISK_RATE, 0.004, 0.02),), mends="free_disk move_disk"),
    "slow_disk": _on(DATABASE, turns=((K.DISK_SLOW, 40.0, 120.0),), mends="move_disk failover"),
    "packet_loss": _on(SERVICE, DATABASE, turns=((K.LOSS, 0.12, 0.35),), mends="reroute"),
    "network_delay": _on(SERVICE, DATABASE, turns=((K.NET_DELAY_S, 0.15, 0.5),), mends="reroute"),
    "network_partition": _on(SERVICE, DATABASE, turns=((K.CUT, 0.9, 1.0),), mends="reroute"),
    "dns_failure": _on(SERVICE, EXTERNAL, turns=((K.UNNAMED, 0.7, 1.0),), mends="restore_config reroute"),
    "expired_certificate": _on(SERVICE, turns=((K.UNTRUSTED, 1.0, 1.0),), mends="renew_certificate"),
    "expired_credential": _on(DATABASE, turns=((K.DENIED, 0.9, 1.0),), mends="rotate_credential"),
    "bad_deploy_leak": _on(SERVICE, turns=((K.MEMORY_RATE, 0.0015, 0.003),), mends="rollback", change="deploy"),
    "bad_config": _on(KEEPER, turns=((K.TIMEOUT, 0.001, 0.002),), mends="restore_config rollback", change="config"),
    "migration_lock": _on(
        DATABASE, turns=((K.LOCK, 0.7, 1.5), (K.OLDEST, 1.0, 1.0)), mends="end_query", change="migration"
    ),
    "slow_query": _on(
        DATABASE,
        turns=((K.JOB_CORES, 3.0, 6.0), (K.COST, 2.0, 3.0), (K.DISK_SLOW, 10.0, 30.0), (K.OLDEST, 1.0, 1.0)),
        mends="end_query failover",
    ),
    "missing_index": _on(DATABASE, turns=((K.COST, 6.0, 12.0), (K.SCANS, 0.5, 1.0)), mends="create_index"),
    "deadlock": _on(DATABASE, turns=((K.DEADLOCK, 0.15, 0.35), (K.LOCK, 0.2, 0.4)), mends="end_query"),
    "replica_lag": _on(DATABASE, turns=((K.LAG_RATE, 0.9, 1.0),), mends="failover"),
    "primary_lost": _on(DATABASE, turns=((K.ALIVE, 0.0, 0.0),), mends="failover restart"),
    "poison_message": _on(QUEUE, turns=((K.POISON, 1.0, 1.05), (K.CONSUME, 0.2, 0.4)), mends="skip_message drain"),
    "retry_storm": _on(
        KEEPER, turns=((K.RETRIES, 3.0, 5.0), (K.TIMEOUT, 0.0008, 0.0014)), mends="limit_retries restore_config"
    ),
    "traffic_surge": _on(ENTRY, turns=((K.LOAD, 4.0, 7.0),), lasts_s=1200.0),
    "cron_overlap": _on(
        DATABASE,
        SERVICE,
        turns=((K.JOB_CORES, 4.0, 9.0), (K.COST, 1.5, 2.0), (K.JOBS, 2.0, 4.9)),
        mends="stop_job",
        cycle_s=(300.0, 200.0),
    ),
    "clock_skew": _on(SERVICE, turns=((K.SKEW_S, 150.0, 300.0),), mends="sync_clock restart"),
    "noisy_neighbour": _on(HOST, turns=((K.JOB_CORES, 4.0, 8.0),), mends="stop_neighbour"),
    "crash_loop": _on(SERVICE, turns=((K.ALIVE, 0.0, 0.05),), mends="restore_config rollback", change="config"),
    "uneven_load": _on(WIDE, turns=((K.UNEVEN, 0.95, 1.0), (K.COST, 2.5, 3.5)), mends="balance restore_config"),
    "outside_api_limited": _on(EXTERNAL, turns=((K.LIMITED, 0.55, 0.75),), mends="failover"),
    "outside_api_garbled": _on(EXTERNAL, turns=((K.GARBLED, 0.6, 1.0),), mends="failover"),
    "nothing": Effect(),
    "harmless_deploy": Effect(turns=((K.COST, 0.98, 1.03),), change="deploy"),
    "planned_load": Effect((ENTRY,), turns=((K.LOAD, 1.15, 1.35),), lasts_s=1800.0, change="announcement"),
    "planned_restart": Effect(planned=("restart",)),
    "harmless_config": Effect(change="config"),
    "planned_scale": Effect(planned=("scale",)),
}
PLACES: Mapping[str, int] = {**{name: kind for kind, name in enumerate(KIND_NAMES)}, "entry": ENTRY, "host": HOST}
TURNS: Mapping[str, Knob] = {knob.name.lower(): knob for knob in Knob}


def effect_of(declared: Declared) -> Effect:
    """The effect that a fault of someone's own has.

    Raises:
        Invalid: It names a place or a turn that there is not.
    """
    where = f"The fault {declared.fault.kind}"
    if unknown := [each for each in declared.on if each not in PLACES]:
        raise Invalid(f"{where} is on {unknown[0]!r}.", f"Write some of: {', '.join(PLACES)}.")
    if unknown := [name for name, _, _ in declared.turns if name not in TURNS]:
        raise Invalid(f"{where} turns {unknown[0]!r}.", f"Write some of: {', '.join(TURNS)}.")
    if unknown := [kind for kind, _ in declared.then if kind not in EFFECTS]:
        raise Invalid(f"{where} is followed by {unknown[0]!r}.", f"Write some of: {', '.join(EFFECTS)}.")
    if "host" in declared.on and {name for name, _, _ in declared.turns} - {"job_cores"}:
        raise Invalid(f"{where} turns more on a host than there is.", "On a host write turns.job_cores only.")
    return Effect(
        tuple(PLACES[each] for each in declared.on),
        tuple((TURNS[name], low, high) for name, low, high in declared.turns),
        cycle_s=declared.cycle_s,
        change=declared.change,
        lasts_s=declared.lasts_s,
        mends=frozenset(declared.mends),
    )
