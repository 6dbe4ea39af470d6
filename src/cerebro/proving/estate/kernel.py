"""One tick of the estate after another: demand down the graph, time and failure up it, queues between.

Each node has two servers: the cores of its replicas and their threads, which are held while callees are waited
for. Waiting before both follows Sakasegawa's approximation of G/G/c; above capacity a backlog grows as a fluid, and
what finds no place is refused. Callers give up at their time-outs, try again, and hold their pools meanwhile, so that a
slow store starves the threads of those above it and retries feed a collapse. Within a tick (seconds) everything is
in its steady state; between ticks backlogs, leaks, warmth, lag, replicas and noise live on.

Sources: H. Sakasegawa, An approximation formula L_q = a rho^b/(1 - rho), Annals of the Institute of Statistical
Mathematics 29 (1977), 67-75; A. O. Allen, Probability, Statistics and Queueing Theory (1990), section 5.3.
The generator is SplitMix64: G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number generators (2014).
"""

from math import cos, erfc, exp, floor, log, sqrt
from typing import Any

import numpy as np

from cerebro.algorithms.native import native
from cerebro.proving.estate.columns import BOUNDS_S, Edge, Host, HostState, Knob, Node, State
from cerebro.proving.estate.topology import CACHE, DATABASE, EXTERNAL, QUEUE, SYNC

BACKLOG_S = 1.5  # seconds of work a backlog may hold: what comes then is refused at once
POOL_WAIT_S = 1.0  # how long a caller waits for a connection
WARM_S = 240.0  # seconds in which a cold cache gets two thirds of its warmth back
GROW_AT, SHRINK_AT, GROW_S, SHRINK_S = 0.75, 0.35, 45.0, 300.0  # of the autoscaler
REPLICAS_MAX = 4.0  # times those of the start
RESTART_S = 30.0
FILES_MAX = 1024.0  # descriptors of one replica
LOCK_S = 1.2  # how long one waits for a lock held by another
RHO_MAX = 0.97
SETTLE = 0.5  # of the way to what a tick found, that the next one goes: whole steps leap to and fro over the balance
TWO_PI = 6.283185307179586
BOUND_COUNT = len(BOUNDS_S)

# Plain numbers, since compiled code knows no enum: K_ turns, S_ remembers, N_, E_ and H_ measure, M_ is a machine.
(
    K_SPEED, K_COST, K_DELAY, K_ERROR, K_ALIVE, K_HANG, K_THREADS, K_MEMORY, K_FILES, K_POOL, K_LOAD, K_JOB, K_HIT,
    K_LOSS, K_NET, K_CUT, K_UNNAMED, K_CONSUME, K_DISK, K_DISK_SLOW, K_LOCK, K_LAG, K_SKEW, K_RETRIES, K_TIMEOUT,
    K_UNEVEN, K_DEADLOCK, K_POISON, K_SHED, K_OPEN, K_CAP, K_POOL_SIZE, K_SILENT, K_REPLICAS, K_UNTRUSTED, K_DENIED,
    K_LIMITED, K_GARBLED, K_SCANS, K_OLDEST, K_JOBS,
) = tuple(int(each) for each in Knob)  # fmt: skip
(
    S_BACKLOG, S_MEMORY, S_FILES, S_POOL, S_DISK, S_REPLICAS, S_BUSY, S_IDLE, S_DOWN, S_DOWN_SHARE, S_WARM, S_LAG,
    S_FAST, S_SLOW, S_SPIKE, S_HOLD, S_ERROR, S_DEPTH, S_WAVE, S_SERVED, S_TIMED_OUT, S_RHO, S_OLDEST,
) = tuple(int(each) for each in State)  # fmt: skip
(
    N_SUM, N_COUNT, N_FAILED_SUM, N_FAILED, N_CPU_S, N_CPU, N_MEMORY, N_MEMORY_SHARE, N_FILES, N_THREADS, N_ACTIVE,
    N_REPLICAS, N_POOL, N_POOL_WAITING, N_RETRIES, N_TIMEOUTS, N_RESTARTS, N_RECEIVED, N_SENT, N_GC, N_SESSIONS,
    N_DEADLOCKS, N_LAG, N_LOCKS, N_ROWS, N_COMMITS, N_ROLLBACKS, N_HITS, N_MISSES, N_EVICTED, N_DEPTH, N_AGE,
    N_PUBLISHED, N_CONSUMED, N_REDELIVERED, N_DISK, N_DISK_S, N_RATE, N_ERROR, N_OWN, N_TOTAL, N_TIMED_OUT,
    N_PRESENT, N_SEQUENTIAL, N_OLDEST, N_JOBS, N_BY_CODE, N_BY_FILES, N_BY_CLOCK, N_BY_LOAD, N_BY_DENIAL, N_BY_LIMIT,
    N_BY_GARBLE, N_BY_SILENCE, N_BY_CUT, N_BY_NAME, N_BY_TRUST, N_BY_ABSENCE, N_FILES_MAX, N_POOL_MAX, N_BUCKET,
) = tuple(int(each) for each in Node)  # fmt: skip
(
    E_SUM, E_COUNT, E_FAILED, E_SHARE, E_TIME, E_RATE, E_RETRANSMITTED, E_ROUND_TRIP, E_LATE, E_UNREACHED, E_UNNAMED,
    E_UNTRUSTED, E_GONE, E_CROWDED, E_ANSWERED,
) = tuple(int(each) for each in Edge)  # fmt: skip
(
    H_CPU, H_MEMORY, H_LOAD, H_DISK, H_DISK_S, H_RECEIVED, H_SENT, H_DROPPED, H_DISK_BYTES, H_FOREIGN,
) = tuple(int(h) for h in Host)  # fmt: skip
M_CORES, M_FOREIGN, M_SPEED, M_FAST, M_LOAD, M_DISK, M_DISK_SLOW, M_USED = tuple(int(each) for each in HostState)


