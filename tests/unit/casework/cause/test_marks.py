"""What the evidence says of the kind of a trouble: from lines, from gauges, from the ways between two."""

from dataclasses import replace

import numpy as np
import pytest

from cerebro.casework.cause.clues import clues
from cerebro.casework.cause.diagnose import diagnose
from cerebro.casework.cause.fuse import fuse
from cerebro.casework.cause.homemade import GIVEN_UP
from cerebro.casework.cause.lines import Lines, tallied_words
from cerebro.casework.cause.marks import marks_of
from cerebro.casework.cause.picture import NOBODY, Tallies, joined_tallies
from cerebro.casework.cause.view import View
from cerebro.casework.cause.words import alike, word_of
from cerebro.spine.entities import EntityKey

NAMES = {"front": 0, "cart-2": 1, "pay": 2}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("getaddrinfo ENOTFOUND pay.internal", "unresolved"),
        ("ssl.SSLCertVerificationError: certificate verify failed: certificate has expired", "untrusted"),
        ('FATAL: password authentication failed for user "shop"', "denied"),
        ("jwt: token issued in the future", "clock"),
        ("HTTP 429: Too Many Requests", "limited"),
        ("Unexpected token < in JSON at position 0", "garbled"),
        ("OSError: [Errno 28] No space left on device", "no_space"),
        ("accept4: too many open files", "no_files"),
        ("java.lang.OutOfMemoryError: Java heap space", "no_memory"),
        ("HikariPool-1 - Connection is not available, request timed out after 30000ms", "no_connections"),
        ("connect ECONNREFUSED 10.0.0.7:5432", "refused"),
        ("dial tcp 10.0.0.7:443: i/o timeout", "unreachable"),
        ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", "late"),
        ("ERROR: deadlock detected", "deadlock"),
        ("no database connection in time", "no_connections"),
        (alike("cart cannot be reached: [Errno 111] Connect call failed ('127.0.0.1', 37037)"), "refused"),
        (alike("cart cannot be reached: [Errno 110] Connect call failed"), "unreachable"),
        ("failed: No such file or directory. Is the server running locally and accepting connections?", "refused"),
        ("cart did not answer in time", "late"),
        ("order 4711 confirmed in 17 ms", ""),
    ],
)
def test_messages_of_runtimes_and_servers_have_their_word(line, word):
    assert word_of(line) == word


def heard(*rows, database_of=None):
    """Tallies of lines given as (speaker, text, is during, severity)."""
    columns = list(zip(*rows, strict=True))
    during = np.array(columns[2], np.bool_)
    lines = Lines(
        np.array(columns[0], np.int32), np.array(columns[1], object), np.full(len(rows), NOBODY, np.int64),
        np.arange(len(rows), dtype=np.int64), ~during, during,
    )  # fmt: skip
    return tallied_words(lines, np.array(columns[3], np.uint8), NAMES, database_of)


def test_a_caller_blames_whom_it_names_and_speaks_of_its_own_files_itself():
    told = heard(
        (0, "call to cart-2 failed after 12 ms: no such host", True, 17),
        (0, "call to cart-2 failed after 15 ms: no such host", True, 17),
        (0, "cannot ask pay: too many open files", True, 17),
        (0, "served pay: no such host is a nice text", True, 9),
    )
    rows = list(zip(told.kind, told.entity.tolist(), told.peer.tolist(), told.text, told.hits_during, strict=True))

    assert rows == [("said", 0, NOBODY, "no_files", 1.0), ("blames", 0, 1, "unresolved", 2.0)]


def test_the_path_of_a_request_names_nobody():
    told = heard(
        (0, "balancer: no answer to a request of /api/pay after 0 ms: connect: connection refused", True, 17),
        (0, "GET http://cart-2:8080/api/pay after 3 ms: no such host", True, 17),
        (0, "deployment default/pay cannot be asked: connection refused", True, 17),
    )

    assert list(zip(told.kind, told.peer.tolist(), told.text, strict=True)) == [
        ("said", NOBODY, "refused"), ("blames", 1, "unresolved"), ("blames", 2, "refused"),
    ]  # fmt: skip


def test_who_never_said_a_word_and_now_complains_says_something():
    told = heard(*((0, "pay answered with what cannot be read", True, 17) for _ in range(20)))

    assert (told.of_before.tolist(), told.hits_before.tolist()) == ([20.0], [0.0])


