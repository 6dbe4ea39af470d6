"""The catalogue of what can break, and of what can be done about it, the same on every ground.

A kind is declared here once. How it is injected is each ground's own matter; what it is, what a
user would notice and what honestly helps is not.
"""

from collections.abc import Mapping

from cerebro.proving.model import CONTROL, Fault
from cerebro.spine.errors import Invalid

# What can be done to a ground while it runs; a fault's remedies name these, parameters after the colon.
OPERATIONS: Mapping[str, str] = {
    "restart": "End the target's processes in order and start them again.",
    "scale": "Run another number of replicas. replicas: how many",
    "rollback": "Go back to the version before the last deploy.",
    "deploy": "Roll out a version. version: its name",
    "flag_off": "Turn a feature flag off. flag: its name; all that are on when left out",
    "flag_on": "Turn a feature flag on. flag: its name",
    "restore_config": "Go back to the configuration before the last change.",
    "failover": "Make the standby of a store or an outside supplier the one in use.",
    "drain": "Send no new work to one replica. replica: its number",
    "undrain": "Send it work again. replica: its number",
    "balance": "Give every replica the same weight again.",
    "clear_cache": "Forget everything the cache holds.",
    "warm_cache": "Fill the cache from the store before users ask.",
    "rotate_credential": "Make a new secret and give it to everyone who needs it.",
    "renew_certificate": "Put a fresh certificate in place.",
    "shed": "Refuse a share of the work at the front door, cheaply. share: 0 … 1; 0 ends it",
    "raise_limit": "Widen a pool or another limit. limit: its name; value: the new one",
    "limit_retries": "Cap how often callers try again. value: how often; 0 for never",
    "open_circuit": "Call a failing dependency no more; answer without it.",
    "close_circuit": "Call it again.",
    "reroute": "Go around a broken network path.",
    "end_query": "End the sessions of a store that hold locks or run too long.",
    "create_index": "Build the index that a query lacks.",
    "free_disk": "Remove what can be made again from a full disk.",
    "move_disk": "Use another disk.",
    "skip_message": "Put a message that cannot be worked aside.",
    "stop_job": "End a scheduled job that is running.",
    "stop_neighbour": "End the foreign program that eats the machine.",
    "sync_clock": "Set the clock right.",
}
# These may help from where the trouble is not; all others are done to what is broken, or they are needless at best.
FROM_AFAR = frozenset({"shed"})

RESOURCE, DEPENDENCY, DEPLOY, CONFIG, DATA = "resource", "dependency", "deploy", "config", "data"
CAPACITY, NETWORK, CODE, EXTERNAL = "capacity", "network", "code", "external"

FIRST_TWELVE = (
    Fault(
        "crash",
        "A replica dies and dies again",
        CODE,
        "a burst of failed requests whenever a replica is gone",
        ("restart", "scale"),
        ends_alone=True,
    ),
    Fault(
        "hang",
        "A replica stops answering without dying",
        RESOURCE,
        "requests that reach it wait until they time out",
        ("restart", "drain"),
    ),
    Fault("slow_cpu", "A service burns its CPU", RESOURCE, "every page through it is slow", ("restart", "scale")),
    Fault(
        "memory_leak",
        "A service's memory grows until it works ever slower",
        RESOURCE,
        "growing slowness, then failed requests",
        ("restart",),
    ),
    Fault(
        "connection_pool_exhaustion",
        "Every connection to the store is taken and none comes back",
        RESOURCE,
        "pages that need the store fail after a wait",
        ("restart", "raise_limit"),
    ),
    Fault(
        "outside_api_slow",
        "The outside supplier answers slowly",
        EXTERNAL,
        "paying takes seconds",
        ("failover", "open_circuit"),
    ),
    Fault(
        "outside_api_failing",
        "The outside supplier answers with errors",
        EXTERNAL,
        "many payments fail",
        ("failover", "open_circuit"),
    ),
    Fault(
        "bad_deploy_errors",
        "A new version answers with errors",
        DEPLOY,
        "a share of requests fails since the deploy",
        ("rollback",),
    ),
    Fault(
        "bad_deploy_latency", "A new version is slow", DEPLOY, "pages are slow since the deploy", ("rollback", "scale")
    ),
    Fault("bad_flag", "A feature flag turns on code that fails", CONFIG, "a share of requests fails", ("flag_off",)),
    Fault(
        "queue_backlog",
        "Work arrives faster than it is done",
        CAPACITY,
        "orders are confirmed later and later",
        ("scale", "restart"),
    ),
    Fault(
        "cache_flush",
        "The cache is empty again and again, and everything falls on the store",
        DATA,
        "pages are slow until the cache is warm",
        ("restore_config", "warm_cache"),
        ends_alone=True,
    ),
)