@native
def _uniform(chance: Any) -> float:
    """A number in (0, 1)."""
    chance[0] += 0x9E3779B97F4A7C15
    z = chance[0]
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    z ^= z >> 31
    return (float(z >> 11) + 0.5) * 1.1102230246251565e-16


@native
def _normal(chance: Any) -> float:
    """A standard normal number (Box and Muller)."""
    return sqrt(-2.0 * log(_uniform(chance))) * cos(TWO_PI * _uniform(chance))


@native
def _heavy(chance: Any) -> float:
    """A normal number, one in fifty of them six times as wide: what gauges of real machines tremble like."""
    number = _normal(chance)
    if _uniform(chance) < 0.02:
        number *= 6.0
    return number


@native
def _poisson(chance: Any, mean: float) -> float:
    """A count of that mean; by inversion when small, else rounded from the normal."""
    if mean <= 0.0:
        return 0.0
    if mean > 25.0:
        return max(0.0, floor(mean + sqrt(mean) * _normal(chance) + 0.5))
    limit, product, count = exp(-mean), _uniform(chance), 0.0
    while product > limit:
        product *= _uniform(chance)
        count += 1.0
    return count


@native
def _binomial(chance: Any, trials: float, share: float) -> float:
    """How many of `trials` hit; the rare side as Poisson, else rounded from the normal."""
    if trials <= 0.0 or share <= 0.0:
        return 0.0
    if share >= 1.0:
        return trials
    if share > 0.5:
        return trials - _binomial_rare(chance, trials, 1.0 - share)
    return _binomial_rare(chance, trials, share)


@native
def _binomial_rare(chance: Any, trials: float, share: float) -> float:
    mean = trials * share
    if mean < 10.0:
        return min(trials, _poisson(chance, mean))
    found = floor(mean + sqrt(mean * (1.0 - share)) * _normal(chance) + 0.5)
    return min(trials, max(0.0, found))


@native
def _wait(rho: float, servers: float, time_s: float, unevenness: float) -> float:
    """Seconds of waiting before `servers` that are busy `rho` of the time with work of `time_s` (Sakasegawa)."""
    used = min(rho, RHO_MAX)
    if used <= 0.0:
        return 0.0
    waiting_s: float = unevenness * time_s * used ** (sqrt(2.0 * (servers + 1.0)) - 1.0) / (servers * (1.0 - used))
    return waiting_s


@native
def _beyond(mean_s: float, sigma: float, limit_s: float) -> float:
    """The share of lognormal times that last longer than the limit."""
    if limit_s <= 0.0:
        return 1.0
    return 0.5 * erfc((log(limit_s / max(mean_s, 1e-9)) + 0.5 * sigma * sigma) / (sigma * 1.4142135623730951))


@native
def _fill_buckets(  # noqa: PLR0917  one request's numbers
    chance: Any, n: Any, went: float, total: float, stuck: float, stuck_s: float, spread: float
) -> None:
    """Spread what was served over the histogram: lognormal, and later by a time-out for those that got stuck."""
    low, left, remaining = 0.0, went, 1.0
    for b in range(BOUND_COUNT + 1):
        n[N_BUCKET + b] += went - left  # what fell below the bound before, so that buckets stay cumulative
        if b == BOUND_COUNT:
            n[N_BUCKET + b] += left
            break
        up = (1.0 - stuck) * (1.0 - _beyond(total, spread, BOUNDS_S[b]))
        up += stuck * (1.0 - _beyond(total, spread, BOUNDS_S[b] - stuck_s))
        inside = _binomial(chance, left, min(1.0, max(0.0, (up - low) / max(remaining, 1e-12))))
        left -= inside
        n[N_BUCKET + b] += inside
        remaining -= up - low
        low = up


