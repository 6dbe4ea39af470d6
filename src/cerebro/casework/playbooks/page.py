"""The reference page of the shipped playbooks, and of what a playbook's text holds."""

from collections.abc import Iterable

from cerebro.casework.playbooks.model import Playbook, StepPlan

HEAD = """# Playbooks

A playbook is a YAML file: when it applies, what it does, what that changes, how one sees that it helped, how it is
undone. `cerebro playbooks validate FILE` names the line of every fault in one. A playbook of your own is signed off
with `cerebro playbooks add FILE`, by someone who has the permission that its `sign_off` names; one with the name of a
shipped one takes its place.

Text from telemetry never becomes a command: arguments are values of a declared type, a name that a proof speaks of is
only ever chosen among the names that the target itself tells, and a playbook is thought of by the kind of the cause and
of the thing to blame, never by words alone.

"""
PARTS = (
    ("`trigger`", "`entities` (a kind, or a nature such as database) must fit, and one of the `marks` that the evidence"
     " has for the cause; with `mark_needed: false`, or without marks, the kind of the cause (`causes`) is enough;"
     " none of `without` may be there; of `needs` one word must be in the proof, in Cerebro's own words or its marks,"
     " not in what it quotes; `words` make it fit better"),
    ("`marks`", "words of a closed set for what the evidence says: `untrusted`, `unresolved`, `locked`, `full_disk`, …"
     " (docs/decisions/0040-marks.md); unasked, a playbook is done only when it answers to the most telling of them,"
     " and not for one that only lines give and nothing that is measured bears out"),
    ("`trigger`, further", "`shapes`: what callers feel (`slow`, `slow_errors`, `fast_errors`, `lost`); `probes`:"
     " gauges of the target (`metric`, `above`), read again just before it is done unasked; `share_min` of the blame;"
     " `objectives` that must burn"),
    ("`parameters`", "`name`, `about`, `type` (`name`, `number`, `integer`, `choice`), `default`, `min`, `max`,"
     " `choices`, `required`; `pick`: the beginning of the target's own names, of which the proof chooses one"),
    ("`steps`", "an executor, an operation, its arguments with `${parameter}`, `${target}` and `${entity}`, `canary`"
     " for one replica first, and the `undo` (with `${before.NAME}`, too, of the state before) or `why_no_undo`"),
    ("`risk`", "`read`, `safe` (not noticed, can be taken back), `guarded` (may be noticed for a moment), `dangerous`"),
    ("`level_max`", "the most that its record may earn it: `suggest`, `ask`, `act`, `silent`"),
    ("`expect`", "`users`: rate, errors and duration as before the case; `signals`: the case's findings there are over;"
     " `within_s` (120), held for `hold_s` (20)"),
    ("`cool_down_s`", "it is not done unasked on the same target again before (600)"),
)  # fmt: skip


def page(playbooks: Iterable[Playbook]) -> str:
    """The page, in Markdown."""
    rows = sorted(playbooks, key=lambda each: each.name)
    lines = [
        HEAD,
        "| part | what it says |",
        "|---|---|",
        *(f"| {part} | {what} |" for part, what in PARTS),
        "",
        f"## The {len(rows)} that come with Cerebro\n",
        "| name | what | cause | of a | risk |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| [{each.name}](#{each.name}) | {each.title} | {', '.join(each.trigger.causes)}"
        f" | {', '.join(each.trigger.entities)} | {each.risk} |"
        for each in rows
    ]
    return "\n".join([*lines, "", *(_section(each) for each in rows)])


def _section(playbook: Playbook) -> str:
    paragraphs = "\n\n".join(_bold(line) for line in _paragraphs(playbook.runbook))
    steps = "; then ".join(_step(each) for each in playbook.steps)
    facts = (
        f"*{steps}.* Predicted: {playbook.predicted} Watched for {playbook.expect.within_s:.0f} s."
        f" Signed off by: {playbook.sign_off}."
    )
    head = f"## {playbook.name}\n\n**{playbook.title}** (version {playbook.version}, {playbook.risk})"
    return f"{head}\n\n{facts}\n\n{paragraphs}\n"


def _step(step: StepPlan) -> str:
    back = f"undone by `{step.undo.operation}`" if step.undo else f"no undo: {step.why_no_undo.rstrip('.')}"
    return f"`{step.operation}` by {step.executor}, {back}"


def _paragraphs(text: str) -> list[str]:
    """Lines that begin with a word and a colon begin a paragraph."""
    found: list[str] = []
    for line in text.strip().splitlines():
        head = line.partition(":")[0]
        if not found or (":" in line and len(head) < 60 and head[:1].isupper()):
            found.append(line)
        else:
            found[-1] += f" {line}"
    return found


def _bold(text: str) -> str:
    head, colon, rest = text.partition(":")
    return f"**{head}:**{rest}" if colon and len(head) < 60 else text
