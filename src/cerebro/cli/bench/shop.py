"""What the real shop costs beside Cerebro: the CPU and the memory of every process of both, under load."""

import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from cerebro.cli.bench.figure import Figure
from cerebro.cli.bench.instance import instance
from cerebro.spine.errors import Unavailable

CORES = 2  # of the machine that the figures are for
RATE = 50.0  # arrivals a second, about 70 requests at the front door
WARM_S, MEASURE_S = 30.0, 45.0
MIB = 1 << 20


def run(rate: float = RATE, measure_s: float = MEASURE_S) -> list[Figure]:
    """Start both, let them warm up, and count over a stretch in which nothing is wrong."""
    with instance() as cerebro:
        try:
            cerebro.cerebro("shop", "up", "--rate", f"{rate:g}")
            time.sleep(WARM_S)
            ours = family_of(cerebro.data_dir, "cerebro.proving.shop.house")
            theirs = [each for each in family_of(cerebro.data_dir, "") if each not in ours]
            used_s, took_s = _spent([ours, theirs], measure_s)
            memory_mib = [_pss(each) / MIB for each in (ours, theirs)]
        finally:
            cerebro.cerebro("shop", "down")
    shop, brain = (100 * each / took_s / CORES for each in used_s)
    return [
        Figure("shop_and_cerebro_cpu", round(shop + brain, 1), "% of 2 cores", 60.0, 40.0),
        Figure("shop_and_cerebro_memory", round(sum(memory_mib)), "MiB", 3072.0, 2048.0),
        Figure("shop_cpu", round(shop, 1), "% of 2 cores", 30.0, 20.0),
        Figure("shop_memory", round(memory_mib[0]), "MiB", 1024.0, 640.0),
    ]


def family_of(data_dir: Path, word: str) -> list[psutil.Process]:
    """The processes that were started for this directory and name the word, with all their offspring.

    Raises:
        Unavailable: There are none.
    """
    heads = [each for each in psutil.process_iter() if _is_of(each, data_dir, word)]
    if not heads:
        raise Unavailable(f"Nothing of {word or 'Cerebro'} runs in {data_dir}.")
    return list({*heads, *(child for head in heads for child in head.children(recursive=True))})


def _is_of(process: psutil.Process, data_dir: Path, word: str) -> bool:
    try:
        return process.environ().get("CEREBRO_DATA_DIR") == str(data_dir) and word in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _spent(groups: Sequence[Sequence[psutil.Process]], length_s: float) -> tuple[list[float], float]:
    """CPU seconds that each group spends over so many seconds, and how long that really took."""
    began_s, before = time.monotonic(), [sum(map(_cpu_s, group)) for group in groups]
    time.sleep(length_s)
    after = [sum(map(_cpu_s, group)) for group in groups]
    return [late - early for early, late in zip(before, after, strict=True)], time.monotonic() - began_s


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _pss(group: Sequence[psutil.Process]) -> int:
    """Memory, with what is shared divided among those who share it."""
    total = 0
    for each in group:
        try:
            total += each.memory_full_info().pss
        except psutil.Error:
            continue
    return total
