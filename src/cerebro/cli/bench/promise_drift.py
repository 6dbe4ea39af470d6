"""Simulated tenants of one sort of series each: quiet by construction, however they drift.

Every finding on them is false. The sorts are those that break a detector that believes in fixed distributions: walks
without a level, slow autocorrelation, heavy tails, spreads that wander, seasons that move, and trends.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from cerebro.cli.bench.promise_sets import MONDAY_MS, Stream, Tenant, name_of

INTERVAL_MS = 60_000
Columns = NDArray[np.float64]
DAY = 1440


def autoregressive(shocks: Columns, memory: float) -> Columns:
    """`x[t] = memory * x[t - 1] + shock[t]`, float64, (series, sample)."""
    answer = np.empty_like(shocks)
    now = np.zeros(len(shocks))
    for t in range(shocks.shape[1]):
        now = memory * now + shocks[:, t]
        answer[:, t] = now
    return answer


def _walk(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    return 1000.0 + np.cumsum(chance.standard_normal(shape), axis=1)


def _correlated(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    return 10.0 + autoregressive(chance.standard_normal(shape), 0.95)


def _slow(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    return 50.0 + autoregressive(chance.standard_normal(shape), 0.999)


def _heavy(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    return 20.0 + chance.standard_t(3, shape)


def _wandering_spread(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    """Stochastic volatility: the logarithm of the spread is a slow process of its own."""
    spread = np.exp(autoregressive(0.02 * chance.standard_normal(shape), 0.9995))
    return 20.0 + spread * chance.standard_normal(shape)


def _clustered_spread(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    """GARCH(1, 1): a large move makes the next ones likelier to be large.

    Source: T. Bollerslev, Generalized Autoregressive Conditional Heteroskedasticity, J. Econometrics 31
    (1986), 307-327.
    """
    shocks, answer = chance.standard_normal(shape), np.empty(shape)
    variance = np.ones(shape[0])
    for t in range(shape[1]):
        answer[:, t] = np.sqrt(variance) * shocks[:, t]
        variance = 0.05 + 0.1 * answer[:, t] ** 2 + 0.85 * variance
    return 20.0 + answer


def _seasonal(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    """A day whose height and hour of the crest drift, on a slow trend, with noise in proportion."""
    t = np.arange(shape[1]) / DAY
    height = 1.0 + 0.2 * autoregressive(0.01 * chance.standard_normal(shape), 0.9999)
    crest = 0.05 * autoregressive(0.01 * chance.standard_normal(shape), 0.9999)
    level = 100.0 * (1.0 + 0.002 * t) * (1.0 + 0.5 * height * np.sin(2 * np.pi * (t + crest)))
    return np.asarray(level * (1.0 + 0.05 * chance.standard_normal(shape)))


def _trend(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    slope = chance.normal(0.0, 2.0, (shape[0], 1)) / DAY
    return 500.0 + slope * np.arange(shape[1]) + autoregressive(chance.standard_normal(shape), 0.9)


def _factors(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    """All series move with one another: what one of them says by mistake, all may say."""
    common = autoregressive(chance.standard_normal((1, shape[1])), 0.97)
    return 30.0 + common + chance.standard_normal(shape)


def _lognormal(chance: np.random.Generator, shape: tuple[int, int]) -> Columns:
    return np.asarray(100.0 * np.exp(autoregressive(0.3 * chance.standard_normal(shape), 0.9)))


SORTS: Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Columns]] = {
    "random walk": _walk,
    "autocorrelated": _correlated,
    "slow autocorrelation": _slow,
    "heavy tails": _heavy,
    "wandering spread": _wandering_spread,
    "clustered spread": _clustered_spread,
    "moving season": _seasonal,
    "trend": _trend,
    "common factor": _factors,
    "log-normal bursts": _lognormal,
}


def tenants(week_count: int = 8, series_count: int = 24, seed: int = 1) -> Iterator[Tenant]:
    """A tenant of each sort, sampled once a minute."""
    length = week_count * 7 * DAY
    at_ms = MONDAY_MS + np.arange(length, dtype=np.int64) * INTERVAL_MS
    quiet = np.ones(length, np.bool_)
    for number, (sort, draw) in enumerate(SORTS.items()):
        values = draw(np.random.default_rng([seed, number]), (series_count, length))
        yield Tenant(
            "drift",
            sort,
            tuple(
                Stream(name_of(k, "value", "service", f"s{k}"), at_ms, np.ascontiguousarray(values[k]), quiet)
                for k in range(series_count)
            ),
        )
