"""What troubles came together before: learnt from cases that were two and began as one, and from people's hands."""

from collections.abc import Mapping, Sequence

from cerebro.casework.store import HISTORIES, HISTORY_KEY, History
from cerebro.kernel.records.port import Transaction
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey
from cerebro.spine.identity import TenantId

PAIRS_MAX = 4000
ENTITIES_MAX = 2000
BY_HAND = 3  # a person's word counts as so many times


async def learn(transaction: Transaction, tenant: TenantId, case: Case, others: Sequence[Case], *, weight: int) -> None:
    """Count that these cases came with this one; a negative weight says that they have nothing to do with it."""
    found = await transaction.load(HISTORIES, tenant, HISTORY_KEY)
    before = found.value if found else History()
    after = learned(before, case.entities[0], [other.entities[0] for other in others], weight)
    if after != before:
        await transaction.save(HISTORIES, tenant, HISTORY_KEY, after, version=found.version if found else 0)


def learned(history: History, entity: EntityKey, others: Sequence[EntityKey], weight: int) -> History:
    """The history with one more case: where it began, and where those that came with it began.

    Each pair is counted when the later of its two cases is over; the rarest are forgotten when there are too many.

    >>> a, b = EntityKey("service", "a"), EntityKey("service", "b")
    >>> learned(learned(History(), a, [], 1), b, [a], 1).together
    {'service/a\\nservice/b': 1}
    """
    alone, together = dict(history.alone), dict(history.together)
    alone[entity.text] = alone.get(entity.text, 0) + abs(weight)
    for other in {each for each in others if each != entity}:
        if abs(weight) > 1:
            alone[other.text] = alone.get(other.text, 0) + abs(weight)
        pair = "\n".join(sorted((entity.text, other.text)))
        together[pair] = max(0, together.get(pair, 0) + weight)
        if weight < 0:
            del together[pair]
    return History(_most(alone, ENTITIES_MAX), _most(together, PAIRS_MAX))


def _most(counts: Mapping[str, int], count_max: int) -> dict[str, int]:
    if len(counts) <= count_max:
        return dict(counts)
    kept = sorted(counts, key=lambda name: (-counts[name], name))[: count_max // 2]
    return {name: counts[name] for name in kept}