@native
def _scale(dt: float, s: Any, rho: float, least: float) -> None:
    """The autoscaler: more after a busy while, one less after a long idle one."""
    s[S_BUSY] = s[S_BUSY] + dt if rho > GROW_AT else 0.0
    s[S_IDLE] = s[S_IDLE] + dt if rho < SHRINK_AT else 0.0
    if s[S_BUSY] >= GROW_S:
        s[S_REPLICAS] = min(REPLICAS_MAX * least, floor(s[S_REPLICAS] * min(1.5, rho / 0.6) + 0.999))
        s[S_BUSY] = 0.0
    if s[S_IDLE] >= SHRINK_S and s[S_REPLICAS] > least:
        s[S_REPLICAS] -= 1.0
        s[S_IDLE] = SHRINK_S - 60.0


@native
def _users(  # noqa: PLR0917  columns
    dt: float, load: float, chance: Any, entry: Any, users: float, knobs: Any, state: Any, rate: Any
) -> None:
    """What users ask for at each entry, with noise of two memories and rare storms."""
    fast_keep, slow_keep, storm_keep = exp(-dt / 40.0), exp(-dt / 1500.0), exp(-dt / 120.0)
    fast_step, slow_step = sqrt(1 - fast_keep * fast_keep), sqrt(1 - slow_keep * slow_keep)
    for i in range(len(entry)):
        s = state[i]
        s[S_FAST] = fast_keep * s[S_FAST] + fast_step * _normal(chance)
        s[S_SLOW] = slow_keep * s[S_SLOW] + slow_step * _normal(chance)
        s[S_SPIKE] *= storm_keep
        if _uniform(chance) < dt / 14_400.0:
            s[S_SPIKE] += min(0.6, 0.06 * _uniform(chance) ** (-1.0 / 2.2))  # Pareto, index 2.2
        rate[i] = 0.0
        if entry[i] > 0.0:
            swing = exp(0.05 * s[S_FAST] + 0.09 * s[S_SLOW] - 0.0053) * (1.0 + s[S_SPIKE])
            rate[i] = users * entry[i] * load * swing * knobs[i, K_LOAD]


@native
def _down(  # noqa: PLR0917  columns
    dt: float, chance: Any, kind: Any, entry: Any, service_s: Any, cores: Any, threads: Any, hit_ratio: Any,
    first: Any, target: Any, mode: Any, calls: Any, retries: Any, cache: Any,
    knobs: Any, state: Any, node: Any, edge: Any, rate: Any, offered: Any,
) -> None:  # fmt: skip
    """Down the graph: who is asked how often, retries of the last tick's failures among them."""
    for i in range(len(kind)):
        s, k, n = state[i], knobs[i], node[i]
        if kind[i] == QUEUE:
            n[N_PUBLISHED] += _poisson(chance, rate[i] * dt)
        served = rate[i] * s[S_SERVED]  # what was refused at the door calls nobody
        if entry[i] > 0.0:
            served *= 1.0 - k[K_SHED]
        for e in range(first[i], first[i + 1]):
            j = target[e]
            if kind[i] == QUEUE:
                worker = state[j]
                replicas = max(0.0, worker[S_REPLICAS] * knobs[j, K_REPLICAS] * knobs[j, K_ALIVE])
                if worker[S_DOWN] > 0.0:
                    replicas *= 1.0 - worker[S_DOWN_SHARE]
                replicas *= 1.0 - knobs[j, K_HANG]
                work = service_s[j] * knobs[j, K_COST] / max(knobs[j, K_SPEED], 1e-3)
                able = replicas * min(threads[j] / max(worker[S_HOLD], 1e-4), 0.9 * cores[j] / work)
                able *= k[K_CONSUME] * knobs[j, K_CONSUME] * (1.0 - 0.9 * k[K_POISON])
                taken = min(able, s[S_DEPTH] / dt + rate[i])
                s[S_DEPTH] = max(0.0, s[S_DEPTH] + (rate[i] - taken) * dt)
                n[N_CONSUMED] += _poisson(chance, taken * dt)
                n[N_REDELIVERED] += _poisson(chance, (k[K_POISON] * 4.0 + taken * worker[S_ERROR]) * dt)
                n[N_AGE] = s[S_DEPTH] / max(taken, 0.05)
                offered[e] = taken
                rate[j] += taken
                continue
            asked = served * calls[e] * (1.0 - knobs[j, K_OPEN])
            if cache[e] >= 0:
                c = cache[e]
                up = knobs[c, K_ALIVE] * (1.0 - knobs[c, K_HANG])
                if state[c, S_DOWN] > 0.0:
                    up *= 1.0 - state[c, S_DOWN_SHARE]
                hit = hit_ratio[c] * state[c, S_WARM] * knobs[c, K_HIT] * up
                node[c, N_HITS] += _poisson(chance, asked * hit * dt)
                node[c, N_MISSES] += _poisson(chance, asked * (1.0 - hit) * dt)
                asked *= 1.0 - hit
            again, share, tries = 0.0, edge[e, E_SHARE], min(retries[e] + k[K_RETRIES], k[K_CAP])
            failing = share
            while tries >= 1.0 and failing > 1e-4:
                again += failing
                failing *= share
                tries -= 1.0
            n[N_RETRIES] += _poisson(chance, asked * again * dt)
            offered[e] = asked * (1.0 + again)
            if mode[e] == SYNC:
                rate[j] += offered[e]
            else:
                rate[j] += asked


