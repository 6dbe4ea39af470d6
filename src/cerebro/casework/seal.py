"""Seals: what a proof's question gave once its window was over and stored, so that later answers are held against it.

An agent is sure before the store has everything: the digest of its evidence is that of what it drew. The brain asks the
same question of the store a little later, and keeps the digest of the answer. From then on the proof can be checked.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cerebro.casework.proof import CLICKHOUSE, digest, fault_of, proof_id
from cerebro.casework.reread import rows_of
from cerebro.casework.store import CASES, findings_of, known_tenants
from cerebro.kernel.clock import Clock, pause
from cerebro.kernel.kit import Kernel
from cerebro.kernel.observe.log import get_log
from cerebro.kernel.records.port import Collection, Search
from cerebro.spine.errors import CerebroError, Conflict
from cerebro.spine.findings import Evidence
from cerebro.spine.identity import TenantId

log = get_log(__name__)
ROUND_S = 15.0
STORED_MS = 30_000  # after the end of a window everything of it is in the store, but what comes late
CASES_MAX = 100  # live ones looked at in a round, the newest
FINDINGS_MAX = 20  # of one case
SEALED_MAX = 40  # in a round
REMEMBERED_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Seal:
    """What a question gave."""

    digest: str
    row_count: int
    sealed_ms: int


SEALS = Collection("seals", Seal)


async def seals_of(kernel: Kernel, tenant: TenantId, proofs: Iterable[Evidence]) -> dict[str, Seal]:
    """The seals of some proofs, by the proofs' names."""
    names = tuple({proof_id(each) for each in proofs if each.engine == CLICKHOUSE})
    if not names:
        return {}
    async with kernel.records.transaction() as transaction:
        page = await transaction.find(SEALS, tenant, Search({"key": names}, limit=len(names)))
    return {record.key: record.value for record in page.records}


def is_drawn(evidence: Evidence) -> bool:
    """Whether its digest is that of what was drawn, so that only a seal can tell what the question gave."""
    return evidence.engine == CLICKHOUSE and bool(evidence.sample) and digest(evidence.sample) == evidence.digest


class Sealer:
    """Seals the proofs of live cases."""

    name = "sealer"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._clock: Clock = kernel.clock
        self._done: set[tuple[TenantId, str]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Seal what is due every `ROUND_S` until `stop` is set."""
        while not stop.is_set():
            async with self._kernel.records.transaction() as transaction:
                tenants = await known_tenants(transaction)
            for tenant in tenants:
                await self.seal(tenant)
            await pause(self._clock, stop, ROUND_S)

    async def seal(self, tenant: TenantId) -> int:
        """Seal what is due of one tenant; how many."""
        due = [each for each in await self._proofs(tenant) if (tenant, proof_id(each)) not in self._done]
        known = await seals_of(self._kernel, tenant, due)
        self._done |= {(tenant, name) for name in known}
        count = 0
        for evidence in [each for each in due if proof_id(each) not in known][:SEALED_MAX]:
            count += await self._keep(tenant, evidence)
        if len(self._done) > REMEMBERED_MAX:
            self._done.clear()
        return count

    async def _proofs(self, tenant: TenantId) -> Sequence[Evidence]:
        """The evidence of live cases whose window is over and stored, each question once."""
        before_ms = self._clock.now_ms() - STORED_MS
        found: dict[str, Evidence] = {}
        async with self._kernel.records.transaction() as transaction:
            search = Search({"live": True}, order="-opened_ms", limit=CASES_MAX)
            for record in (await transaction.find(CASES, tenant, search)).records:
                findings = await findings_of(transaction, tenant, record.value.id, FINDINGS_MAX)
                shown = [one for finding in findings for one in finding.evidence]
                for evidence in shown + [one for cause in record.value.causes for one in cause.evidence]:
                    if not fault_of(evidence) and evidence.end_ms <= before_ms and is_drawn(evidence):
                        found[proof_id(evidence)] = evidence
        return list(found.values())

    async def _keep(self, tenant: TenantId, evidence: Evidence) -> bool:
        name = proof_id(evidence)
        try:
            found, row_count = await rows_of(self._kernel, tenant, evidence.query)
            async with self._kernel.records.transaction() as transaction:
                seal = Seal(found, row_count, self._clock.now_ms())
                await transaction.save(SEALS, tenant, name, seal, version=0)
        except Conflict:
            pass  # another brain was faster
        except CerebroError as error:
            log.debug("not_sealed", tenant=tenant, proof=name, reason=error.detail)
            if error.retry:
                return False
        self._done.add((tenant, name))
        return True
