"""What every driver of records promises, on PostgreSQL and in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import psycopg
import pytest

from cerebro.kernel.records.memory import MemoryRecords
from cerebro.kernel.records.migrate import migrate
from cerebro.kernel.records.port import Collection, Records, Search
from cerebro.kernel.records.postgres import PostgresRecords
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Conflict, Invalid
from cerebro.spine.identity import TenantId

NOBODY = EntityKey("child", "nobody")


class Colour(StrEnum):
    RED, BLUE = "red", "blue"


class Weight(IntEnum):
    LIGHT, HEAVY = 1, 2


@dataclass(frozen=True, slots=True)
class Toy:
    name: str
    colour: Colour = Colour.RED
    weight: Weight = Weight.LIGHT
    price: float = 1.0
    made_ms: int = 0
    sold: bool = False
    owner: EntityKey = NOBODY
    tags: tuple[str, ...] = ()
    parts: tuple[EntityKey, ...] = ()


TOYS = Collection(
    "toys",
    Toy,
    ("name", "colour", "weight", "price", "made_ms", "sold", "owner", "tags", "parts"),
    unique=(("name", "sold"),),
)
TABLE = """
CREATE TABLE IF NOT EXISTS toys (
    tenant text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, version bigint NOT NULL, body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    name text COLLATE "C" GENERATED ALWAYS AS (body ->> 'name') STORED NOT NULL,
    colour text COLLATE "C" GENERATED ALWAYS AS (body ->> 'colour') STORED NOT NULL,
    weight integer GENERATED ALWAYS AS ((body ->> 'weight')::integer) STORED NOT NULL,
    price double precision GENERATED ALWAYS AS ((body ->> 'price')::double precision) STORED NOT NULL,
    made_ms bigint GENERATED ALWAYS AS ((body ->> 'made_ms')::bigint) STORED NOT NULL,
    sold boolean GENERATED ALWAYS AS ((body ->> 'sold')::boolean) STORED NOT NULL,
    owner text COLLATE "C" GENERATED ALWAYS AS ((body #>> '{owner,kind}') || '/' || (body #>> '{owner,name}')) STORED,
    tags text[] COLLATE "C" GENERATED ALWAYS AS (json_texts(body -> 'tags')) STORED NOT NULL,
    parts text[] COLLATE "C" GENERATED ALWAYS AS (json_texts(body -> 'parts')) STORED NOT NULL,
    PRIMARY KEY (tenant, key), UNIQUE (tenant, name, sold)
)"""


@pytest.fixture(params=["postgres", "memory"])
async def records(request: pytest.FixtureRequest) -> AsyncIterator[Records]:
    if request.param == "memory":
        yield MemoryRecords()
        return
    url = request.getfixturevalue("postgres_url")
    await migrate(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(TABLE)
    driver = PostgresRecords(url)
    yield driver
    await driver.close()


async def put(records: Records, tenant: TenantId, **toys: Toy) -> None:
    async with records.transaction() as transaction:
        for key, toy in toys.items():
            await transaction.save(TOYS, tenant, key, toy, version=0)


async def keys(records: Records, tenant: TenantId, **search: object) -> list[str]:
    async with records.transaction() as transaction:
        page = await transaction.find(TOYS, tenant, Search(search.pop("where", {}), **search))
    return [record.key for record in page.records]


async def test_what_is_saved_is_loaded(records, tenant):
    """A value comes back equal, with the version that a change must name."""
    toy = Toy("ball", Colour.BLUE, Weight.HEAVY, 0.1, 1 << 52, True, EntityKey("child", "a/b"), ("x", "ÿ\U0001f3c0"))
    async with records.transaction() as transaction:
        assert await transaction.save(TOYS, tenant, "1", toy, version=0) == 1
        assert await transaction.load(TOYS, tenant, "2") is None

    async with records.transaction() as transaction:
        found = await transaction.load(TOYS, tenant, "1")
        assert found is not None and (found.key, found.value, found.version) == ("1", toy, 1)
        assert await transaction.save(TOYS, tenant, "1", Toy("cube"), version=1) == 2

    async with records.transaction() as transaction:
        found = await transaction.load(TOYS, tenant, "1", lock=False)
        assert found is not None and (found.value.name, found.version) == ("cube", 2)


@pytest.mark.parametrize("version", [0, 2, 7])
async def test_a_change_that_names_another_version_is_refused(records, tenant, version):
    """And stores nothing."""
    await put(records, tenant, a=Toy("ball"))

    with pytest.raises(Conflict):
        async with records.transaction() as transaction:
            await transaction.save(TOYS, tenant, "a", Toy("cube"), version=version)

    async with records.transaction() as transaction:
        found = await transaction.load(TOYS, tenant, "a")
    assert found is not None and found.value.name == "ball"


async def test_a_group_that_must_be_unique_is(records, tenant):
    """The second one is refused, and the transaction can go on without it."""
    await put(records, tenant, a=Toy("ball"))

    async with records.transaction() as transaction:
        with pytest.raises(Conflict):
            await transaction.save(TOYS, tenant, "b", Toy("ball"), version=0)
        await transaction.save(TOYS, tenant, "c", Toy("ball", sold=True), version=0)

    assert await keys(records, tenant) == ["a", "c"]


async def test_many_are_created_together_or_not_at_all(records, tenant):
    """One that is there already, by key or by a unique group, and none of the others is."""
    toys = {f"k{number}": Toy(f"toy {number}", made_ms=number) for number in range(50)}
    async with records.transaction() as transaction:
        await transaction.create(TOYS, tenant, toys)
        assert await transaction.count(TOYS, tenant, {}) == 50
    for taken in ({"k1": Toy("other")}, {"k99": Toy("toy 7")}):
        async with records.transaction() as transaction:
            with pytest.raises(Conflict):
                await transaction.create(TOYS, tenant, {"a": Toy("a"), **taken, "b": Toy("b")})
            assert await transaction.count(TOYS, tenant, {}) == 50
    async with records.transaction() as transaction:
        found = await transaction.load(TOYS, tenant, "k7")
        assert (found.value, found.version) == (toys["k7"], 1)
        with pytest.raises(Invalid):
            await transaction.create(TOYS, tenant, {"n": Toy("nul\0")})


async def test_a_failed_transaction_leaves_nothing(records, tenant):
    """All or nothing, whatever went wrong."""
    await put(records, tenant, a=Toy("ball"))

    with pytest.raises(RuntimeError):
        async with records.transaction() as transaction:
            await transaction.save(TOYS, tenant, "b", Toy("cube"), version=0)
            await transaction.delete(TOYS, tenant, "a")
            assert await transaction.count(TOYS, tenant, {}) == 1
            raise RuntimeError

    assert await keys(records, tenant) == ["a"]


async def test_others_see_a_change_only_when_it_is_whole(records, tenant):
    """Neither half a transaction nor one that is still open."""
    await put(records, tenant, a=Toy("ball"))

    async with records.transaction() as transaction:
        await transaction.save(TOYS, tenant, "b", Toy("cube"), version=0)
        await transaction.delete(TOYS, tenant, "a")
        assert await keys(records, tenant) == ["a"]

    assert await keys(records, tenant) == ["b"]


async def test_a_loaded_record_is_locked(records, tenant):
    """Twenty who each add one to what they read add twenty."""
    await put(records, tenant, a=Toy("ball"))

    async def add() -> None:
        async with records.transaction() as transaction:
            found = await transaction.load(TOYS, tenant, "a")
            assert found is not None
            await asyncio.sleep(0.001)
            toy = Toy("ball", made_ms=found.value.made_ms + 1)
            await transaction.save(TOYS, tenant, "a", toy, version=found.version)

    await asyncio.gather(*(add() for _ in range(20)))

    async with records.transaction() as transaction:
        found = await transaction.load(TOYS, tenant, "a")
    assert found is not None and (found.value.made_ms, found.version) == (20, 21)


async def test_of_many_who_create_one_wins(records, tenant):
    """The others are told of the conflict."""

    async def create(number: int) -> bool:
        try:
            async with records.transaction() as transaction:
                await transaction.save(TOYS, tenant, "a", Toy(f"toy {number}"), version=0)
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(create(number) for number in range(8)))) == 1


async def test_two_that_wait_for_each_other_end_in_a_conflict(records, tenant):
    """One gives way; the other goes on."""
    await put(records, tenant, a=Toy("ball"), b=Toy("cube"))
    first_loads = asyncio.Barrier(2)

    async def cross(one: str, other: str) -> bool:
        try:
            async with records.transaction() as transaction:
                await transaction.load(TOYS, tenant, one)
                await first_loads.wait()
                await transaction.load(TOYS, tenant, other)
        except Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(cross("a", "b"), cross("b", "a"))) == [False, True]


async def test_to_look_without_a_lock_waits_for_nobody(records, tenant):
    """Who only shows a value does not queue behind who changes it."""
    await put(records, tenant, a=Toy("ball"))

    async with records.transaction() as changing:
        await changing.load(TOYS, tenant, "a")
        async with records.transaction() as showing:
            found = await asyncio.wait_for(showing.load(TOYS, tenant, "a", lock=False), 2)
    assert found is not None


async def test_a_tenant_sees_only_its_own(records, tenant):
    """The same key in two tenants is two values."""
    other = TenantId(tenant + "-other")
    await put(records, tenant, a=Toy("ball"))
    await put(records, other, a=Toy("ball"), b=Toy("cube"))

    async with records.transaction() as transaction:
        await transaction.delete(TOYS, tenant, "b")
        assert await transaction.count(TOYS, tenant, {}) == 1
        assert await transaction.load(TOYS, tenant, "b") is None
    assert await keys(records, tenant) == ["a"]
    assert await keys(records, other) == ["a", "b"]


SHELF = {
    "a": Toy("a", Colour.RED, Weight.LIGHT, 2.5, 10, tags=("x", "y"), parts=(EntityKey("wheel", "1"),)),
    "b": Toy("b", Colour.BLUE, Weight.HEAVY, 2.5, 30, True, tags=("y",), owner=EntityKey("child", "ann")),
    "c": Toy("c", Colour.BLUE, Weight.LIGHT, -1.0, 20, tags=("x'; DROP TABLE toys; --", "{}", '"')),
    "d": Toy("d", Colour.RED, Weight.HEAVY, 0.0, 20, True),
}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, "abcd"),
        ({"colour": Colour.BLUE}, "bc"),
        ({"colour": "blue", "weight": Weight.LIGHT}, "c"),
        ({"colour": (Colour.BLUE, Colour.RED)}, "abcd"),
        ({"colour": ()}, ""),
        ({"weight": (1, 2), "sold": True}, "bd"),
        ({"sold": (True,)}, "bd"),
        ({"price": 2.5}, "ab"),
        ({"made_ms": 20}, "cd"),
        ({"made_ms": (20, 1 << 40)}, "cd"),
        ({"owner": EntityKey("child", "ann")}, "b"),
        ({"owner": ("child/ann", "child/bob")}, "b"),
        ({"tags": "y"}, "ab"),
        ({"tags": ("x", "x'; DROP TABLE toys; --")}, "ac"),
        ({"tags": "{}"}, "c"),
        ({"parts": EntityKey("wheel", "1")}, "a"),
        ({"key": "c"}, "c"),
        ({"key": ("d", "a", "z")}, "ad"),
        ({"name": "x' OR '1'='1"}, ""),
    ],
)
async def test_filters(records, tenant, where, found):
    """Every filter must hold; a tuple holds when one does; a list holds what it contains."""
    await put(records, tenant, **SHELF)

    assert "".join(await keys(records, tenant, where=where)) == found
    async with records.transaction() as transaction:
        assert await transaction.count(TOYS, tenant, where) == len(found)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("key", "abcd"),
        ("-key", "dcba"),
        ("made_ms", "acdb"),
        ("-made_ms", "bdca"),
        ("price", "cdab"),
        ("colour", "bcad"),
        ("sold", "acbd"),
        ("-owner", "dcab"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_pages_hold_everything_once_in_order(records, tenant, order, found, limit):
    """Whatever the size of the page; ties go by key."""
    await put(records, tenant, **SHELF)
    seen, cursor = "", ""
    async with records.transaction() as transaction:
        for _ in range(len(SHELF)):
            page = await transaction.find(TOYS, tenant, Search({}, order, cursor, limit))
            assert len(page.records) <= limit
            seen, cursor = seen + "".join(record.key for record in page.records), page.cursor
            if not cursor:
                break

    assert (seen, cursor) == (found, "")


async def test_a_page_goes_on_where_the_last_ended(records, tenant):
    """What comes and goes before the cursor moves nothing behind it."""
    await put(records, tenant, **SHELF)
    async with records.transaction() as transaction:
        first = await transaction.find(TOYS, tenant, Search({}, "made_ms", limit=2))
        await transaction.delete(TOYS, tenant, "a")
        await transaction.save(TOYS, tenant, "z", Toy("z", made_ms=1), version=0)
        second = await transaction.find(TOYS, tenant, Search({}, "made_ms", first.cursor, 2))

    assert [record.key for record in (*first.records, *second.records)] == ["a", "c", "d", "b"]


@pytest.mark.parametrize("cursor", ["x", "%%%", "bnVsbA", "WyJrZXkiLDFd", "WyItbWFkZV9tcyIsMSwiYSJd", "é", "a\0"])
async def test_a_cursor_from_elsewhere_is_refused(records, tenant, cursor):
    """Not a cursor at all, or one of another order."""
    with pytest.raises(Invalid):
        await keys(records, tenant, after=cursor)


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 pair"])
async def test_a_text_that_cannot_be_stored_is_refused(records, tenant, text):
    """In both drivers alike."""
    with pytest.raises(Invalid):
        await put(records, tenant, a=Toy("a", tags=(text,)))
    with pytest.raises(Invalid):
        async with records.transaction() as transaction:
            await transaction.save(TOYS, tenant, text, Toy("a"), version=0)
    async with records.transaction() as transaction:
        assert await transaction.load(TOYS, tenant, text) is None
        await transaction.delete(TOYS, tenant, text)
    assert await keys(records, tenant, where={"name": text}) == []
    await put(records, tenant, a=Toy("a", tags=("\\u0000",)))