@native
def _up(  # noqa: PLR0912, PLR0915, PLR0917  one node after another; its parts share every number
    dt: float, load: float, chance: Any,
    kind: Any, host: Any, entry: Any, service_s: Any, wait_s: Any, sigma: Any, cores: Any, threads: Any, base: Any,
    scales: Any, memory_bytes: Any, memory_share: Any,
    first: Any, target: Any, mode: Any, calls: Any, timeout_s: Any, retries: Any, pool: Any, vital: Any,
    knobs: Any, state: Any, node: Any, edge: Any, machine: Any, rate: Any, offered: Any,
) -> None:  # fmt: skip
    """Up the graph: how long it takes and how often it fails, callees before callers, and what exporters show of it."""
    for i in range(len(kind) - 1, -1, -1):
        s, k, n = state[i], knobs[i], node[i]
        shed = k[K_SHED] if entry[i] > 0.0 else 0.0
        arriving = rate[i] * (1.0 - shed)
        alive = k[K_ALIVE]
        if s[S_DOWN] > 0.0:
            alive *= 1.0 - s[S_DOWN_SHARE]
            s[S_DOWN] = max(0.0, s[S_DOWN] - dt)
        replicas = s[S_REPLICAS] * k[K_REPLICAS]
        working = replicas * alive * (1.0 - k[K_HANG])
        busy_replicas = working
        if k[K_UNEVEN] > 0.0:
            busy_replicas = min(working, 1.0 / k[K_UNEVEN])
        speed, disk_slow = k[K_SPEED], k[K_DISK_SLOW]
        if host[i] >= 0:
            speed *= machine[host[i], M_SPEED]
            disk_slow *= machine[host[i], M_DISK_SLOW]
        if s[S_MEMORY] > 0.82:
            speed *= max(0.25, 1.0 - 4.0 * (s[S_MEMORY] - 0.82))
        tremble = exp(0.05 * s[S_FAST] + 0.07 * s[S_SLOW])
        work = service_s[i] * k[K_COST] / max(speed, 1e-3)
        server_count = max(busy_replicas * cores[i], 1e-3)
        own_cores = k[K_JOB]
        if entry[i] <= 0.0:  # work of its own that no user asked for: indexing, reports, compaction
            own_cores += min(0.6, 1.5 * s[S_SPIKE]) * cores[i] * replicas * 0.5
        rho = (arriving * work + own_cores) / server_count
        unevenness = 0.5 * (1.3 + exp(sigma[i] * sigma[i]) - 1.0)
        waiting = _wait(rho, max(server_count, 1.0), work, unevenness)
        still = wait_s[i] * disk_slow + k[K_DELAY] + k[K_LOCK] * LOCK_S
        alone = (work + still) * tremble + waiting
        fine, whole, stuck, stuck_s = 1.0, alone, 0.0, 0.0
        pool_used, pool_waiting, pool_room, timeouts = 0.0, 0.0, 0.0, 0.0
        for e in range(first[i], first[i + 1]):
            if mode[e] != SYNC:
                if kind[i] != QUEUE and (knobs[target[e], K_ALIVE] < 0.5 or knobs[target[e], K_CUT] > 0.5):
                    edge[e, E_SHARE] = 1.0
                else:
                    edge[e, E_SHARE] = 0.0
                whole += 0.0004 * calls[e]
                edge[e, E_TIME], edge[e, E_RATE] = 0.0004, offered[e]
                continue
            j = target[e]
            t, patience = state[j], timeout_s[e] * k[K_TIMEOUT]
            reach_s = t[S_HOLD] + 2.0 * (knobs[j, K_NET] + k[K_NET]) + 0.25 * (knobs[j, K_LOSS] + k[K_LOSS])
            late = (1.0 - t[S_TIMED_OUT]) * _beyond(reach_s, sigma[j], patience)
            late += t[S_TIMED_OUT] * _beyond(reach_s, sigma[j], patience - 1.0)
            lost = min(1.0, 1.6 * (knobs[j, K_LOSS] + k[K_LOSS]) ** 1.5)
            down_share = 0.0
            if t[S_DOWN] > 0.0:
                down_share = t[S_DOWN_SHARE] ** 1.5  # the balancer takes the dead out, not at once
            dead = (1.0 - knobs[j, K_ALIVE]) ** 1.3
            silent = 1.0 - (1.0 - knobs[j, K_HANG]) * (1.0 - knobs[j, K_CUT]) * (1.0 - late) * (1.0 - lost)
            refused = 1.0 - (1.0 - t[S_ERROR]) * (1.0 - knobs[j, K_UNNAMED]) * (1.0 - dead) * (1.0 - down_share)
            refused = 1.0 - (1.0 - refused) * (1.0 - knobs[j, K_UNTRUSTED])
            held = (1.0 - silent) * min(reach_s, patience) + silent * patience
            room = max(0.5, pool[e] * replicas * k[K_POOL_SIZE] * (1.0 - s[S_POOL]))
            full = offered[e] * held / room
            queue_s = min(POOL_WAIT_S, _wait(full, room, held, 1.0))
            crowded = 0.0
            if full > 1.0:
                crowded, queue_s = 1.0 - 1.0 / full, POOL_WAIT_S
            elif s[S_POOL] > 0.95:
                crowded, queue_s = 0.9, POOL_WAIT_S
            pool_used += min(room, offered[e] * held) + s[S_POOL] * pool[e] * replicas
            pool_waiting += offered[e] * queue_s
            pool_room += pool[e] * replicas * k[K_POOL_SIZE]
            fail = 1.0 - (1.0 - silent) * (1.0 - refused) * (1.0 - crowded)
            edge[e, E_SHARE] = 0.5 * edge[e, E_SHARE] + 0.5 * fail
            edge[e, E_LATE] = 1.0 - (1.0 - knobs[j, K_HANG]) * (1.0 - late) * (1.0 - lost)
            edge[e, E_UNREACHED], edge[e, E_UNNAMED] = knobs[j, K_CUT], knobs[j, K_UNNAMED]
            edge[e, E_UNTRUSTED], edge[e, E_CROWDED] = knobs[j, K_UNTRUSTED], crowded
            edge[e, E_GONE], edge[e, E_ANSWERED] = 1.0 - (1.0 - dead) * (1.0 - down_share), t[S_ERROR]
            edge[e, E_ROUND_TRIP] = 0.0005 * exp(0.3 * _normal(chance)) + 2.0 * (knobs[j, K_NET] + k[K_NET])
            tries = floor(min(retries[e] + k[K_RETRIES], k[K_CAP]))
            attempts, gone = 1.0, fail
            while tries >= 1.0 and gone > 1e-6:
                attempts += gone
                gone *= fail
                tries -= 1.0
            often = 1.0
            if arriving > 1e-9:
                often = min(calls[e], offered[e] / max(arriving, 1e-9))
            if knobs[j, K_OPEN] > 0.0:
                often *= 1.0 - knobs[j, K_OPEN]
            seconds = queue_s + (1.0 - silent) * min(reach_s, patience)
            whole += often * attempts * seconds
            hung = min(1.0, often) * silent
            if hung > stuck:
                stuck_s = max(stuck_s, patience * attempts)
            stuck = 1.0 - (1.0 - stuck) * (1.0 - hung)
            timeouts += offered[e] * silent
            fine *= 1.0 - min(1.0, often) * gone * vital[e] * (1.0 - knobs[j, K_OPEN])
            edge[e, E_TIME], edge[e, E_RATE] = queue_s + held, offered[e]
            done = _poisson(chance, offered[e] * dt)
            edge[e, E_COUNT] += done
            edge[e, E_FAILED] += _binomial(chance, done, fail)
            gone_packets = 0.0005 + 4.0 * (knobs[j, K_LOSS] + k[K_LOSS]) + 3.0 * knobs[j, K_CUT]
            edge[e, E_RETRANSMITTED] += _poisson(chance, done * gone_packets)
            edge[e, E_SUM] += done * (queue_s + held) * max(0.1, 1.0 + 0.5 * _normal(chance) / sqrt(done + 1.0))
        # Threads are held for the whole of it.
        hold = whole + stuck * stuck_s
        thread_count = max(busy_replicas * threads[i] * k[K_THREADS], 1e-3)
        able = min(0.98 * server_count / max(work, 1e-9), thread_count / max(hold, 1e-6))
        able = max(able - own_cores / max(work, 1e-9) * 0.5, 0.02 * able)
        rho_threads = arriving * hold / thread_count
        waiting_threads = min(10.0, _wait(rho_threads, max(thread_count, 1.0), hold, unevenness))
        refused_share = 0.0
        if kind[i] != QUEUE:
            grown = s[S_BACKLOG] + (arriving - able) * dt
            bound = able * BACKLOG_S
            if grown > bound:
                refused_share = min(1.0, (grown - bound) / max(arriving * dt, 1e-9))
                grown = bound
            s[S_BACKLOG] = max(0.0, grown)
            if s[S_BACKLOG] > 0.0:
                waiting_threads = s[S_BACKLOG] / max(able, 1e-6)
        total = whole + min(waiting_threads, BACKLOG_S)
        files_full = 0.0
        if s[S_FILES] >= 1.0:
            files_full = 0.55
        disk_full = 0.0
        if s[S_DISK] >= 0.995:
            disk_full = 0.5
        stale = 0.3 * min(1.0, s[S_LAG] / 60.0)
        skewed = min(0.5, abs(k[K_SKEW]) / 600.0)
        good = (1.0 - min(1.0, k[K_ERROR])) * (1.0 - refused_share) * (1.0 - files_full) * (1.0 - disk_full)
        good *= (1.0 - stale) * (1.0 - skewed) * (1.0 - k[K_DEADLOCK]) * (1.0 - 0.00015 * exp(0.5 * s[S_SLOW]))
        good *= (1.0 - k[K_DENIED]) * (1.0 - k[K_LIMITED]) * (1.0 - k[K_GARBLED])
        n[N_BY_CODE], n[N_BY_FILES], n[N_BY_CLOCK], n[N_BY_LOAD] = (
            min(1.0, k[K_ERROR]),
            files_full,
            skewed,
            refused_share,
        )
        n[N_BY_DENIAL], n[N_BY_LIMIT], n[N_BY_GARBLE] = k[K_DENIED], k[K_LIMITED], k[K_GARBLED]
        dead = (1.0 - alive) ** 1.3
        seen = 0.0
        if entry[i] > 0.0:  # the balancer before an entry answers for what is gone
            seen = 1.0 - (1.0 - dead) * (1.0 - k[K_HANG]) * (1.0 - k[K_CUT]) * (1.0 - k[K_UNNAMED])
            seen = 1.0 - (1.0 - seen) * (1.0 - k[K_UNTRUSTED])
            n[N_BY_SILENCE] = 1.0 - (1.0 - k[K_HANG]) * (1.0 - min(1.0, 1.6 * k[K_LOSS] ** 1.5))
            n[N_BY_CUT], n[N_BY_NAME], n[N_BY_TRUST], n[N_BY_ABSENCE] = k[K_CUT], k[K_UNNAMED], k[K_UNTRUSTED], dead
            stuck = 1.0 - (1.0 - stuck) * (1.0 - k[K_HANG]) * (1.0 - k[K_CUT])
            total += 2.0 * k[K_NET] + 0.25 * k[K_LOSS]
            seen = 1.0 - (1.0 - seen) * (1.0 - min(1.0, 1.6 * k[K_LOSS] ** 1.5))
            stuck_s = max(stuck_s, 5.0 * k[K_HANG])
        error = 1.0 - good * fine * (1.0 - seen)
        s[S_HOLD], s[S_ERROR], s[S_TIMED_OUT], s[S_RHO] = total, error, stuck, rho
        used = min(arriving * (1.0 - refused_share) * work + own_cores, server_count)
        s[S_SERVED] += SETTLE * (1.0 - refused_share - s[S_SERVED])
        own_s = alone + min(waiting_threads, BACKLOG_S)
        if host[i] >= 0:
            machine[host[i], M_USED] += used * max(speed, 0.05)
        # What the exporters of this node show.
        came = _poisson(chance, rate[i] * dt * (1.0 + 0.02 * s[S_FAST] * s[S_FAST]))
        failed = _binomial(chance, came, 1.0 - (1.0 - error) * (1.0 - shed))
        went = came - failed
        _fill_buckets(chance, n, went, total, stuck, stuck_s, sigma[i])
        mean_s = (1.0 - stuck) * total + stuck * (total + stuck_s)
        n[N_COUNT] += went
        n[N_FAILED] += failed
        scatter = sqrt(exp(sigma[i] * sigma[i]) - 1.0) * _normal(chance) / sqrt(went + 1.0)
        n[N_SUM] += went * mean_s * max(0.2, 1.0 + scatter)
        n[N_FAILED_SUM] += failed * (0.3 * total + stuck * stuck_s)
        share = used / max(replicas * cores[i], 1e-6)
        n[N_CPU] = min(
            1.0, max(0.001, share * max(0.2, 1.0 + 0.08 * _heavy(chance)) + 0.015 + 0.004 * abs(_heavy(chance)))
        )
        n[N_CPU_S] += n[N_CPU] * replicas * cores[i] * dt
        s[S_WAVE] += dt * (0.0004 + 0.0000006 * arriving) * (1.0 + 0.3 * s[S_FAST])
        if s[S_WAVE] > 0.08:  # garbage is collected
            n[N_GC] += 0.02 + 0.05 * _uniform(chance) + 0.6 * max(0.0, s[S_MEMORY] - 0.7)
            s[S_WAVE] = 0.01 * _uniform(chance)
        elif s[S_MEMORY] > 0.82:
            n[N_GC] += dt * min(0.6, 3.0 * (s[S_MEMORY] - 0.82))
        s[S_MEMORY] += k[K_MEMORY] * dt * (0.5 + 0.5 * min(2.0, load))
        shown = min(1.0, s[S_MEMORY] + s[S_WAVE])
        if s[S_MEMORY] >= 1.0:  # killed for its memory, one replica after another
            s[S_MEMORY] = memory_share[i] + 0.2
            s[S_DOWN], s[S_DOWN_SHARE] = RESTART_S, min(1.0, max(0.35, 1.0 / max(replicas, 1.0)))
            n[N_RESTARTS] += 1.0
        if k[K_ALIVE] < 1.0 and _uniform(chance) < dt / 60.0:
            n[N_RESTARTS] += 1.0
        n[N_MEMORY_SHARE] = shown
        n[N_MEMORY] = shown * memory_bytes[i] * max(1.0, replicas)
        s[S_FILES] = min(1.0, s[S_FILES] + k[K_FILES] * dt)
        s[S_POOL] = min(0.98, s[S_POOL] + k[K_POOL] * dt)
        s[S_DISK] = min(1.0, s[S_DISK] + k[K_DISK] * dt)
        if k[K_LAG] > 0.0:
            s[S_LAG] += k[K_LAG] * dt
        else:
            s[S_LAG] = max(0.0, s[S_LAG] - 6.0 * dt)
        s[S_WARM] += (1.0 - s[S_WARM]) * (1.0 - exp(-dt / WARM_S))
        n[N_ACTIVE] = _poisson(chance, min(arriving * hold, thread_count * 1.5)) + floor(s[S_BACKLOG])
        n[N_THREADS] = floor(min(thread_count, arriving * hold) + 6.0 * replicas)
        open_files = 60.0 * replicas + n[N_ACTIVE] + pool_used + s[S_FILES] * FILES_MAX * replicas
        n[N_FILES] = floor(min(open_files, FILES_MAX * replicas))
        n[N_REPLICAS] = floor(replicas * alive + 0.5)
        n[N_FILES_MAX] = FILES_MAX * replicas
        n[N_POOL], n[N_POOL_MAX] = floor(pool_used + 0.5), pool_room
        n[N_POOL_WAITING] = _poisson(chance, pool_waiting)
        n[N_TIMEOUTS] += _poisson(chance, timeouts * dt)
        n[N_RECEIVED] += came * 900.0 * (1.0 + 0.02 * _normal(chance))
        n[N_SENT] += came * 5200.0 * (1.0 + 0.03 * _normal(chance))
        n[N_DISK] = s[S_DISK]
        n[N_DISK_S] += came * 0.0003 * disk_slow * (1.0 + 0.05 * _normal(chance))
        if kind[i] == DATABASE:
            n[N_SESSIONS] = floor(12.0 + arriving * hold + k[K_LOCK] * arriving * LOCK_S)
            n[N_DEADLOCKS] += _poisson(chance, arriving * k[K_DEADLOCK] * dt)
            n[N_LOCKS] = _poisson(chance, 0.2 + k[K_LOCK] * arriving * LOCK_S)
            n[N_ROWS] += came * 14.0 * k[K_COST] * k[K_COST]
            n[N_SEQUENTIAL] += _poisson(chance, came * min(1.0, 0.002 + k[K_SCANS]))
            s[S_OLDEST] = s[S_OLDEST] + dt if k[K_OLDEST] > 0.0 else 0.0
            n[N_OLDEST] = s[S_OLDEST] + total * (2.0 + 0.5 * abs(_heavy(chance)))
            n[N_COMMITS] += went
            n[N_ROLLBACKS] += failed
        n[N_LAG] = s[S_LAG] + 0.05 * exp(s[S_FAST] * 0.6)
        if kind[i] == CACHE:
            n[N_SESSIONS] = floor(8.0 + arriving * hold * 20.0)
            n[N_EVICTED] += _poisson(chance, (1.0 - s[S_WARM]) * arriving * 0.2 * dt)
        n[N_DEPTH] = floor(s[S_DEPTH])
        n[N_RATE], n[N_ERROR], n[N_OWN] = rate[i], error, own_s
        n[N_TOTAL], n[N_TIMED_OUT] = total, stuck
        n[N_JOBS] = floor(k[K_JOBS])
        if own_cores > 0.1 * cores[i] * replicas:
            n[N_JOBS] = max(n[N_JOBS], 1.0)
        n[N_PRESENT] = 1.0
        if k[K_SILENT] > 0.0 or kind[i] == EXTERNAL or alive < 0.02:
            n[N_PRESENT] = 0.0
        if scales[i] > 0:
            _scale(dt, s, rho, base[i])