@pytest.mark.parametrize(
    ("elsewhere", "unread", "of_before"),
    [
        ((), (), 20.0),  # it is read, and said nothing
        (("packed",) * 20, (), 20.0),  # a word that it did not say in the other trouble either is new
        (("no space left on device",) * 20, (), 0.0),
        (("no space left on device", *("packed",) * 1999), (), 20.0),  # hardly ever
        ((), (0,), 0.0),
        (("packed",) * 20, (0,), 20.0),
    ],
)
def test_a_word_is_new_only_where_something_was_read_of_before(elsewhere, unread, of_before):
    """What a thing has said in another trouble tells how often it says so anyway, where nothing calm was read."""
    said = [*(("no space left on device", True),) * 20, *((text, False) for text in elsewhere)]
    during = np.array([now for _, now in said])
    count = np.arange(len(said), dtype=np.int64)
    texts = np.array([text for text, _ in said], object)
    lines = Lines(np.zeros(len(said), np.int32), texts, count - len(said), count, np.zeros(len(said), np.bool_), during)

    told = tallied_words(lines, np.full(len(said), 17, np.uint8), NAMES, None, unread)

    assert (told.text, told.hits_before.tolist(), told.of_before.tolist()) == (("no_space",), [0.0], [of_before])
    assert (told.hits_during.tolist(), told.of_during.tolist()) == ([20.0], [20.0])


def test_what_a_client_passes_on_of_its_database_is_said_of_the_database():
    told = heard(
        (0, "database error: canceling statement due to lock timeout", True, 17),
        (0, "database cannot be reached: connection refused", True, 17),
        (0, "no database connection in time", True, 17),
        (2, "ERROR: deadlock detected", True, 17),
        database_of={0: 2},
    )
    rows = list(zip(told.kind, told.entity.tolist(), told.peer.tolist(), told.text, strict=True))

    assert rows == [
        ("said", 0, NOBODY, "no_connections"), ("blames", 0, 2, "locked"), ("blames", 0, 2, "refused"),
        ("said", 2, NOBODY, "deadlock"),
    ]  # fmt: skip


def words_of(picture, name):
    return [mark.word for mark in marks_in(picture, name)]


def marks_in(picture, name):
    found = clues(picture)
    view = View(picture, found, fuse(picture, found))
    entity = [key.name for key in picture.entities].index(name)
    return marks_of(view, entity)


def test_a_gauge_is_a_mark_by_its_amount_and_not_by_how_unusual_it_is(draw):
    series = [("front", "duration.mean"), ("store", "system.filesystem.utilization"), ("store", "postgresql.wal.lag")]
    ill = (("front", "duration.mean", 30.0, 3), ("store", "postgresql.wal.lag", 120.0, 3))
    picture = draw(series, (("front", "store"),), ill=ill)

    assert "lagging" in words_of(picture, "store")
    assert "lagging" not in words_of(draw(series, (("front", "store"),), ill=ill[:1]), "store")


def test_a_disk_that_is_so_slow_that_in_some_steps_nothing_ends_is_slow_all_the_same(draw):
    """Seconds a second, as the real shop's told them."""
    picture = draw([("store", "system.disk.operation_time"), ("front", "duration.mean")], (("front", "store"),))
    picture.tracks.before[0] = 0.002
    picture.tracks.during[0, -5:] = [12.5, 13.0, 9.0, 0.0, 5.5]

    assert "slow_disk" in words_of(picture, "store")


def test_load_that_callers_bring_is_not_the_callees_surge(draw):
    series = [(name, metric) for name in ("front", "cart") for metric in ("requests.rate", "duration.mean")]
    ill = [(name, "requests.rate", 90.0, 3) for name in ("front", "cart")]
    picture = draw(series, (("front", "cart"),), ill=ill)

    assert "surged" in words_of(picture, "front")
    assert "surged" not in words_of(picture, "cart")


def test_a_caller_that_is_heard_later_than_the_callee_still_brings_the_load(draw):
    """On the real shop, five seconds into a surge: three times as much of the callee, two requests of its caller."""
    series = [(name, metric) for name in ("front", "cart") for metric in ("requests.rate", "duration.mean")]
    picture = draw(series, (("front", "cart"),), ill=(("cart", "requests.rate", 90.0, 3),))
    assert "surged" not in words_of(picture, "cart")
    picture.tracks.during[0, -2:] = 0.1

    assert "surged" not in words_of(picture, "cart")


