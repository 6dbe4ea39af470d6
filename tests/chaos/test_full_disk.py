"""A full disk: a clear refusal, nothing acknowledged lost, and on again when there is room."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cramjam
import httpx
import pytest

from cerebro.cli.bench.instance import Instance, instance
from cerebro.intake.decode.proto.remote_pb2 import WriteRequest

SIZE_MIB = 900
LEFT_MIB = 20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, in memory, that is full soon."""
    place = Path("/tmp") / f"cbr-disk-{os.getpid()}"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip("needs the right to mount a small file system")
    place.chmod(0o755)
    yield place
    subprocess.run(["umount", "-l", place], check=True)
    place.rmdir()


def body(number: int) -> bytes:
    request = WriteRequest()
    series = request.timeseries.add()
    for name, value in (("__name__", "disk_number"), ("job", "disk")):
        series.labels.add(name=name.encode(), value=value.encode())
    series.samples.add(value=number, timestamp=time.time_ns() // 1_000_000)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def send(cerebro: Instance, key: str, number: int) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    return httpx.post(f"{cerebro.url}/api/v1/write", content=body(number), headers=headers, timeout=30)


def send_until(
    cerebro: Instance, key: str, numbers: Iterator[int], accepted: bool, acknowledged: set[int]
) -> httpx.Response:
    """Send until the door answers as expected, for at most half a minute; the last answer."""
    until_s = time.monotonic() + 30
    while True:
        number = next(numbers)
        answer = send(cerebro, key, number)
        if answer.is_success:
            acknowledged.add(number)
        if answer.is_success == accepted or time.monotonic() > until_s:
            return answer
        time.sleep(0.2)


def stored(cerebro: Instance) -> set[int]:
    query = (
        "SELECT toUInt64(value) FROM samples WHERE (hi, lo) IN (SELECT hi, lo FROM series WHERE metric = 'disk_number')"
    )
    headers = {"Authorization": f"Bearer {cerebro.key}"}
    answer = httpx.post(f"{cerebro.url}/api/v1/sql", json={"query": query}, headers=headers, timeout=30)
    answer.raise_for_status()
    return {int(row[0]) for row in answer.json()["rows"]}


@pytest.mark.timeout(240)
def test_full_disk_is_refused_clearly_and_loses_nothing(small_disk):
    """Senders get 503 with Retry-After while there is no room, and 2xx again once there is."""
    minimum = str(2 * LEFT_MIB << 20)
    with instance(home=small_disk, HOST__ENABLED="false", ENGINES__DISK_FREE_BYTES_MIN=minimum) as cerebro:
        key, numbers, acknowledged = cerebro.make_key("ingest"), iter(range(1_000_000)), set[int]()
        assert send_until(cerebro, key, numbers, True, acknowledged).is_success
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - (LEFT_MIB << 20))

        refused = send_until(cerebro, key, numbers, False, acknowledged)
        ballast.unlink()
        again = send_until(cerebro, key, numbers, True, acknowledged)

        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert again.is_success
        until_s = time.monotonic() + 30
        while not acknowledged <= stored(cerebro) and time.monotonic() < until_s:
            time.sleep(0.5)
        assert acknowledged <= stored(cerebro)