@native
def _machines(  # noqa: PLR0917  columns
    dt: float, chance: Any, host: Any, knobs: Any, state: Any, machine: Any, measured: Any
) -> None:
    """What the exporters of the hosts show."""
    for h in range(len(machine)):
        m, out = machine[h], measured[h]
        used = min(1.0, (m[M_USED] + m[M_FOREIGN]) / m[M_CORES])
        out[H_CPU] = min(
            1.0, max(0.002, used * max(0.2, 1.0 + 0.06 * _heavy(chance)) + 0.02 + 0.008 * abs(_heavy(chance)))
        )
        m[M_LOAD] += (1.0 - exp(-dt / 60.0)) * ((m[M_USED] + m[M_FOREIGN]) * 1.05 - m[M_LOAD])
        out[H_LOAD] = max(0.0, m[M_LOAD] * (1.0 + 0.05 * m[M_FAST]))
        out[H_RECEIVED] += dt * (2e5 + 4e6 * used) * max(0.1, 1.0 + 0.15 * _heavy(chance))
        out[H_SENT] += dt * (1e5 + 6e6 * used) * max(0.1, 1.0 + 0.15 * _heavy(chance))
        out[H_DISK_BYTES] += dt * (3e4 + 2e6 * used) * max(0.1, 1.0 + 0.3 * _heavy(chance))
        out[H_DISK_S] += dt * min(1.0, (0.02 + 0.05 * used) * m[M_DISK_SLOW] * max(0.1, 1.0 + 0.25 * _heavy(chance)))
        foreign = min(m[M_FOREIGN], m[M_CORES]) + 0.02 * exp(0.5 * m[M_FAST])
        out[H_FOREIGN] += dt * foreign * max(0.1, 1.0 + 0.1 * _heavy(chance))
        m[M_DISK] = min(1.0, m[M_DISK] + dt * 1.5e-8)
        fullest, loss, memory, count = 0.0, 0.0, 0.0, 0.0
        for i in range(len(host)):
            if host[i] == h:
                fullest = max(fullest, state[i, S_DISK])
                loss = max(loss, knobs[i, K_LOSS])
                memory += state[i, S_MEMORY]
                count += 1.0
        out[H_DISK] = min(1.0, max(m[M_DISK], fullest))
        out[H_MEMORY] = min(0.99, 0.15 + 0.7 * memory / max(count, 1.0) + 0.002 * m[M_FAST])
        out[H_DROPPED] += _poisson(chance, (0.02 + loss * 400.0) * dt)