def test_load_begins_with_who_asks_a_lot_and_is_hardly_asked(draw):
    """Those who play users may be told of, too."""
    series = [("users", "requests.rate"), ("front", "requests.rate"), ("front", "duration.mean")]
    picture = draw(series, (("users", "front"),), ill=(("front", "requests.rate", 40.0, 3),))
    assert "surged" not in words_of(picture, "front")
    picture.tracks.during[0] = picture.tracks.before[0] = 0.2

    assert "surged" in words_of(picture, "front")


def test_who_is_tried_again_and_again_is_not_where_load_begins(draw):
    series = [("front", "requests.rate"), ("store", "requests.rate"), ("store", "duration.mean")]
    picture = draw(series, (("front", "store"),), ill=(("store", "requests.rate", 900.0, 3),))
    for part in (picture.tracks.before, picture.tracks.during):
        part[0] = 20.0

    assert "surged" not in words_of(picture, "store")


def test_a_cause_carries_its_marks(draw):
    series = [("front", "duration.mean"), ("store", "postgresql.database.locks")]
    ill = (("front", "duration.mean", 30.0, 3), ("store", "postgresql.database.locks", 60.0, 3))

    cause = diagnose(draw(series, (("front", "store"),), ill=ill)).causes[0]

    assert cause.entity.name == "store"
    assert [mark.word for mark in cause.marks] == ["locked"]
    assert cause.kind == "data"


def blaming(picture, *rows):
    """The picture with lines of the trouble: (speaker, text), each said five times."""
    names = {key.name: place for place, key in enumerate(picture.entities)}
    said = [(names[speaker], text, True, 17) for speaker, text in rows for _ in range(5)]
    columns = list(zip(*said, strict=True))
    during = np.ones(len(said), np.bool_)
    lines = Lines(
        np.array(columns[0], np.int32), np.array(columns[1], object), np.full(len(said), NOBODY, np.int64),
        np.arange(len(said), dtype=np.int64), ~during, during,
    )  # fmt: skip
    return replace(picture, tallies=tallied_words(lines, np.array(columns[3], np.uint8), names))


def waiting_in_vain(draw, *more):
    """A cart that 60 % of the calls never reach and that has nothing to do, with more series of the same length."""
    series = [("front", "duration.mean"), ("cart", "calls.lost.share"), ("cart", "http.server.active_requests"), *more]
    ill = (("front", "duration.mean", 30.0, 3), ("cart", "calls.lost.share", 60.0, 3))
    return blaming(draw(series, (("front", "cart"),), ill=ill), ("front", "cart did not answer in time"))


@pytest.mark.parametrize(
    ("lost", "held", "line", "cut_off"),
    [
        (60.0, 0.0, "cart did not answer in time", True),
        (60.0, 60.0, "cart did not answer in time", False),  # who hangs has its hands full
        (60.0, 0.0, "cart cannot be reached: connection refused", False),  # who is down refuses at once
        (5.0, 0.0, "cart did not answer in time", False),  # nearly all of it arrives
        (60.0, 0.0, "cart answered 503: too busy", False),  # who is overloaded answers that
    ],
)
def test_who_has_nothing_to_do_while_others_wait_for_it_in_vain_is_cut_off(draw, lost, held, line, cut_off):
    series = [("front", "duration.mean"), ("cart", "calls.lost.share"), ("cart", "http.server.active_requests")]
    ill = (
        ("front", "duration.mean", 30.0, 3), ("cart", "calls.lost.share", lost, 3),
        ("cart", "http.server.active_requests", held, 3),
    )  # fmt: skip
    picture = blaming(draw(series, (("front", "cart"),), ill=ill), ("front", line))

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


def test_what_is_being_worked_has_come_though_it_is_counted_as_answered_only_later(draw):
    """In the first seconds of slow answers most calls seem lost: nothing of them is counted yet."""
    picture = waiting_in_vain(draw)
    held = picture.tracks.signal.index("http.server.active_requests")
    assert "unreachable" in words_of(picture, "cart")

    picture.tracks.during[held, -1] += 60.0

    assert "unreachable" not in words_of(picture, "cart")


