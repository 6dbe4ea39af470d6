"""What /proc says becomes the right numbers under the right names."""

import pytest

from cerebro.intake.proc.cpu import cpu_readings, load_readings, parse_stat
from cerebro.intake.proc.disk import disk_readings, filesystem_readings, parse_diskstats, parse_mounts
from cerebro.intake.proc.memory import memory_readings, paging_readings, parse_pairs
from cerebro.intake.proc.network import INTERFACES_MAX, connection_readings, network_readings
from cerebro.intake.proc.pressure import parse_pressure, pressure_readings
from cerebro.intake.proc.processes import parse_process_stat
from cerebro.intake.proc.reading import CATALOGUE

STAT = """cpu  {user} 0 100 {idle} 50 10 10 30 5 0
cpu0 1 0 1 1 0 0 0 0 0 0
cpu1 1 0 1 1 0 0 0 0 0 0
intr 284257 0 0
ctxt 997970
btime 1763600000
processes 4242
procs_running 3
procs_blocked 1
softirq 1 2 3
"""
DISKSTATS = """   7       0 loop0 1 0 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda {reads} 14913 {sectors} 13382 29179 44662 7742496 15835 0 {busy_ms} 29915 8728 58 1 562 4167 134
 254       1 vda1 5 0 8 1 0 0 0 0 0 1 1 0 0 0 0 0 0
"""
NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo: 297 19 0 0 0 0 0 0 297 19 0 0 0 0 0 0
  eth0: 759272812   22142    1    2    0     0          0         0  1425737   16025    3    4    0  0  0  0
  eth1: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
