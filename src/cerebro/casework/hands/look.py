"""One look at what users feel around an action: as it usually is, just before, and now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cerebro.casework.hands.felt import Felt, feels_bad, is_worse, told
from cerebro.casework.hands.users import Users
from cerebro.casework.quiet import Stretch, newest, quiet
from cerebro.kernel.settings import HandsSettings
from cerebro.spine.cases import Case
from cerebro.spine.entities import EntityKey

GAP_MS = 10_000  # before a case began, so that its beginning is not taken for usual
NAMES_MAX = 12
USUAL_BACK = 6  # times the stretch that says what is usual, is looked back for calm
CALM_MS_MIN = 30_000  # of calm, or whatever was before the case is taken
STRETCHES_MAX = 12  # of calm, each a question to the store
WIDER = 3  # a longer stretch is read when a short one holds nothing
NOBODY = Felt()


@dataclass(frozen=True, slots=True)
class Look:
    """What was read; by `kind/name`, as `felt_of` gives it."""

    usual: Mapping[str, Felt]
    now: Mapping[str, Felt]
    whole: bool = True  # long enough that nothing at all would be strange

    @property
    def blind(self) -> bool:
        """Whether nothing tells of users there."""
        return not self.now

    @property
    def suffering(self) -> tuple[str, ...]:
        """Whose users notice something."""
        names = sorted({*self.usual, *self.now} if self.whole else self.now)
        return tuple(name for name in names if feels_bad(self._of(name), self._now(name)))

    def silent(self, before: Mapping[str, float]) -> tuple[str, ...]:
        """Whose users told of themselves just before, and do not now."""
        return tuple(name for name, felt in unfolded(before).items() if felt.count and name not in self.now)

    def worse_than(self, before: Mapping[str, float]) -> tuple[str, ...]:
        """Whose users are clearly worse off than they were just before; none when users as a whole are not.

        An action that lets more work through gives what lies behind it more to do, and that is no harm.
        """
        earlier = unfolded(before)
        names = [name for name in sorted(earlier) if self.whole or name in self.now]
        if not is_worse(summed(earlier[name] for name in names), summed(self._now(name) for name in names)):
            return ()
        return tuple(name for name in names if is_worse(earlier[name], self._now(name)))

    def better_than(self, before: Mapping[str, float]) -> bool:
        """Whether those who suffered before suffer clearly less."""
        hurt = [(old, self._now(name)) for name, old in unfolded(before).items() if feels_bad(self._of(name), old)]
        return bool(hurt) and all(
            now.error_share <= old.error_share / 2 + 0.005 and now.mean_s <= old.mean_s * 0.75 + 0.005
            for old, now in hurt
        )

    def without_calls_to(self, target: EntityKey) -> "Look":
        """The same without what callers of the target see of it: where it is meant to be called no more."""
        end = f"/{target.name}<"
        return replace(
            self,
            usual={name: felt for name, felt in self.usual.items() if not name.endswith(end)},
            now={name: felt for name, felt in self.now.items() if not name.endswith(end)},
        )

    def sentence(self, names: Sequence[str]) -> str:
        """What the users of these feel."""
        return "; ".join(told(name, self._of(name), self._now(name)) for name in names[:3]) + "."

    def _of(self, name: str) -> Felt:
        return self.usual.get(name, NOBODY)

    def _now(self, name: str) -> Felt:
        return self.now.get(name, NOBODY)


def names_of(case: Case, target: EntityKey, askers: Iterable[EntityKey] = ()) -> tuple[str, ...]:
    """Whose users are looked at: the target's, those of what the case is about, and those of who asks the target."""
    others = [entity.name for entity in (*askers, *case.entities) if entity.kind == "service"]
    return tuple(dict.fromkeys((target.name, *others)))[:NAMES_MAX]


async def look(
    users: Users,
    case: Case,
    target: EntityKey,
    settings: HandsSettings,
    troubles: Sequence[Stretch],
    *,
    start_ms: int,
    now_ms: int,
    askers: Iterable[EntityKey] = (),
    by_operation: bool = False,
) -> Look:
    """Read what is usual before the case, and what has been since `start_ms`, at most `look_s` back.

    Args:
        askers: Whose users are looked at, too, since those of the target do not tell.
        troubles: Times of other cases before: nothing in them is usual.
        by_operation: Each kind of requests is read for itself.
    """
    tenant, names = case.tenant, names_of(case, target, askers)
    look_ms, felt = round(settings.look_s * 1000), users.felt_by_operation if by_operation else users.felt
    usual = added([await felt(tenant, names, *each) for each in calm_before(case, settings, troubles)])
    now = await felt(tenant, names, max(start_ms, now_ms - look_ms), now_ms)
    if not now:
        now = await felt(tenant, names, max(start_ms, now_ms - WIDER * look_ms), now_ms)
    return Look(usual, now, now_ms - start_ms >= look_ms + GAP_MS)


def calm_before(case: Case, settings: HandsSettings, troubles: Sequence[Stretch]) -> list[Stretch]:
    """The newest times before the case that say what is usual; just what was before it, when hardly any were calm."""
    usual_ms, end_ms = round(settings.usual_s * 1000), case.began_ms - GAP_MS
    calm = newest(quiet(end_ms - USUAL_BACK * usual_ms, end_ms, troubles), usual_ms)
    long_enough = sum(over_ms - begin_ms for begin_ms, over_ms in calm) >= min(usual_ms, CALM_MS_MIN)
    return calm[-STRETCHES_MAX:] if long_enough else [(end_ms - usual_ms, end_ms)]


def added(parts: Sequence[Mapping[str, Felt]]) -> Mapping[str, Felt]:
    """Several stretches as one, by name."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: summed(part[name] for part in parts if name in part) for name in names}


def summed(felt: Iterable[Felt]) -> Felt:
    """Several as one."""
    rows = list(felt)
    return Felt(sum(e.count for e in rows), sum(e.failed for e in rows), sum(e.spent_s for e in rows))


def folded(felt: Mapping[str, Felt]) -> dict[str, float]:
    """A reading as plain numbers, to be kept in an action."""
    return {
        f"{name}|{part}": value
        for name, each in felt.items()
        for part, value in (("count", each.count), ("failed", each.failed), ("spent_s", each.spent_s))
    }


def unfolded(values: Mapping[str, float]) -> dict[str, Felt]:
    """The reading of `folded`."""
    names = dict.fromkeys(key.rpartition("|")[0] for key in values)
    return {name: Felt(values[f"{name}|count"], values[f"{name}|failed"], values[f"{name}|spent_s"]) for name in names}