def test_who_names_its_own_trouble_is_no_witness_that_another_is_cut_off(draw):
    series = [("front", "duration.mean"), ("cart", "calls.lost.share"), ("cart", "http.server.active_requests")]
    ill = (("front", "duration.mean", 30.0, 3), ("cart", "calls.lost.share", 60.0, 3))
    late, files = ("front", "cart did not answer in time"), ("front", "accept: too many open files")

    assert "unreachable" not in words_of(blaming(draw(series, (("front", "cart"),), ill=ill), late, files), "cart")


@pytest.mark.parametrize(("waiting", "cut_off"), [(0.0, True), (1.0, True), (20.0, False)])
def test_who_works_two_at_a_time_has_its_hands_full_where_many_wait_for_their_turn(draw, waiting, cut_off):
    picture = waiting_in_vain(draw, ("cart", "http.server.waiting_requests"))
    for row, usual in ((2, 1.0), (3, 0.0)):
        picture.tracks.before[row] = picture.tracks.during[row] = usual
    picture.tracks.during[2, 3:], picture.tracks.during[3, 3:] = 2.0, waiting

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


@pytest.mark.parametrize(("busier", "cut_off"), [(0.0, True), (0.3, False)])
def test_who_works_more_than_usual_is_not_cut_off(draw, busier, cut_off):
    picture = waiting_in_vain(draw, ("cart", "process.cpu.utilization"))
    picture.tracks.before[3] = picture.tracks.during[3] = 0.2
    picture.tracks.during[3, 3:] += busier

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


@pytest.mark.parametrize(("took_s", "cut_off"), [(1.5, True), (0.02, False)])
def test_whose_callers_give_up_as_fast_as_it_answers_is_not_cut_off(draw, took_s, cut_off):
    """A caller that is told to wait for 28 ms hears nothing of what takes 30, and says that it was late."""
    picture = waiting_in_vain(draw, ("cart", "duration.mean"))
    picture.tracks.before[3], picture.tracks.during[3] = 0.03, took_s

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


@pytest.mark.parametrize(("used", "cut_off"), [(0.1, True), (0.7, False)])
def test_who_runs_out_of_descriptors_is_not_cut_off_though_its_lines_come_late(draw, used, cut_off):
    picture = waiting_in_vain(draw, ("cart", "process.open_file_descriptor.count:limit_ratio"))
    picture.tracks.before[3] = picture.tracks.during[3] = 0.1
    picture.tracks.during[3, -1] = used

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


@pytest.mark.parametrize(("used", "cut_off"), [(0.1, True), (1.0, False)])
def test_who_runs_out_of_descriptors_is_no_witness_that_another_is_cut_off(draw, used, cut_off):
    """It cannot open a connection to it; its own lines, which would name that, may come late."""
    picture = waiting_in_vain(draw, ("front", "process.open_file_descriptor.count:limit_ratio"))
    picture.tracks.before[3] = picture.tracks.during[3] = 0.1
    picture.tracks.during[3, -2:] = used

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


def test_what_more_work_does_to_a_thing_is_not_named_beside_it(draw):
    series = [("front", "requests.rate"), ("front", "replicas.stuck"), ("front", "duration.mean")]
    picture = draw(series, ill=(("front", "requests.rate", 90.0, 3),))
    picture.tracks.before[1] = 0.0
    picture.tracks.during[1] = 0.5

    assert words_of(picture, "front") == ["surged"]


@pytest.mark.parametrize(("more", "cold"), [(60.0, True), (0.0, False)])
def test_an_empty_cache_is_cold_only_where_what_it_misses_falls_on_something(draw, more, cold):
    series = [("front", "duration.mean"), ("cache", "cache.missed.share"), ("store", "requests.rate")]
    calls = (("front", "cache"), ("front", "store"))
    ill = (
        ("front", "duration.mean", 30.0, 3), ("cache", "cache.missed.share", 80.0, 3),
        ("store", "requests.rate", more, 3),
    )  # fmt: skip

    assert ("cold" in words_of(draw(series, calls, ill=ill), "cache")) is cold


