"""Chance that is looked up, not drawn: the same place gives the same number, in whatever order it is asked.

SplitMix64's finaliser over the seed and the place. Source: G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom
number generators, OOPSLA (2014).
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def hashed(seed: int, purpose: int, *places: NDArray[np.int64]) -> Hashes:
    """64 bits for each place, uint64, of the places' common shape."""
    value = np.full(np.broadcast_shapes(*(place.shape for place in places)), seed * 64 + purpose, np.uint64)
    with np.errstate(over="ignore"):
        for place in places:
            value = _mixed(value + place.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    return value


def uniform(seed: int, purpose: int, *places: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in (0, 1) for each place."""
    share: NDArray[np.float64] = ((hashed(seed, purpose, *places) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return share


def normal(seed: int, purpose: int, *places: NDArray[np.int64]) -> NDArray[np.float64]:
    """A standard normal number for each place (Box and Muller)."""
    first, second = uniform(seed, purpose, *places), uniform(seed, purpose + 32, *places)
    number: NDArray[np.float64] = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
    return number


def hexadecimal(*words: Hashes) -> pa.StringArray:
    """16 digits of each word in turn, joined: ids as traces have them."""
    count = len(words[0])
    digits = np.stack(words, axis=1).astype(">u8").tobytes().hex().encode()
    offsets = np.arange(count + 1, dtype=np.int32) * 16 * len(words)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digits))


def _mixed(value: Hashes) -> Hashes:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = value ^ (value >> np.uint64(31))
    return mixed
