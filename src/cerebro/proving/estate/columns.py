"""The columns of a moving estate by name: what can be turned, what is remembered, what is measured.

`Knob` is what faults and operations turn; at rest each has its value of `REST`. `State` is what a
node carries from one tick to the next. `Node`, `Edge` and `Host` are what a tick measures: counters
that only climb and gauges of the moment, as an exporter would show them.
"""

from enum import IntEnum

import numpy as np


class Knob(IntEnum):
    """What can be turned on a node."""

    SPEED, COST, DELAY_S, ERROR, ALIVE, HANG, THREADS, MEMORY_RATE, FILE_RATE, POOL_RATE = range(10)
    LOAD, JOB_CORES, HIT, LOSS, NET_DELAY_S, CUT, UNNAMED, CONSUME, DISK_RATE, DISK_SLOW = range(10, 20)
    LOCK, LAG_RATE, SKEW_S, RETRIES, TIMEOUT, UNEVEN, DEADLOCK, POISON, SHED, OPEN = range(20, 30)
    RETRY_CAP, POOL_SIZE, SILENT, REPLICAS, UNTRUSTED, DENIED, LIMITED, GARBLED, SCANS, OLDEST = range(30, 40)
    JOBS = 40


KNOB_COUNT = len(Knob)
MULTIPLIED = (
    Knob.SPEED, Knob.COST, Knob.ALIVE, Knob.THREADS, Knob.LOAD, Knob.HIT, Knob.CONSUME, Knob.DISK_SLOW,
    Knob.TIMEOUT, Knob.POOL_SIZE, Knob.REPLICAS,
)  # fmt: skip
RETRIES_FREE = 99.0
REST = np.zeros(KNOB_COUNT)
REST[list(MULTIPLIED)] = 1.0
REST[Knob.RETRY_CAP] = RETRIES_FREE


class State(IntEnum):
    """What a node remembers."""

    BACKLOG, MEMORY, FILES, POOL, DISK, REPLICAS, BUSY_S, IDLE_S, DOWN_S, DOWN_SHARE, WARM, LAG_S = range(12)
    FAST, SLOW, SPIKE, HOLD_S, ERROR, DEPTH, MEMORY_WAVE, SERVED, TIMED_OUT, RHO, OLDEST_S = range(12, 23)


class Node(IntEnum):
    """What is measured of a node; from `BUCKET` on, one column for each bound of the latency histogram.

    The columns that begin with `BY_` are parts of its failures, each a share of what was asked of it.
    """

    SUM, COUNT, FAILED_SUM, FAILED_COUNT, CPU_S, CPU, MEMORY, MEMORY_SHARE, FILES, THREADS = range(10)
    ACTIVE, REPLICAS, POOL_USED, POOL_WAITING, RETRIES, TIMEOUTS, RESTARTS, RECEIVED, SENT, GC_S = range(10, 20)
    SESSIONS, DEADLOCKS, LAG_S, LOCKS, ROWS, COMMITS, ROLLBACKS, HITS, MISSES, EVICTED = range(20, 30)
    DEPTH, AGE_S, PUBLISHED, CONSUMED, REDELIVERED, DISK_SHARE, DISK_S, RATE, ERROR, OWN_S = range(30, 40)
    TOTAL_S, TIMED_OUT, PRESENT, SEQUENTIAL, OLDEST_S, JOBS, BY_CODE, BY_FILES, BY_CLOCK, BY_LOAD = range(40, 50)
    BY_DENIAL, BY_LIMIT, BY_GARBLE, BY_SILENCE, BY_CUT, BY_NAME, BY_TRUST, BY_ABSENCE, FILES_MAX, POOL_MAX = range(
        50, 60
    )
    BUCKET = 60


BOUNDS_S = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
NODE_COUNT = int(Node.BUCKET) + len(BOUNDS_S) + 1  # the last bucket holds everything


class Edge(IntEnum):
    """What a caller measures of those it calls; from `LATE` on, the share of its calls that failed in that way."""

    SUM, COUNT, FAILED, FAIL_SHARE, TIME_S, RATE, RETRANSMITTED, ROUND_TRIP_S = range(8)
    LATE, UNREACHED, UNNAMED, UNTRUSTED, GONE, CROWDED, ANSWERED = range(8, 15)


class Host(IntEnum):
    """What is measured of a machine."""

    CPU, MEMORY, LOAD, DISK_SHARE, DISK_S, RECEIVED, SENT, DROPPED, DISK_BYTES, FOREIGN_S = range(10)


class HostState(IntEnum):
    """What a machine remembers; `FOREIGN` is what programs that are not ours take, in cores."""

    CORES, FOREIGN, SPEED, FAST, LOAD, DISK, DISK_SLOW, USED = range(8)