@pytest.mark.parametrize(("others", "filling"), [(False, True), (True, False)])
def test_what_fills_in_several_at_once_is_no_leak_of_one(draw, others, filling):
    names = ("cart", "desk")
    series = [("front", "duration.mean"), *((name, "process.memory.usage:limit_ratio") for name in names)]
    picture = draw(series, (("front", "cart"), ("front", "desk")), ill=(("front", "duration.mean", 30.0, 3),))
    leak = np.concatenate([np.full(4, 0.2), np.linspace(0.2, 0.8, 8)])
    for name in names:
        row = 1 + names.index(name)
        picture.tracks.before[row] = 0.2
        picture.tracks.during[row] = leak if others or name == "cart" else 0.2

    assert ("filling" in words_of(picture, "cart")) is filling


@pytest.mark.parametrize(
    ("own", "held", "measured", "far"),
    [
        (0.0, 0.0, False, True),
        (0.05, 0.0, False, False),  # who is starved is slower by itself
        (0.0, 40.0, False, False),  # who has its hands full takes its time to begin
        (0.0, 0.0, True, False),  # what is measured of the way itself is as ever: calls are tried again
    ],
)
def test_a_way_is_long_where_its_end_answers_as_soon_as_ever(draw, own, held, measured, far):
    series = [("front", "duration.mean"), ("cart", "own.mean"), ("cart", "http.server.active_requests")]
    series += [("front", "wire.mean"), ("front", "tcp.rtt" if measured else "tcp.sockets")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 9.0, 3),))
    tracks, onset = picture.tracks, 3
    tracks.peer[3:5] = [key.name for key in picture.entities].index("cart")
    for row, (usual, more) in enumerate(((0.03, own), (1.0, held), (0.002, 0.2)), start=1):
        tracks.before[row] = tracks.during[row] = usual
        tracks.during[row, onset:] += more

    assert ("far" in words_of(picture, "cart")) is far


@pytest.mark.parametrize(
    ("own", "way", "starved"),
    [
        (0.075, 0.12, True),  # the loop that works requests takes them in, too
        (0.075, 0.002, False),
        (0.035, 0.12, False),  # that is a long way
    ],
)
def test_who_waits_before_the_door_of_one_that_is_slower_inside_waits_for_its_loop(draw, own, way, starved):
    series = [("front", "duration.mean"), ("cart", "own.mean"), ("cart", "process.cpu.utilization")]
    series += [("front", "wire.mean")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 9.0, 3),))
    tracks = picture.tracks
    tracks.peer[3] = [key.name for key in picture.entities].index("cart")
    for row, (usual, now) in enumerate(((0.025, own), (0.03, 0.03), (0.0013, way)), start=1):
        tracks.before[row] = tracks.during[row] = usual
        tracks.during[row, 3:] = now

    assert ("starved" in words_of(picture, "cart")) is starved


