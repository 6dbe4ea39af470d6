"""Processes summed by name: counters outlive pids, names stay few and do not flicker."""

import pytest

from cerebro.intake.proc.busiest import Busiest, Machine
from cerebro.intake.proc.machine import MachineObserver, NoProcfs
from cerebro.intake.proc.processes import Group, ProcessTable

MACHINE = Machine(core_count=2, memory_bytes=1 << 30)


@pytest.fixture
def proc(tmp_path):
    """A procfs in which a test puts processes."""

    def put(pid, name, *, ticks=0, start=100, pages=1000, parent=1, written=0, exe=True):
        place = tmp_path / str(pid)
        place.mkdir(exist_ok=True)
        tail = f"S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 3 0 {start} 1 {pages} 0"
        (place / "stat").write_text(f"{pid} ({name[:15]}) {tail}\n")
        (place / "io").write_text(f"rchar: 1\nread_bytes: 0\nwrite_bytes: {written}\n")
        (place / "exe").unlink(missing_ok=True)
        if exe:
            (place / "exe").symlink_to(f"/usr/bin/{name}")

    def end(pid):
        for file in (tmp_path / str(pid)).iterdir():
            file.unlink()
        (tmp_path / str(pid)).rmdir()

    return tmp_path, put, end


def group(ticks=0, resident=0, pids=(1,), start=0):
    return Group(len(pids), 1, resident, ticks, 0, 0, start, frozenset(pids))


def test_a_names_counter_goes_on_when_one_of_its_processes_ends(proc):
    root, put, end = proc
    put(10, "nginx", ticks=500)
    put(11, "nginx", ticks=900)
    table = ProcessTable(root)
    assert table.look()["nginx"].ticks == 0  # what was before we looked is not ours to tell

    put(10, "nginx", ticks=600)
    end(11)
    put(12, "nginx", ticks=40, start=999)

    assert table.look()["nginx"].ticks == 140
    assert table.look()["nginx"].count == 2


def test_a_pid_used_again_is_another_process(proc):
    root, put, _ = proc
    put(9, "init")
    put(10, "old", ticks=500)
    table = ProcessTable(root)
    table.look()

    put(10, "new", ticks=30, start=200)

    groups = table.look()
    assert "old" not in groups
    assert groups["new"].ticks == 30


def test_names_are_those_of_executables_and_kernel_threads_have_their_kind(proc):
    root, put, _ = proc
    put(2, "kthreadd", parent=0, exe=False)
    put(10, "kworker/0:1-mm", parent=2, exe=False)
    put(11, "kworker/1:0", parent=2, exe=False)
    put(12, "a-rather-long-executable-name")
    put(13, "not) ours", exe=False)
    put(14, "tool (deleted)")

    assert set(ProcessTable(root).look()) == {
        "[kthreadd]",
        "[kworker]",
        "a-rather-long-executable-name",
        "not) ours",
        "tool",
    }


def test_a_choice_stands_until_someone_is_clearly_busier():
    busiest = Busiest(names_max=2)
    steady = {"a": group(resident=300 << 20), "b": group(resident=200 << 20)}
    list(busiest.readings(steady, MACHINE, 0))

    list(busiest.readings(steady | {"c": group(resident=250 << 20)}, MACHINE, 5))
    assert busiest.chosen == {"a", "b"}

    list(busiest.readings(steady | {"c": group(resident=500 << 20)}, MACHINE, 5))
    assert busiest.chosen == {"a", "c"}


def test_a_busy_loop_is_told_apart_at_its_first_look():
    busiest = Busiest(names_max=20)
    list(busiest.readings({"idle": group(resident=100 << 20)}, MACHINE, 0))

    found = list(busiest.readings({"idle": group(resident=100 << 20), "loop": group(ticks=500)}, MACHINE, 5))

    [use] = [r for r in found if r.metric == "process.cpu.utilization" and r.labels[0][1] == "loop"]
    assert use.value == pytest.approx(0.5)


def test_ten_thousand_names_make_no_more_series_than_allowed():
    busiest = Busiest(names_max=20)
    for look in range(3):
        found = list(busiest.readings({f"n{look}-{i}": group(ticks=i) for i in range(10_000)}, MACHINE, 5))
    assert len({r.labels[-1][1] for r in found}) == 20


def test_this_machine_can_be_read():
    observer = MachineObserver(20)
    observer.look(0.0)

    look = observer.look(5.0)

    metrics = {reading.metric for reading in look.readings}
    assert {"system.cpu.busy", "system.memory.utilization", "system.filesystem.utilization", "system.uptime"} <= metrics
    keys = [(r.metric, r.labels) for r in look.readings]
    assert len(keys) == len(set(keys))
    assert look.boot_s > 0


def test_where_there_is_no_procfs_it_says_so(tmp_path):
    with pytest.raises(NoProcfs, match="not Linux"):
        MachineObserver(20, tmp_path).look(0.0)
