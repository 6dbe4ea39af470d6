"""Jobs on the real PostgreSQL: done, done again after a failure, dead in the end, and never twice at once."""

import asyncio

import psycopg
import pytest

from cerebro.kernel import jobs
from cerebro.kernel.jobs import Job, Jobs
from cerebro.kernel.records.migrate import migrate


@pytest.fixture
async def database(postgres_url):
    await migrate(postgres_url)
    return postgres_url


async def work_off(queue: Jobs, until) -> None:
    """Run the worker until the condition holds, then stop it."""
    stop = asyncio.Event()
    working = asyncio.create_task(queue.run(stop))
    for _ in range(300):
        if until():
            break
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(working, 15)


async def test_a_job_is_done_with_its_arguments(database):
    """What is put is worked off, by whoever runs the worker."""
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    queue = Jobs(database, [Job("test_note", note)])
    await queue.put("test_note", number=7)
    await work_off(queue, lambda: done)

    assert done == [7]


async def test_a_key_keeps_a_second_one_out_while_the_first_waits(database):
    """Asked for twice with one key, done once."""
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    queue = Jobs(database, [Job("test_keyed", note)])
    await queue.put("test_keyed", key="only", number=1)
    await queue.put("test_keyed", key="only", number=2)
    await work_off(queue, lambda: done)

    assert done == [1]


async def test_a_failing_job_is_tried_again_and_ends_as_a_dead_letter(database, monkeypatch):
    """Attempts are bounded; the job that failed for good is there to be looked at."""
    monkeypatch.setattr(jobs, "FIRST_WAIT_S", 0)
    tries: list[int] = []

    async def fail(number: int) -> None:
        tries.append(number)
        raise ValueError("no")

    queue = Jobs(database, [Job("test_fail", fail, attempts_max=1)])
    await queue.put("test_fail", number=3)
    await work_off(queue, lambda: len(tries) >= 2)
    letters = [letter for letter in await queue.dead_letters() if letter.name == "test_fail"]
    await queue.close()

    assert len(tries) == 2
    assert letters[0].arguments == {"number": 3}


@pytest.mark.parametrize(("attempts", "rescued"), [(0, True), (jobs.ATTEMPTS_MAX - 1, False)])
async def test_the_job_of_a_worker_that_was_killed_is_done_by_another(database, attempts, rescued):
    """Unless it has killed one worker after another."""
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    name = f"test_stalled_{attempts}"
    queue = Jobs(database, [Job(name, note)])
    await queue.put(name, number=5)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute(
            "WITH killed AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
            " RETURNING id) UPDATE procrastinate_jobs SET status = 'doing', attempts = %s, worker_id = killed.id"
            " FROM killed WHERE task_name = %s",
            (attempts, name),
        )
    await queue.rescue()
    letters = [letter.name for letter in await queue.dead_letters()]
    if rescued:
        await work_off(queue, lambda: done)
    await queue.close()

    assert done == [5] * rescued
    assert (name in letters) == (not rescued)