@pytest.mark.parametrize(("line", "silent"), [("cart cannot be reached: connection refused", True), ("", False)])
def test_who_tells_nothing_and_is_not_missed_has_only_stopped_telling(draw, line, silent):
    series = [("front", "duration.mean"), ("cart", "replicas.silent")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.before[1], picture.tracks.during[1] = 0.0, 2.0
    picture = blaming(picture, ("front", line or "cart is fine"))

    assert ("silent" in words_of(picture, "cart")) is silent


@pytest.mark.parametrize(
    ("newest", "silent"),
    [((1.0, 1.0), True), ((1.0, 0.0, 1.0), True), ((0.0, 1.0, 0.0), False), ((0.0, 0.0, 1.0), False)],
)
def test_who_is_started_again_and_again_is_silent_though_it_tells_something_in_between(draw, newest, silent):
    series = [("front", "duration.mean"), ("cart", "replicas.silent")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.before[1], picture.tracks.during[1] = 0.0, 0.0
    picture.tracks.during[1, 3 : -len(newest)] = 1.0
    picture.tracks.during[1, -len(newest) :] = newest
    picture = blaming(picture, ("front", "cart cannot be reached: connection refused"))

    assert ("silent" in words_of(picture, "cart")) is silent


@pytest.mark.parametrize(("failing", "claimed"), [(0.0, True), (50.0, False)])
def test_who_has_only_stopped_telling_bears_out_no_claim(draw, failing, claimed):
    """A replica that was scaled in makes nothing true that a line says of the others."""
    series = [("front", "duration.mean"), ("cart", "replicas.silent"), ("cart", "failed.share")]
    ill = (("front", "duration.mean", 30.0, 3), ("cart", "failed.share", failing, 3))
    picture = draw(series, (("front", "cart"),), ill=ill)
    picture.tracks.before[1], picture.tracks.during[1] = 0.0, 2.0
    picture = blaming(picture, ("cart", "ssl.SSLCertVerificationError: certificate verify failed: it has expired"))

    marks = {mark.word: mark.claimed for mark in marks_in(picture, "cart")}

    assert marks["untrusted"] is claimed
    assert ("silent" in marks) is not claimed


@pytest.mark.parametrize(("seen", "cut_off"), [(0.0, True), (1.0, False)])
def test_whose_replica_fell_silent_when_it_began_is_not_cut_off(draw, seen, cut_off):
    """Also when that is so long ago that it is not waited for any more: it hangs, and no other path leads to it."""
    picture = waiting_in_vain(draw, ("cart", "replicas.silent"))
    picture.tracks.before[3], picture.tracks.during[3] = 0.0, 0.0
    picture.tracks.during[3, 3:6] = seen

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


@pytest.mark.parametrize(("failed", "cut_off"), [(0.0, True), (40.0, False)])
def test_where_requests_fail_inside_they_arrive_and_it_is_not_cut_off(draw, failed, cut_off):
    series = [("front", "duration.mean"), ("cart", "calls.lost.share"), ("cart", "http.server.active_requests")]
    ill = (("front", "duration.mean", 30.0, 3), ("cart", "calls.lost.share", 60.0, 3))
    picture = blaming(draw(series, (("front", "cart"),), ill=ill), ("front", "cart did not answer in time"))
    cart, one = [key.name for key in picture.entities].index("cart"), np.ones(1)
    own = Tallies(
        np.array([cart], np.int32), np.array([NOBODY], np.int32), ("error",), ("GET /",), np.zeros(1, np.int8),
        0.0 * one, 500.0 * one, failed * one, 100.0 * one,
    )  # fmt: skip
    picture = replace(picture, tallies=joined_tallies([picture.tallies, own]))

    assert ("unreachable" in words_of(picture, "cart")) is cut_off


def test_who_is_waited_for_in_vain_is_silent_all_the_more(draw):
    """Two witnesses that know nothing of each other: it tells nothing, and its caller gets no answer."""
    series = [("front", "duration.mean"), ("cart", "replicas.silent")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 30.0, 3),))
    picture.tracks.before[1], picture.tracks.during[1] = 0.0, 1.0
    nats = {
        line: {mark.word: mark.nats for mark in marks_in(blaming(picture, ("front", line)), "cart")}
        for line in ("cart cannot be reached: connection refused", "cart did not answer in time")
    }
    once, twice = nats.values()

    assert twice["silent"] == pytest.approx(once["silent"] + twice["late"], abs=0.002)


@pytest.mark.parametrize(("kind", "failing"), [("external", True), ("service", False)])
def test_a_supplier_outside_fails_by_what_its_callers_count(draw, kind, failing):
    """It tells nothing itself, and not every caller writes a line; a service of ours is known better than that."""
    series = [("front", "duration.mean"), ("bank", "failed.share")]
    ill = (("front", "duration.mean", 30.0, 3), ("bank", "failed.share", 60.0, 3))
    picture = draw(series, (("front", "bank"),), ill=ill)
    outside = EntityKey(kind, "bank")
    picture = replace(
        picture,
        entities=tuple(outside if key.name == "bank" else key for key in picture.entities),
        relations=(replace(picture.relations[0], target=outside),),
    )

    assert ("failing" in words_of(picture, "bank")) is failing


