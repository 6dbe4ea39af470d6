"""How rare a score is, from a stream's own past peaks: calibrated, also with few of them.

Scores over a threshold come in clusters, since telemetry is autocorrelated; only the peak of a cluster is
counted. The logarithm of peak over threshold is taken as exponential (a Pareto tail, the heavy-tailed
domain of attraction). With `count` peaks whose log-excesses sum to `total`, the chance that the next
peak exceeds log-excess `y` is exactly (1 + y / total) ** -count: the ratio of independent exponentials has no
other parameter. So a young stream has a heavy tail by itself, and tiny chances need much evidence.

Sources: J. Pickands, Statistical Inference Using Extreme Order Statistics, Ann. Stat. 3 (1975), 119-131 (peaks over
threshold); B. M. Hill, A Simple General Approach to Inference About the Tail of a Distribution, Ann. Stat. 3 (1975),
1163-1174 (mean log-excess); M. R. Leadbetter et al., Extremes and Related Properties of Random Sequences and Processes,
Springer 1983 (clusters); A. Siffer et al., Anomaly Detection in Streams with Extreme Value Theory, KDD 2017 (online).
"""

from typing import Any

from cerebro.algorithms.native import native

# Fields of one tail, float32, (TAIL_FIELDS,)
THRESHOLD, COUNT, TOTAL, RATE, PEAK, QUIET, TOP = range(7)
TAIL_FIELDS = 7

PRIOR_COUNT = 30.0  # peaks that a stream is born with, of its class' mean log-excess
PRIOR_EXCESS = 0.25  # mean log-excess of a class nobody has seen: tail index 4, heavier than most telemetry
RUN = 4.0  # samples under the threshold that end a cluster
MEMORY_PEAKS = 1000.0
MEMORY_SAMPLES = 50_000.0
EXCEEDANCE = 0.03  # share of samples that the threshold is steered to leave above it
STEER_FIRST, STEER_LAST = 0.05, 0.003
EPISODES_KNOWN, EPISODES_USUAL = 1.5, 2.5  # of late: with the second, and with the third
PEAK_BOUND = 3.0  # mean log-excesses that the first episode of late teaches


@native
def begin(tail: Any, threshold_min: float) -> None:
    """Make a new tail in place."""
    tail[:] = 0.0
    tail[THRESHOLD] = threshold_min
    tail[RATE] = 0.02
    tail[QUIET] = RUN


@native
def chance_beyond(excess: float, count: float, total: float) -> float:
    """Chance that the next peak's log-excess is at least `excess`, after `count` peaks that summed to `total`.

    >>> round(chance_beyond(0.0, 10.0, 2.5), 3), round(chance_beyond(2.5, 10.0, 2.5), 6)
    (1.0, 0.000977)
    """
    return float((1.0 + excess / total) ** -count)


@native
def rate_beyond(tail: Any, log_excess: float, prior_excess: float) -> float:
    """Expected clusters a sample whose peak has at least this log-excess: the calibrated rarity of a score."""
    count = PRIOR_COUNT + tail[COUNT]
    total = PRIOR_COUNT * prior_excess + tail[TOTAL]
    return float(tail[RATE] * chance_beyond(log_excess, count, total))


@native
def paces(sample_count: float) -> Any:
    """How far a sample moves the rate and the threshold of the tails of a stream that has shown so many."""
    weight = max(1.0 / (sample_count + 100.0), 1.0 / MEMORY_SAMPLES)
    return weight, max(STEER_FIRST / (1.0 + sample_count / 100.0), STEER_LAST)


@native
def learn(tail: Any, log_excess: float, weight: float, gain: float, threshold_min: float) -> None:
    """Take in the score of one ordinary sample, as `log(score / threshold)`. Changes the tail in place.

    Args:
        tail: float32, (TAIL_FIELDS,).
        log_excess: Below 0 for a score under the threshold.
        weight: Of this sample in the rate of clusters, as `paces` gives it.
        gain: Of the threshold's steering, as `paces` gives it.
        threshold_min: The threshold is never steered below this.
    """
    ended = 0.0
    if log_excess > 0.0:
        tail[PEAK] = max(tail[PEAK], log_excess)
        tail[QUIET] = 0.0
    elif tail[PEAK] > 0.0:
        tail[QUIET] += 1.0
        if tail[QUIET] >= RUN:
            add_peak(tail, tail[PEAK])
            tail[TOP] = max(tail[TOP], tail[PEAK])
            tail[PEAK] = 0.0
            ended = 1.0
    tail[RATE] += (ended - tail[RATE]) * weight
    moved = 1.0 + gain * ((1.0 if log_excess > 0.0 else 0.0) - EXCEEDANCE)
    tail[THRESHOLD] = max(tail[THRESHOLD] * moved, threshold_min)


@native
def add_peak(tail: Any, log_excess: float) -> None:
    """Count one cluster's peak; the oldest fade once `MEMORY_PEAKS` are in."""
    keep = 1.0 - 1.0 / MEMORY_PEAKS if tail[COUNT] >= MEMORY_PEAKS else 1.0
    tail[COUNT] = tail[COUNT] * keep + 1.0
    tail[TOTAL] = tail[TOTAL] * keep + log_excess


@native
def teach(tail: Any, log_excess: float, episode_count: float) -> None:
    """Let the tail know the peak of an episode that was told. Changes it in place.

    The first may have been an incident and teaches little; with the second the tail was wrong by so much, or there were
    two incidents, and it is counted as it is; what comes a third time is the nature of the stream, and no rarer than
    once in the time watched.

    Args:
        tail: float32, (TAIL_FIELDS,).
        log_excess: Of the highest score of the episode, at least 0.
        episode_count: Episodes of late, this one included; the earlier ones fade.
    """
    if episode_count >= EPISODES_USUAL:
        tail[TOP] = max(tail[TOP], log_excess)
    known = episode_count >= EPISODES_KNOWN
    mean = (tail[TOTAL] + 1.0) / (tail[COUNT] + 4.0)
    add_peak(tail, log_excess if known else min(log_excess, PEAK_BOUND * mean))
