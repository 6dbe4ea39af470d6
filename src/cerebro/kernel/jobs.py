"""Work for later: procrastinate on the same PostgreSQL, with priorities, retries and schedules.

A job that has failed for good stays in the table with the state `failed`: that is the list of dead
letters, for a person to look at. The schema is applied by `records/migrate.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from procrastinate import App, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status

from cerebro.kernel.observe.log import get_log
from cerebro.spine.errors import Unavailable

log = get_log(__name__)

ATTEMPTS_MAX = 8
FIRST_WAIT_S = 2  # then doubled each time: eight attempts reach over eight minutes
KEPT_HOURS = 24 * 7  # of a job that is done
CONCURRENCY = 4
POOL_MAX = 4
PATIENCE_S = 5.0

Work = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of work.

    Args:
        name: Its own; jobs in the database name it.
        work: Called with the JSON values of `put`; for a schedule with none.
        schedule: Five fields of cron, UTC; empty for work that is asked for.
        priority: The higher the sooner.
        attempts_max: Then it is a dead letter.
    """

    name: str
    work: Work
    schedule: str = ""
    priority: int = 0
    attempts_max: int = ATTEMPTS_MAX


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good."""

    id: int
    name: str
    arguments: Mapping[str, Any]
    attempts: int


@dataclass(slots=True)
class Jobs:
    """The queue, and the task that works it off.

    Args:
        url: `postgresql://…`
        known: Every kind of job there is; one that is put elsewhere is worked off here.
    """

    url: str
    known: Sequence[Job]
    name: str = "jobs"
    _app: App = field(init=False)
    _open: bool = False
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        connector = PsycopgConnector(conninfo=self.url, min_size=1, max_size=POOL_MAX, timeout=PATIENCE_S)
        self._app = App(connector=connector)
        own = (
            Job("rescue_stalled_jobs", self.rescue, schedule="* * * * *"),
            Job("forget_done_jobs", self._forget_done, schedule="17 3 * * *"),
        )
        for job in (*self.known, *own):
            _register(self._app, job)

    async def put(self, name: str, *, key: str = "", after_s: int = 0, **arguments: Any) -> None:
        """Ask for a job; with a `key`, none is added while one with the same key waits.

        Raises:
            Unavailable: The database does not answer; nothing was asked for.
        """
        options: dict[str, Any] = {"schedule_in": {"seconds": after_s}} if after_s else {}
        if key:
            options["queueing_lock"] = key
        try:
            await (await self._opened()).configure_task(name, **options).defer_async(**arguments)
        except AlreadyEnqueued:
            log.debug("job_waits_already", job=name, key=key)
        except ConnectorException as error:
            raise Unavailable("The database of jobs does not answer.") from error

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        """The jobs that failed for good, the newest first."""
        found = list(await (await self._opened()).job_manager.list_jobs_async(status=Status.FAILED.value))
        newest = sorted(found, key=lambda job: -(job.id or 0))[:limit]
        return [DeadLetter(job.id or 0, job.task_name, job.task_kwargs, job.attempts) for job in newest]

    async def run(self, stop: asyncio.Event) -> None:
        """Work jobs off until `stop`; one that is under way is finished.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            await self._work(await self._opened(), stop)
        except ConnectorException as error:
            raise Unavailable("The database of jobs does not answer.") from error
        finally:
            await self.close()

    async def rescue(self) -> None:
        """Put back the jobs of workers that were killed; one that keeps killing its worker is a dead letter."""
        jobs = (await self._opened()).job_manager
        for job in await jobs.get_stalled_jobs():
            is_hopeless = job.attempts + 1 >= ATTEMPTS_MAX
            log.warning("job_stalled", job=job.task_name, id=job.id, attempts=job.attempts + 1, given_up=is_hopeless)
            if is_hopeless:
                await jobs.finish_job(job, Status.FAILED, delete_job=False)
            else:
                await jobs.retry_job(job)

    async def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        if self._open:
            self._open = False
            await self._app.close_async()

    async def _opened(self) -> App:
        async with self._opening:
            if not self._open:
                await self._app.open_async()
                self._open = True
        return self._app

    async def _forget_done(self) -> None:
        """Forget jobs that were done a week ago; failed ones stay until someone looks."""
        await self._app.job_manager.delete_old_jobs(nb_hours=KEPT_HOURS)

    async def _work(self, app: App, stop: asyncio.Event) -> None:
        working = asyncio.create_task(
            app.run_worker_async(
                concurrency=CONCURRENCY, install_signal_handlers=False, shutdown_graceful_timeout=PATIENCE_S
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()  # the worker takes it as a wish to finish what is under way
        await asyncio.wait({working}, timeout=2 * PATIENCE_S)
        if working.done() and not working.cancelled() and (error := working.exception()):
            raise error


def _register(app: App, job: Job) -> None:
    retry = RetryStrategy(max_attempts=job.attempts_max, wait=FIRST_WAIT_S, exponential_wait=2)
    register = app.task(name=job.name, retry=retry, priority=job.priority, pass_context=False)

    if not job.schedule:
        register(job.work)
        return

    async def at(timestamp: int) -> None:
        await job.work()

    app.periodic(cron=job.schedule)(register(at))