@pytest.mark.parametrize(
    ("asked", "burns", "own", "uneven", "busy"),
    [
        (50.0, 0.25, 1.2, 0.5, True),  # twice the requests, six times the processor, forty times its own time
        (50.0, 0.25, 0.03, 0.5, False),  # as fast as ever: so much work is done
        (200.0, 0.25, 1.2, 0.5, False),  # five times the requests bring that
        (0.0, 0.06, 1.2, 0.5, False),  # it waits, and works hardly more
        (50.0, 0.25, 1.2, 0.95, False),  # one replica has the work of all
    ],
)
def test_who_burns_far_more_for_each_request_and_is_far_slower_works_at_something_else(
    draw, asked, burns, own, uneven, busy
):
    series = [("front", "duration.mean"), ("cart", "requests.rate"), ("cart", "own.mean")]
    series += [("cart", "process.cpu.utilization"), ("front", "requests.rate"), ("cart", "replicas.uneven")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 30.0, 3),))
    told = ((50.0, 50.0 + asked), (0.03, own), (0.05, 0.05 + burns), (50.0, 50.0 + asked), (0.5, uneven))
    for row, (usual, now) in enumerate(told, start=1):
        picture.tracks.before[row] = picture.tracks.during[row] = usual
        picture.tracks.during[row, 3:] = now

    assert ("busy_cpu" in words_of(picture, "cart")) is busy


@pytest.mark.parametrize(("used", "held"), [(1.0, True), (0.6, False)])
def test_a_small_pool_is_held_when_all_of_it_is_in_use(draw, used, held):
    """Of six connections never five more can be held, and users who ask again bring more work, and not more of them."""
    series = [("front", "duration.mean"), ("cart", "db.client.connection.used:limit_ratio"), ("cart", "requests.rate")]
    picture = draw(series, (("front", "cart"),), ill=(("front", "duration.mean", 30.0, 3),))
    for row, (usual, now) in enumerate(((0.1, used), (50.0, 75.0)), start=1):
        picture.tracks.before[row] = picture.tracks.during[row] = usual
        picture.tracks.during[row, 3:] = now

    assert ("held_pool" in words_of(picture, "cart")) is held


def test_a_cache_that_is_not_there_is_not_cold(draw):
    series = [("front", "duration.mean"), ("cache", "cache.missed.share")]
    ill = (("front", "duration.mean", 30.0, 3), ("cache", "cache.missed.share", 80.0, 3))
    picture = draw(series, (("front", "cache"),), ill=ill)

    assert "cold" in words_of(picture, "cache")
    assert words_of(blaming(picture, ("front", "cache: connection refused")), "cache") == ["refused"]


