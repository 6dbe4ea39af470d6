"""The Beta distribution: what is known of a share after so many successes and failures."""

from math import exp, lgamma, log, log1p

STEPS_MAX = 300
TINY = 1e-300
CLOSE = 1e-12


def beta_below(x: float, a: float, b: float) -> float:
    """The chance that a share with so much known of it is below x: the regularised incomplete beta function.

    Source: W. Press et al., Numerical Recipes, 3rd edition (2007), 6.4, by W. Lentz's continued fraction.

    >>> round(beta_below(0.5, 2, 2), 6), round(beta_below(0.8, 10, 1), 6)
    (0.5, 0.107374)
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def beta_quantile(chance: float, a: float, b: float) -> float:
    """The share that lies above the true one with this chance, by bisection to 1e-9.

    >>> round(beta_quantile(0.05, 9, 1), 3)
    0.717
    """
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if beta_below(middle, a, b) < chance else (low, middle)
    return (low + high) / 2


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, _away(1.0 - (a + b) * x / (a + 1.0))
    d = 1.0 / d
    value = d
    for m in range(1, STEPS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < CLOSE:
            break
    return value


def _away(value: float) -> float:
    """Never zero."""
    return value if abs(value) > TINY else TINY
