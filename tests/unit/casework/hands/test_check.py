"""A playbook's text is checked against what there is here: its operations, and those of its undos."""

import pytest

from cerebro.app.drivers import simulated_kernel
from cerebro.casework.executors.command import Command
from cerebro.casework.executors.port import Fixed
from cerebro.casework.executors.supervisor import ControlDoor
from cerebro.casework.hands.counter import Counter
from cerebro.casework.playbooks.read import outside, read, shipped_text
from cerebro.kernel.settings import Settings
from cerebro.spine.identity import DEFAULT_TENANT

ROLLBACK, SSH, CLUSTER = (shipped_text(name) for name in ("rollback-deploy", "ssh-free-disk", "k8s-scale-out"))


def door(*operations):
    made = ControlDoor("shop", "http://127.0.0.1:1", "a-key-of-the-door", ("service/*",), None)
    made._operations = frozenset(operations)
    return made


@pytest.fixture
def counter(clock):
    counter = Counter(simulated_kernel(Settings(), clock))
    counter._doors = Fixed((door("rollback", "deploy"), Command({"free_journal": "journalctl"}, "cerebro")))
    return counter


async def warned(counter, text):
    checked = await counter.check(DEFAULT_TENANT, text, past=False)
    assert not checked.faults and checked.name
    return [(each.line, each.text) for each in checked.warnings]


@pytest.mark.parametrize("text", [ROLLBACK, SSH, CLUSTER])
async def test_what_someone_here_knows_is_not_warned_of(counter, text):
    assert await warned(counter, text) == []


@pytest.mark.parametrize(
    ("text", "right", "wrong", "said"),
    [
        (ROLLBACK, "operation: rollback", "operation: rolback", "No control door here knows 'rolback'."),
        (ROLLBACK, "operation: deploy", "operation: redeploy", "No control door here knows 'redeploy'."),
        (ROLLBACK, "operation: rollback", "operation: free_journal", "No control door here knows 'free_journal'."),
        (SSH, "operation: free_journal", "operation: rollback", "No ssh command here is called 'rollback'."),
    ],
)
async def test_what_nobody_here_knows_is_told_with_its_line_and_is_no_fault(counter, text, right, wrong, said):
    """A control door may come up later, and each executor has words of its own."""
    assert right in text
    first = 1 + text.splitlines().index("steps:") + 1

    assert await warned(counter, text.replace(right, wrong)) == [(first, said)]


async def test_without_a_door_no_word_is_known(counter):
    counter._doors = Fixed(())

    assert len(await warned(counter, ROLLBACK)) == 2


async def test_what_is_no_playbook_is_told_its_faults_alone(counter):
    checked = await counter.check(DEFAULT_TENANT, "name: x", past=False)

    assert checked.faults and not checked.warnings


def test_what_is_outside_is_named_once():
    text = shipped_text("scale-out")  # its undo is the same operation

    assert [(each.executor, each.operation) for each in outside(read(text), text)] == [("process", "scale")]
    assert outside(read(CLUSTER), CLUSTER) == ()
