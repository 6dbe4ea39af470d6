"""One whole Cerebro, as `cerebro up` starts it, for every test of this folder."""

from collections.abc import Iterator

import httpx
import pytest

from cerebro.cli.bench.instance import Instance, instance


@pytest.fixture(scope="session")
def whole() -> Iterator[Instance]:
    with instance(ACCESS__REQUESTS_PER_S="100000", ENGINES__DISK_FREE_BYTES_MIN=str(1 << 20)) as running:
        yield running


@pytest.fixture(scope="session")
def admin(whole: Instance) -> Iterator[httpx.Client]:
    """Someone who may do everything."""
    with httpx.Client(base_url=whole.url, headers={"Authorization": f"Bearer {whole.key}"}, timeout=30) as client:
        yield client
