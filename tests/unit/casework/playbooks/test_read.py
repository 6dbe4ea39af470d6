"""A playbook's text is read whole or refused with the line and the mend."""

import pytest

from cerebro.casework.executors.choose import by_settings
from cerebro.casework.playbooks.fill import filled, parameters_of
from cerebro.casework.playbooks.read import OPERATIONS as KNOWN
from cerebro.casework.playbooks.read import BadPlaybook, read, shipped
from cerebro.kernel.clock import SystemClock
from cerebro.kernel.settings import ReachSettings
from cerebro.proving.faults import ALL, OPERATIONS
from cerebro.proving.model import CONTROL
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid

TARGETS = ("service/x", "node/x", "pod/x", "stream/x", "consumer/x.y", "flag/x", "backend/x/y", "system/x",
           "backend/_x._tcp.example.org/y", "postgresql/x")  # fmt: skip
GOOD = """\
name: restart-it
version: 1
title: Restart it
sign_off: operator
risk: guarded
trigger:
  causes: [resource]
  entities: [service]
parameters:
  - {name: replica, about: Which., type: integer, default: "0", min: 0, max: 9}
steps:
  - executor: process
    operation: restart
    arguments: {replica: "${replica}"}
    why_no_undo: A restart cannot be taken back.
predicted: It starts afresh.
expect: {of: users, within_s: 60, hold_s: 10}
runbook: |
  Look: is it stuck? Do: restart it. Verify: users are served as before.
"""


def test_every_shipped_playbook_can_be_read_and_has_a_runbook():
    assert len(shipped()) >= 25
    assert all("Verify" in each.runbook or "way back" in each.runbook or "Do:" in each.runbook
               for each in shipped().values())  # fmt: skip


def test_the_operations_that_a_playbook_may_name_are_those_that_executors_have(tmp_path):
    settings = ReachSettings(
        kubernetes_url="http://127.0.0.1:1", sql_url="postgresql://127.0.0.1/x", sql_target="postgresql/x",
        nats_url="nats://127.0.0.1:1", unleash_url="http://127.0.0.1:1", haproxy_socket="tcp://127.0.0.1:1",
        dns_address="127.0.0.1:53", dns_zone="example.org", dns_key_name="x", dns_key="c2VjcmV0",
        webhooks='{"x": "http://127.0.0.1:1"}',
    )  # fmt: skip
    executors = {each.name: each for each in by_settings(settings, SystemClock())}
    assert set(executors) == set(KNOWN)
    for name, operations in KNOWN.items():
        for operation in operations:
            assert any(executors[name].reaches(EntityKey.parse(each), operation) for each in TARGETS), operation


def test_every_fault_that_can_be_mended_has_a_playbook_for_its_kind_of_cause():
    """Built for the kind of the fault: some playbook for this kind of cause does what honestly helps."""
    for fault in ALL.values():
        if fault.cause_kind == CONTROL or not fault.remedies:
            continue
        helps = {remedy.partition(":")[0] for remedy in fault.remedies}
        done = {
            step.operation
            for each in shipped().values()
            if fault.cause_kind in each.trigger.causes
            for step in each.steps
            if step.executor == "process"
        }
        assert helps & done, fault.kind
    assert {s.operation for p in shipped().values() for s in p.steps if s.executor == "process"} <= set(OPERATIONS)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("risk: guarded", "risk: brave", 5, "brave"),
        ("title: Restart it", "titel: Restart it", 3, "titel"),
        ("version: 1\n", "", 1, "version"),
        ("executor: process", "executor: telepathy", 12, "telepathy"),
        ("process\n    operation: restart", "kubernetes\n    operation: restrat", 12, "restrat"),
        ('"${replica}"', '"${pod}"', 12, "pod"),
        ("    why_no_undo: A restart cannot be taken back.\n", "", 12, "no undo"),
        ("hold_s: 10", "hold_s: 90", 17, "hold"),
        ("  causes: [resource]", "  causes: [bad luck]", 7, "bad luck"),
        ("name: restart-it", "name: restart-it\nname: again", 2, "twice"),
        ("version: 1", "version: !!python/object:os.system 1", 2, "kind"),
        ("causes: [resource]", "causes: [resource", 8, "YAML"),
        ("causes: [resource]", "causes: &all [resource]\n  needs: *all", 1, "refers to itself"),
        ("causes: [resource]", "causes: " + "[" * 3000 + "]" * 3000, 1, "YAML"),
        ("version: 1", "version: 0x1", 2, "plain number"),
        ("within_s: 60", "within_s: .inf", 17, "plain number"),
        ("causes: [resource]", "causes: {{ cause }}", 7, "word"),
    ],
)
def test_a_fault_is_told_with_its_line(old, new, line, what):
    with pytest.raises(BadPlaybook) as caught:
        read(GOOD.replace(old, new))

    fault = caught.value.faults[0]
    assert (fault.line, what in fault.what) == (line, True), fault
    assert fault.mend


def test_values_are_checked_by_type_and_never_read_as_a_program():
    playbook = read(GOOD)
    target = EntityKey("service", "cart")

    assert parameters_of(playbook, {"replica": "3"}) == {"replica": "3"}
    for bad in ("3; reboot", "10", "1.5", "$(id)", "nan"):
        with pytest.raises(Invalid):
            parameters_of(playbook, {"replica": bad})
    assert filled({"x": "${target}"}, target, {}) == {"x": "cart"}
    assert filled({"x": "a ${v}"}, target, {"v": "${target} && ${before.y}"}) == {"x": "a ${target} && ${before.y}"}
