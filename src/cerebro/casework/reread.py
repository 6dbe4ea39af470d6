"""Ask again what a proof asked, and say whether the same comes back.

What is kept is asked for by a path: `findings/<id>` is a finding as it was published, `cases/<id>#assignee` one field
of a case, `cases/<id>#timeline?kind=opened&at_ms=1700000000000` the lines of it that match.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pyarrow as pa

from cerebro.casework.proof import CLICKHOUSE, RECORDS, digest, digest_of_rows
from cerebro.casework.store import CASES, FINDINGS
from cerebro.kernel.kit import Kernel
from cerebro.kernel.records.port import Collection
from cerebro.spine.errors import CerebroError, Invalid
from cerebro.spine.findings import Evidence
from cerebro.spine.identity import TenantId

COLLECTIONS: Mapping[str, Collection[Any]] = {each.name: each for each in (FINDINGS, CASES)}
NOT_SAID = ("case", "silence", "mark")  # what became of a finding is no part of what it says
DAY_MS = 86_400_000


class Verdict(StrEnum):
    """What asking again gave."""

    SAME = "same"
    CHANGED = "changed"
    EXPIRED = "expired"  # the data is older than it is kept for, and gone
    DRAWN = "drawn"  # the digest is that of what was drawn; the question is still answered
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Reading:
    """A question asked again.

    Args:
        digest: Of what came back now; empty when nothing did.
        row_count: Rows, or things, in it.
        detail: Why there is no answer; empty when there is one.
    """

    verdict: Verdict
    digest: str = ""
    row_count: int = 0
    detail: str = ""


def path_of(collection: str, key: str, field: str = "", **where: object) -> str:
    """The path that names what is kept.

    >>> path_of("cases", "c1", "timeline", kind="opened")
    'cases/c1#timeline?kind=opened'
    """
    chosen = f"#{field}" if field else ""
    return f"{collection}/{key}{chosen}" + (f"?{urlencode(where)}" if where else "")


def chosen(value: object, path: str) -> object:
    """What the path names of one kept value: all of it, one field, or the items of a list field that match."""
    _, _, rest = path.partition("#")
    field, _, filters = rest.partition("?")
    whole = msgspec.to_builtins(value)
    said = {name: inner for name, inner in whole.items() if name not in NOT_SAID}
    if not field:
        return said
    found = said.get(field)
    wanted = parse_qsl(filters)
    if not wanted or not isinstance(found, list | tuple):
        return found
    return [each for each in found if all(str(each.get(name)) == text for name, text in wanted)]


async def reread(kernel: Kernel, tenant: TenantId, evidence: Evidence, sealed: str = "") -> Reading:
    """Ask again.

    Args:
        sealed: The digest of what the question gave before, where the evidence's own is that of what was drawn.
    """
    try:
        found, row_count = await _answer(kernel, tenant, evidence)
    except CerebroError as error:
        return Reading(Verdict.UNANSWERED, detail=error.detail)
    if found == (sealed or evidence.digest):
        return Reading(Verdict.SAME, found, row_count)
    if row_count == 0 and _is_old(kernel, evidence):
        return Reading(Verdict.EXPIRED, found, 0)
    drawn = not sealed and bool(evidence.sample) and row_count > 0 and digest(evidence.sample) == evidence.digest
    return Reading(Verdict.DRAWN if drawn else Verdict.CHANGED, found, row_count)


async def _answer(kernel: Kernel, tenant: TenantId, evidence: Evidence) -> tuple[str, int]:
    if evidence.engine == CLICKHOUSE:
        return await rows_of(kernel, tenant, evidence.query)
    if evidence.engine != RECORDS:
        raise Invalid(f"The engine {evidence.engine!r} cannot be asked again from here.")
    name, _, rest = evidence.query.partition("/")
    key = rest.partition("#")[0].partition("?")[0]
    if name not in COLLECTIONS:
        raise Invalid(f"There is nothing kept by the name {name!r}.")
    async with kernel.records.transaction() as transaction:
        record = await transaction.load(COLLECTIONS[name], tenant, key, lock=False)
    if record is None:
        return digest(None), 0
    value = chosen(record.value, evidence.query)
    return digest(value), len(value) if isinstance(value, list | tuple) else 1


async def rows_of(kernel: Kernel, tenant: TenantId, sql: str) -> tuple[str, int]:
    """The digest of what a SELECT over the tenant's telemetry answers, and how many rows it has."""
    table = await kernel.telemetry.query(sql, tenant=tenant)
    rows: Sequence[Sequence[object]] = [tuple(row.values()) for row in readable(table).to_pylist()]
    return digest_of_rows(table.column_names, rows), len(rows)


def readable(table: pa.Table) -> pa.Table:
    """The table with times of nanoseconds cut to microseconds, for Python's own times know no finer ones."""
    for place, kept in enumerate(table.schema):
        if pa.types.is_timestamp(kept.type) and kept.type.unit == "ns":
            cut = table.column(place).cast(pa.timestamp("us", kept.type.tz), safe=False)
            table = table.set_column(place, kept.name, cut)
    return table


def _is_old(kernel: Kernel, evidence: Evidence) -> bool:
    """Whether what was asked for is older than the shortest time that telemetry is kept."""
    kept = kernel.settings.retention
    days = min(kept.metrics_days, kept.logs_days, kept.traces_days)
    return evidence.engine == CLICKHOUSE and kernel.clock.now_ms() - evidence.end_ms > days * DAY_MS
