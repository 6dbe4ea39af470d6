"""Templates of a stream: what merges, what stays apart, what an id means."""

import random

import msgspec
import numpy as np
import pyarrow as pa

from cerebro.algorithms.templates.mine import Contents, Miner, freeze, mine, resolve, template_id, thaw

USERS = ["anna", "boris", "clara", "dmitri", "elena", "fedor", "galina", "hans", "irina"]


def fed(*batches):
    miner, ids = Miner(), []
    for now, lines in enumerate(batches):
        ids.append(mine(miner, pa.array(lines, pa.string()), now))
    return miner, ids


def texts(miner):
    return {miner.templates[at].text for at in miner.template[: len(miner.skeletons)].tolist()}


def test_identifiers_that_differ_in_one_place_are_a_variable():
    miner, _ = fed(["opened table users_v1 for reading", "opened table orders_v2 for reading"])
    assert texts(miner) == {"opened table <*> for reading"}


def test_plain_words_become_a_variable_once_they_are_many():
    few, _ = fed([f"session opened with {user} by root" for user in USERS[:3]])
    many, _ = fed([f"session opened with {user} by root" for user in USERS])
    assert len(texts(few)) == 3
    assert texts(many) == {"session opened with <*> by root"}


def test_two_names_are_enough_where_a_name_is_announced():
    miner, _ = fed(["session opened for user anna by root", "session opened for user boris by root"])
    assert texts(miner) == {"session opened for user <*> by root"}


def test_what_a_line_says_first_stays_apart():
    miner, _ = fed(["illegal instruction trap", "privileged instruction trap", "imprecise exception trap"])
    assert len(texts(miner)) == 3


def test_words_that_vary_together_end_in_one_template():
    chance = random.Random(1)
    names = ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(400)]
    miner, _ = fed([f"user {a} logged in from {b}" for a, b in zip(names[:200], names[200:], strict=True)])
    assert texts(miner) == {"user <*> logged in from <*>"}


def test_an_id_of_before_a_merge_leads_to_the_wider_template():
    miner, ids = fed([f"session opened with {user} by root" for user in USERS[:3]], USERS[:1], [
        f"session opened with {user} by root" for user in USERS])  # fmt: skip
    wide = template_id("session opened with <*> by root")
    assert {resolve(miner, int(each)) for each in ids[0]} == {wide} == set(ids[2].tolist())


def test_ids_are_the_same_in_every_shard_whatever_the_order():
    lines = [f"session opened with {user} by root" for user in USERS] + [f"took {k} ms" for k in range(5)]
    chance = random.Random(7)
    found = set()
    for _ in range(5):
        chance.shuffle(lines)
        miner, ids = fed(*([line] for line in lines))
        found.add(frozenset(resolve(miner, int(each[0])) for each in ids))
    assert len(found) == 1


def test_a_restart_changes_nothing():
    lines = [f"eth{k % 3} up after {k} ms, user {user}" for k, user in enumerate(USERS)]
    whole, _ = fed(lines[:5], lines[5:])
    half, _ = fed(lines[:5])
    again = thaw(msgspec.json.decode(msgspec.json.encode(freeze(half)), type=Contents))
    mine(again, pa.array(lines[5:], pa.string()), 1)
    probe = pa.array(lines, pa.string())
    assert np.array_equal(mine(again, probe), mine(whole, probe))
    assert texts(again) == texts(whole)


def test_memory_is_bounded_and_what_comes_back_has_its_id_again():
    miner = Miner(skeletons_max=50)
    first = mine(miner, pa.array(["the first line"], pa.string()), 0)
    words = ["".join(random.Random(k).choices("abcdefgh", k=5)) for k in range(300)]
    mine(miner, pa.array([f"{a}, {b}; {a} {b}" for a, b in zip(words[:150], words[150:], strict=True)], pa.string()), 1)
    assert len(miner.skeletons) <= 50 and miner.forgotten_count >= 100
    assert mine(miner, pa.array(["the first line"], pa.string()), 2).tolist() == first.tolist()


def test_bad_bytes_make_no_trouble():
    chance = np.random.default_rng(3)
    raw = [chance.integers(0, 256, size, dtype=np.uint8).tobytes() for size in (0, 1, 2, 3, 50, 5000)]
    column = pa.array([each.decode("latin-1") for each in raw], pa.string())
    assert len(mine(Miner(), column)) == len(raw)
    assert len(mine(Miner(), pa.array([], pa.string()))) == 0
    assert len(mine(Miner(), pa.array([None, "a"], pa.string()))) == 2
    assert len(mine(Miner(), pa.array(["x", "a b", "c"], pa.string()).slice(1))) == 2