THE_REST = (
    Fault(
        "fd_exhaustion",
        "A service has no file descriptors left",
        RESOURCE,
        "new connections to it are refused or wait",
        ("restart", "drain"),
    ),
    Fault(
        "thread_starvation",
        "Blocking work holds a service's event loop",
        CODE,
        "requests wait in turns, in bursts",
        ("restart", "scale"),
    ),
    Fault("disk_full", "A service's disk is full", RESOURCE, "what must be written down fails", ("free_disk",)),
    Fault("slow_disk", "A service's disk answers slowly", RESOURCE, "what is written down takes long", ("move_disk",)),
    Fault("packet_loss", "A network path loses packets", NETWORK, "some requests stall or time out", ("reroute",)),
    Fault("network_delay", "A network path is slow", NETWORK, "every request over it takes longer", ("reroute",)),
    Fault("network_partition", "A network path is cut", NETWORK, "requests over it time out", ("reroute",)),
    Fault(
        "dns_failure",
        "A name does not resolve",
        NETWORK,
        "calls to the name fail at once",
        ("restore_config", "reroute"),
    ),
    Fault(
        "expired_certificate",
        "A certificate has expired",
        CONFIG,
        "no secure connection to the service can be made",
        ("renew_certificate",),
    ),
    Fault(
        "expired_credential",
        "The password to the store has expired",
        CONFIG,
        "pages that need the store fail",
        ("rotate_credential",),
    ),
    Fault(
        "bad_deploy_leak",
        "A new version leaks memory",
        DEPLOY,
        "growing slowness since the deploy",
        ("rollback", "restart"),
    ),
    Fault(
        "bad_config",
        "A configuration change sets a time-out far too short",
        CONFIG,
        "a share of requests fails at once",
        ("restore_config",),
    ),
    Fault(
        "migration_lock",
        "A schema migration holds a table's lock",
        DATA,
        "pages that need the table wait",
        ("end_query",),
    ),
    Fault(
        "slow_query",
        "A heavy report runs on the store",
        DATA,
        "pages that need the store are slow",
        ("end_query", "failover"),
    ),
    Fault(
        "missing_index",
        "An index is gone and every look reads the whole table",
        DATA,
        "lists and searches are slow",
        ("create_index",),
    ),
    Fault("deadlock", "Transactions lock each other out", CODE, "some orders fail after a wait", ("end_query",)),
    Fault(
        "replica_lag",
        "The store's copy is far behind",
        DATA,
        "what was just written is not there yet",
        ("failover",),
        ends_alone=True,
    ),
    Fault("primary_lost", "The store's primary is gone", DEPENDENCY, "nothing can be stored", ("failover", "restart")),
    Fault(
        "poison_message",
        "A message that cannot be worked comes back for ever",
        DATA,
        "orders behind it are not confirmed",
        ("skip_message",),
    ),
    Fault(
        "retry_storm",
        "Callers try again and again and multiply the load",
        CAPACITY,
        "everything is slow while traffic seems to have grown",
        ("limit_retries", "restore_config", "shed"),
    ),
    Fault(
        "traffic_surge",
        "Many more users than ever before",
        CAPACITY,
        "pages are slow and some fail",
        ("scale", "shed"),
        ends_alone=True,
    ),
    Fault(
        "cron_overlap",
        "A scheduled job starts again before the last run is done",
        CODE,
        "pages are slow each time another run begins",
        ("stop_job",),
    ),
    Fault(
        "clock_skew",
        "A service's clock runs ahead",
        CONFIG,
        "sign-ins and tokens are refused as expired",
        ("sync_clock", "restart"),
    ),
    Fault(
        "noisy_neighbour",
        "A foreign program eats the machine",
        RESOURCE,
        "everything on the machine is slow",
        ("stop_neighbour",),
    ),
    Fault(
        "crash_loop",
        "A service dies at every start",
        CONFIG,
        "pages that need the service fail",
        ("restore_config", "rollback"),
    ),
    Fault(
        "uneven_load",
        "Nearly all work goes to one replica",
        CONFIG,
        "pages through that replica are slow",
        ("restore_config", "balance"),
    ),
    Fault(
        "outside_api_limited",
        "The outside supplier refuses us for asking too often",
        EXTERNAL,
        "some payments are refused",
        ("failover", "open_circuit", "shed"),
    ),
    Fault(
        "outside_api_garbled",
        "The outside supplier answers with what cannot be read",
        EXTERNAL,
        "many payments fail",
        ("failover", "open_circuit"),
    ),
)

CONTROLS = (
    Fault("nothing", "Nothing is wrong", CONTROL, "nothing", ends_alone=True),
    Fault("harmless_deploy", "A new version that works is rolled out", CONTROL, "nothing", ends_alone=True),
    Fault("planned_load", "An announced rise of traffic within capacity", CONTROL, "nothing", ends_alone=True),
    Fault("planned_restart", "A replica is restarted in order, on purpose", CONTROL, "nothing", ends_alone=True),
    Fault("harmless_config", "A configuration change without effect on users", CONTROL, "nothing", ends_alone=True),
    Fault("planned_scale", "A service gets another replica", CONTROL, "nothing", ends_alone=True),
)

ALL: Mapping[str, Fault] = {fault.kind: fault for fault in (*FIRST_TWELVE, *THE_REST, *CONTROLS)}


def fault_of(kind: str) -> Fault:
    """The declared fault.

    Raises:
        Invalid: There is none of that kind; the mend lists those there are.
    """
    if kind not in ALL:
        raise Invalid(f"There is no fault {kind!r}.", f"There are: {', '.join(ALL)}.")
    return ALL[kind]