@pytest.mark.parametrize(("asked", "scanning"), [(0.0, True), (800.0, False)])
def test_more_work_brings_more_of_everything(draw, asked, scanning):
    series = [("front", "duration.mean"), ("store", "requests.rate"), ("store", "postgresql.sequential_scans")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    tracks.before[1], tracks.during[1] = 100.0, 100.0 + asked
    tracks.before[2], tracks.during[2] = 0.0, 0.5

    assert ("scanning" in words_of(picture, "store")) is scanning


@pytest.mark.parametrize(
    ("failing", "line", "starved"),
    [
        (40.0, "", True),
        (99.0, "", False),
        (99.0, "request queue is full, 200 waiting: 17 rejected", True),
        (40.0, "store cannot be reached: timed out", False),  # it waits for another
    ],
)
def test_who_is_starved_answers_late_and_answers_or_is_full(draw, failing, line, starved):
    series = [("front", name) for name in ("duration.mean", "own.mean", "process.cpu.utilization", "failed.share")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    for row, (usual, now) in enumerate(((0.05, 1.0), (0.2, 0.2), (0.0, failing)), start=1):
        tracks.before[row], tracks.during[row] = usual, now

    assert ("starved" in words_of(blaming(picture, ("front", line)) if line else picture, "front")) is starved


def test_a_message_that_came_back_a_while_ago_is_no_poison_now(draw):
    series = [("jobs", "messaging.queue.redelivered"), ("front", "duration.mean")]
    picture = draw(series, (("front", "jobs"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    tracks.before[0], tracks.during[0] = 0.0, 0.0
    tracks.during[0, 3] = 5.0

    assert words_of(picture, "jobs") == []
    tracks.during[0, -1] = 5.0
    assert words_of(picture, "jobs") == ["poison"]


def test_a_processor_that_works_far_more_for_the_same_requests_is_busy_where_others_are_idle(draw):
    """Of two cores one thread can use the half: what counts is how much more it is."""
    series = [("front", "process.cpu.utilization"), ("front", "requests.rate"), ("front", "duration.mean")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    tracks.before[0], tracks.during[0] = 0.03, 0.3
    tracks.before[1], tracks.during[1] = 100.0, 100.0

    assert words_of(picture, "front") == ["busy_cpu"]
    tracks.during[1] = 150.0
    assert words_of(picture, "front") == ["busy_cpu"]
    tracks.during[1] = 900.0
    assert "busy_cpu" not in words_of(picture, "front")


@pytest.mark.parametrize(
    ("newest", "said"), [((300.0, 300.0, 1.0), True), ((100.0, 1.0, 200.0), False), ((100.0, 90.0, 400.0), True)]
)
def test_a_surge_is_told_by_the_middle_of_the_newest_steps(draw, newest, said):
    series = [("front", "requests.rate"), ("front", "duration.mean")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    tracks.before[0], tracks.during[0] = 100.0, 100.0
    tracks.during[0, -3:] = newest

    assert ("surged" in words_of(picture, "front")) is said


@pytest.mark.parametrize(
    ("again", "failing", "said"), [(50.0, 2.0, True), (50.0, 25.0, False), (78.0, 61.0, False), (200.0, 100.0, True)]
)
def test_who_tries_again_once_for_each_call_that_fails_brings_no_storm(draw, again, failing, said):
    series = [("front", "http.client.request.retries"), ("front", "requests.rate"), ("front", "failed.share")]
    picture = draw([*series, ("store", "duration.mean")], (("front", "store"),), ill=())
    tracks = picture.tracks
    rows = {signal: row for row, signal in enumerate(tracks.signal)}
    for signal, now in (("http.client.request.retries", again), ("requests.rate", 100.0), ("failed.share", failing)):
        tracks.before[rows[signal]] = 100.0 if signal == "requests.rate" else 0.0
        tracks.during[rows[signal]] = now

    assert ("retrying" in words_of(picture, "front")) is said


@pytest.mark.parametrize(("again", "gave_up", "said"), [(180.0, 0.0, False), (600.0, 0.0, True), (180.0, 60.0, True)])
def test_who_tries_again_without_end_has_nobody_to_lay_it_on(draw, again, gave_up, said):
    """Nor has who gave up what was answered as well as ever; all that fails once or twice is its supplier's."""
    series = [("front", name) for name in ("http.client.request.retries", "requests.rate", "failed.share")]
    picture = draw([*series, ("front", GIVEN_UP), ("store", "duration.mean")], (("front", "store"),))
    tracks = picture.tracks
    tracks.peer[3] = 1
    for row, (then, now) in enumerate(((0.0, again), (100.0, 100.0), (0.0, 90.0), (0.0, gave_up))):
        tracks.before[row], tracks.during[row] = then, now
    tallies = Tallies(
        np.array([0], np.int32), np.array([1], np.int32), ("blames",), ("late",), np.array([17], np.int8),
        *(np.array([count]) for count in (0.0, 100.0, 100.0, 100.0)),
    )  # fmt: skip

    assert ("retrying" in words_of(replace(picture, tallies=tallies), "front")) is said


@pytest.mark.parametrize(("usual", "said"), [(0.03, ["busy_cpu"]), (np.nan, [])])
def test_what_is_usual_of_a_processor_must_be_known_before_a_fifth_is_much(draw, usual, said):
    series = [("front", "process.cpu.utilization"), ("front", "requests.rate"), ("front", "duration.mean")]
    picture = draw(series, (("front", "store"),), ill=(("front", "duration.mean", 30.0, 3),))
    tracks = picture.tracks
    tracks.before[0], tracks.during[0] = usual, 0.3
    tracks.before[1], tracks.during[1] = 100.0, 100.0

    assert words_of(picture, "front") == said


@pytest.mark.parametrize(
    ("metric", "usual", "now", "said"),
    [
        ("process.open_file_descriptor.count:limit_ratio", 0.85, 1.0, ["many_files"]),
        ("process.open_file_descriptor.count:limit_ratio", 0.5, 0.6, []),
        ("process.open_file_descriptor.limit", np.nan, 1024.0, []),
        ("process.open_file_descriptor.count", 100.0, 400.0, ["many_files"]),
    ],
)
def test_files_are_many_by_their_number_or_their_limit_and_a_limit_is_none(draw, metric, usual, now, said):
    picture = draw([("front", metric), ("front", "duration.mean")], (("front", "store"),), ill=())
    row = picture.tracks.signal.index(metric)
    picture.tracks.before[row], picture.tracks.during[row] = usual, now

    assert words_of(picture, "front") == said
