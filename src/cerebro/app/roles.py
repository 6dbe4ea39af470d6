"""The roles are built, the process runs.

A role imports its own code only, so that each process weighs what it needs.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.metadata import entry_points
from typing import cast

from cerebro import __version__
from cerebro.app.drivers import open_kernel
from cerebro.kernel.engines.postgres import postgres_url
from cerebro.kernel.kit import Agent, Kernel, Task
from cerebro.kernel.lifecycle import run_process, run_tasks
from cerebro.kernel.observe.log import start_logging
from cerebro.kernel.observe.metrics import say_started
from cerebro.kernel.settings import Settings
from cerebro.kernel.supervise import mark_ready
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import DEFAULT_TENANT

ALONE = ("store", "migrate")  # roles that share their process with no other
HTTP = frozenset({"collector", "console"})  # roles that answer on the one listener


def run(settings: Settings, roles: Sequence[str]) -> int:
    """Run these roles in this process until it is told to stop; the exit code.

    Raises:
        Invalid: A role is unknown, or one that runs alone was named with others.
    """
    _do_without_pandas()
    start_logging(settings.log_level, ",".join(roles))
    if roles == ("store",):
        from cerebro.kernel.telemetry.gateway import serve

        serve(settings)
        return 0
    if roles == ("migrate",):
        from cerebro.app.migration import migrate

        return run_process(lambda _stop: migrate(settings))
    _check(roles)
    return run_process(lambda stop: _run(settings, roles, stop))


def _do_without_pandas() -> None:
    """Arrow imports pandas where it is installed, to know its objects; we have none, and save a second and 40 MB.

    A `None` in `sys.modules` would be shorter, and Arrow takes it for the module: so pandas is not found.
    """
    if not any(isinstance(finder, _NoPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    """Knows one module, and that it is not to be had."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Nothing, so that others look; for pandas, that there is none."""
        if fullname == "pandas":
            raise ModuleNotFoundError("Cerebro does without pandas.", name=fullname)


def agents() -> Mapping[str, Agent]:
    """Every agent that is installed, by name."""
    return {each.name: cast(Agent, each.load()) for each in entry_points(group="cerebro.agents")}


async def _run(settings: Settings, roles: Sequence[str], stop: asyncio.Event) -> None:
    async with open_kernel(settings) as kernel:
        builders = _builders()
        tasks = [task for role in roles if role not in HTTP for task in builders[role](kernel)]
        tasks += _own(kernel, ",".join(roles))
        if doors := HTTP.intersection(roles):
            from cerebro.app.front import front

            tasks += front(kernel, doors, agents())
        gc.collect()
        gc.freeze()  # what was imported stays: looking through it again and again would hold up an answer for 100 ms
        say_started(",".join(roles), __version__, kernel.clock.now_ms())
        await run_tasks(tasks, stop, kernel.clock, started=lambda: mark_ready(settings, roles))


def _own(kernel: Kernel, roles: str) -> Sequence[Task]:
    """What every process tells of itself, to the tenant `_cerebro`."""
    from cerebro.intake.own import OwnObserver
    from cerebro.kernel.observe.spans import OwnTraces

    async def publish(subject: str, body: bytes, dedup_key: str) -> None:
        await kernel.bus.publish(subject, body, dedup_key=dedup_key)

    return (OwnObserver(kernel, roles, socket.gethostname()), OwnTraces(publish, roles))


def _builders() -> Mapping[str, Callable[[Kernel], Sequence[Task]]]:
    """What each role runs. Imports are inside: a role loads its own code only."""
    own = {"recorder": _recorder, "detector": _detector, "brain": _brain, "worker": _worker, "observer": _observer}
    return own | {name: agent.tasks for name, agent in agents().items()}


def _recorder(kernel: Kernel) -> Sequence[Task]:
    from cerebro.kernel.telemetry.blocks import SIGNALS, TRACES
    from cerebro.kernel.telemetry.recorder import recorders

    engines = (kernel.bus, kernel.telemetry, kernel.clock, owner_name())
    if not (spans_per_s_max := kernel.settings.retention.traces_spans_per_s_max):
        return recorders(*engines)
    from cerebro.kernel.telemetry.sampled import SampledRecorder

    others = recorders(*engines, [signal for signal in SIGNALS if signal is not TRACES])
    return [*others, SampledRecorder(*engines, spans_per_s_max)]


def _detector(kernel: Kernel) -> Sequence[Task]:
    return agents()["support"].tasks(kernel)


def _brain(kernel: Kernel) -> Sequence[Task]:
    from cerebro.casework.flow import tasks

    return tasks(kernel)


def _worker(kernel: Kernel) -> Sequence[Task]:
    from cerebro.app.front import gate_of
    from cerebro.kernel.jobs import Job, Jobs

    gate = gate_of(kernel)

    async def end_refresh_tokens() -> None:
        await gate.refreshes.sweep(DEFAULT_TENANT)

    async def write_audit_checkpoint() -> None:
        await gate.audit.checkpoint(DEFAULT_TENANT)

    known = (
        Job("end_refresh_tokens", end_refresh_tokens, schedule="*/15 * * * *"),
        Job("write_audit_checkpoint", write_audit_checkpoint, schedule="0 * * * *"),
    )
    return (Jobs(postgres_url(kernel.settings), known),)


def _observer(kernel: Kernel) -> Sequence[Task]:
    from cerebro.intake.host import HostObserver
    from cerebro.intake.journal import JournalObserver

    return (HostObserver(kernel), JournalObserver(kernel))


def owner_name() -> str:
    """Who reads, for people: this process on this machine."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _check(roles: Sequence[str]) -> None:
    known = {*_builders(), *HTTP, *ALONE}
    if unknown := [role for role in roles if role not in known]:
        raise Invalid(f"There is no role {unknown[0]!r}.", f"Choose from: {', '.join(sorted(known))}.")
    if alone := [role for role in roles if role in ALONE and len(roles) > 1]:
        raise Invalid(
            f"The role {alone[0]} shares its process with no other.", f"Run it alone: cerebro run {alone[0]}."
        )