@native
def run(  # noqa: PLR0917  columns
    dt: float, demand: Any, chance: Any,
    kind: Any, host: Any, entry: Any, service_s: Any, wait_s: Any, sigma: Any, cores: Any, threads: Any, base: Any,
    scales: Any, memory_bytes: Any, memory_share: Any, hit_ratio: Any,
    first: Any, source: Any, target: Any, mode: Any, calls: Any, timeout_s: Any, retries: Any, pool: Any, vital: Any,
    cache: Any, users: float,
    knobs: Any, state: Any, node: Any, edge: Any, machine: Any, measured: Any,
    node_out: Any, edge_out: Any, host_out: Any,
) -> None:  # fmt: skip
    """Play `len(demand)` ticks. Changes `knobs` not at all, every state in place, and fills the three outputs.

    Args:
        dt: Seconds of a tick.
        demand: Users' load beside the mean one, float64, (tick,).
        chance: State of the generator, uint64, (1,).
        kind … cache: The topology's columns; `first` is where each node's edges begin, int64, (node + 1,).
        users: Mean requests a second.
        knobs, state: float64, (node, Knob) and (node, State).
        node, edge, measured: What was measured last, so that counters go on: (node, Node), (edge, Edge), (host, Host).
        machine: float64, (host, HostState).
        node_out, edge_out, host_out: float64, (tick, …): what was measured at each tick's end.
    """
    rate, offered = np.zeros(len(kind)), np.zeros(len(source))
    fast_keep = exp(-dt / 40.0)
    fast_step = sqrt(1 - fast_keep * fast_keep)
    for tick in range(len(demand)):
        for h in range(len(machine)):
            need = machine[h, M_USED] + machine[h, M_FOREIGN]
            machine[h, M_SPEED] = min(1.0, 0.98 * machine[h, M_CORES] / max(need, 1e-6))
            machine[h, M_USED] = 0.0
            machine[h, M_FAST] = fast_keep * machine[h, M_FAST] + fast_step * _normal(chance)
        _users(dt, demand[tick], chance, entry, users, knobs, state, rate)
        _down(
            dt, chance, kind, entry, service_s, cores, threads, hit_ratio, first, target, mode, calls, retries, cache,
            knobs, state, node, edge, rate, offered,
        )  # fmt: skip
        _up(
            dt, demand[tick], chance, kind, host, entry, service_s, wait_s, sigma, cores, threads, base, scales,
            memory_bytes, memory_share, first, target, mode, calls, timeout_s, retries, pool, vital,
            knobs, state, node, edge, machine, rate, offered,
        )  # fmt: skip
        _machines(dt, chance, host, knobs, state, machine, measured)
        node_out[tick], edge_out[tick], host_out[tick] = node, edge, measured