veth7a: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9
"""


def by_name(readings):
    found = {(r.metric, *(value for _, value in r.labels)): r.value for r in readings}
    assert {metric for metric, *_ in found} <= CATALOGUE.keys()
    return found


def test_the_shares_of_the_processors_add_up_to_one():
    before, now = parse_stat(STAT.format(user=1000, idle=5000)), parse_stat(STAT.format(user=1150, idle=5050))

    found = by_name(cpu_readings(before, now))

    assert found["system.cpu.utilization", "user"] == pytest.approx(0.75)
    assert sum(v for (name, *_), v in found.items() if name == "system.cpu.utilization") == pytest.approx(1)
    assert found["system.cpu.busy",] == pytest.approx(0.75)
    assert found["system.cpu.logical.count",] == 2
    assert found["system.linux.context_switches",] == 997970
    assert found["system.process.count", "running"] == 3


def test_the_first_look_tells_no_rates():
    found = by_name(cpu_readings(None, parse_stat(STAT.format(user=1, idle=1))))

    assert ("system.cpu.busy",) not in found
    assert found["system.process.created",] == 4242


def test_ticks_that_go_backwards_are_no_negative_share():
    before, now = parse_stat(STAT.format(user=1000, idle=5000)), parse_stat(STAT.format(user=1100, idle=4000))

    assert all(0 <= v <= 1 for (name, *_), v in by_name(cpu_readings(before, now)).items() if "cpu.u" in name)


def test_load():
    assert by_name(load_readings("0.15 0.10 0.07 3/96 10136")) == {
        ("system.cpu.load_average.1m",): 0.15,
        ("system.cpu.load_average.5m",): 0.10,
        ("system.cpu.load_average.15m",): 0.07,
    }


def test_the_states_of_memory_add_up_to_its_limit():
    text = (
        "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 50 kB\nCached: 250 kB\nSReclaimable: 20 kB"
    )

    found = by_name(memory_readings(parse_pairs(text + "\nSwapTotal: 10 kB\nSwapFree: 4 kB\nHugePages_Total: 7")))

    states = [v for (name, *_), v in found.items() if name == "system.memory.usage"]
    assert sum(states) == found["system.memory.limit",] == 1000 * 1024
    assert found["system.memory.utilization",] == pytest.approx(0.6)
    assert found["system.paging.utilization",] == pytest.approx(0.6)


def test_a_machine_without_swap_has_no_swap_series():
    assert not [name for name, *_ in by_name(memory_readings({"MemTotal": 1, "MemFree": 1})) if "paging" in name]


def test_paging_and_kills():
    found = by_name(paging_readings(parse_pairs("pgfault 100\npgmajfault 7\npswpin 3\npswpout 4\noom_kill 2\n")))

    assert found["system.paging.faults", "minor"] == 93
    assert found["system.paging.operations", "out"] == 4
    assert found["system.linux.oom_kills",] == 2


def test_a_disk_is_busy_for_the_share_of_time_the_kernel_says():
    devices = frozenset({"vda", "loop0"})
    before = parse_diskstats(DISKSTATS.format(reads=10, sectors=100, busy_ms=7000), devices)
    now = parse_diskstats(DISKSTATS.format(reads=30, sectors=200, busy_ms=9500), devices)

    found = by_name(disk_readings(before, now, elapsed_s=5.0))

    assert set(now) == {"vda"}
    assert found["system.disk.utilization", "vda"] == pytest.approx(0.5)
    assert found["system.disk.io", "read", "vda"] == 200 * 512
    assert found["system.disk.io_time", "vda"] == pytest.approx(9.5)


def test_only_local_file_systems_are_asked_and_each_device_once():
    mounts = parse_mounts(
        "proc /proc proc rw 0 0\n/dev/vda / ext4 rw,relatime 0 0\n/dev/vda /var/lib/x ext4 ro 0 0\n"
        "nas:/home /home nfs4 rw 0 0\noverlay /var/lib/docker/overlay2/1/merged overlay rw 0 0\n"
        "/dev/sdb /my\\040disk xfs ro 0 0\n"
    )

    assert [(m.device, m.mountpoint, m.mode) for m in mounts] == [
        ("/dev/vda", "/", "rw"),
        ("/dev/sdb", "/my disk", "ro"),
    ]


def test_a_file_system_that_is_gone_is_left_out(tmp_path):
    mounts = parse_mounts(f"/dev/a {tmp_path} ext4 rw 0 0\n/dev/b {tmp_path}/gone ext4 rw 0 0\n")

    found = by_name(filesystem_readings(mounts))

    assert {labels[0] for _, *labels in found} == {"/dev/a"}
    assert 0 < found["system.filesystem.utilization", "/dev/a", str(tmp_path), "rw", "ext4"] <= 1


def test_interfaces_that_only_repeat_or_never_worked_are_left_out():
    found = by_name(network_readings(NET))

    assert found["system.network.io", "eth0", "receive"] == 759272812
    assert found["system.network.packet.dropped", "eth0", "transmit"] == 4
    assert {labels[0] for _, *labels in found} == {"eth0"}


def test_interfaces_are_bounded():
    text = "\n".join(f"eth{i}: {'1 ' * 16}" for i in range(1000))

    assert len({labels[0] for _, *labels in by_name(network_readings(text))}) == INTERFACES_MAX


def test_connections():
    snmp = "Tcp: RtoAlgorithm CurrEstab InSegs\nTcp: 1 17 99\nUdp: InDatagrams\nUdp: 5\n"

    assert list(by_name(connection_readings(snmp)).values()) == [17]
    assert not list(connection_readings("nothing"))


def test_pressure_is_the_share_of_time_that_stalled():
    before = {
        "io": parse_pressure("some avg10=0 avg60=0 avg300=0 total=1000000\nfull avg10=0 avg60=0 avg300=0 total=0")
    }
    now = {
        "io": parse_pressure("some avg10=0 avg60=0 avg300=0 total=3500000\nfull avg10=0 avg60=0 avg300=0 total=5000000")
    }

    found = by_name(pressure_readings(before, now, elapsed_s=5.0))

    assert found["system.linux.psi.utilization", "io", "some"] == pytest.approx(0.5)
    assert found["system.linux.psi.utilization", "io", "full"] == 1.0
    assert found["system.linux.psi.time", "io", "some"] == pytest.approx(3.5)


@pytest.mark.parametrize("text", ["", "7 (a", "7 a S 1", "7 (a) S 1 2 3", ") (", "(((((((("])
def test_a_process_that_is_going_gives_nothing(text):
    assert parse_process_stat(text) is None
