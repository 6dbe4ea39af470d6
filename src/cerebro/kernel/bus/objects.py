"""Bodies of any size on JetStream: parts under a subject of the object's own, then one message that names them."""

import asyncio
import json

from cerebro.kernel.bus.jetstream import JetStream, bucket_name, sequence_of, word_of
from cerebro.kernel.bus.mailbox import Letter
from cerebro.kernel.clock import Clock
from cerebro.spine.errors import Conflict, NotFound, Unavailable

VERSION = 1
PART_BYTES = 1 << 20
PARTS_IN_FLIGHT = 16
READ_BYTES = 32 << 20
PART_START = "Cerebro-Part"  # header: where in the body the part begins


class Objects:
    """Whole or not at all: until the naming message is there, the object before stands.

    Args:
        jetstream: The connection.
        clock: Names each set of parts.
        replicas: Copies of a bucket that is made here.
    """

    def __init__(self, jetstream: JetStream, clock: Clock, replicas: int) -> None:
        self._jetstream, self._clock, self._replicas = jetstream, clock, replicas

    async def put(self, bucket: str, name: str, body: bytes) -> None:
        """Store the body. Of two writers at once, one is as if the other had come later."""
        stream, word = f"OBJ_{bucket_name(bucket)}", word_of(name)
        await self._need_bucket(bucket)
        before = await self._jetstream.last(stream, f"$O.{bucket}.M.{word}")
        parts = f"{word}.{self._clock.new_id()}"
        sequences = await self._put_parts(f"$O.{bucket}.C.{parts}", body)
        about = {"name": name, "parts": parts, "size": len(body), "count": len(sequences), "version": VERSION}
        headers = {"Nats-Rollup": "sub", "Nats-Expected-Last-Subject-Sequence": str(before[1] if before else 0)}
        try:
            stored = await self._jetstream.store(f"$O.{bucket}.M.{word}", json.dumps(about).encode(), headers)
        except Conflict:  # someone was quicker: theirs stands, as if it had come after ours
            await self._jetstream.ask(f"STREAM.PURGE.{stream}", {"filter": f"$O.{bucket}.C.{parts}"})
            return
        oldest = sequences[0] if sequences else int(stored["seq"])
        await self._jetstream.ask(f"STREAM.PURGE.{stream}", {"filter": f"$O.{bucket}.C.{word}.*", "seq": oldest})

    async def get(self, bucket: str, name: str) -> bytes | None:
        """The last body stored under the name.

        Raises:
            Unavailable: Some of its parts are gone.
        """
        stream, subject = f"OBJ_{bucket_name(bucket)}", f"$O.{bucket}.M.{word_of(name)}"
        while found := await self._jetstream.last(stream, subject):
            about = json.loads(found[0])
            body = await self._get_parts(stream, f"$O.{bucket}.C.{about['parts']}", int(about["count"]))
            if body is not None and len(body) == about["size"]:
                return body
            again = await self._jetstream.last(stream, subject)
            if again and again[1] == found[1]:  # not replaced while we read
                raise Unavailable(f"The object {name} in {bucket} lacks some of its parts.", "Store it again.")
        return None

    async def _need_bucket(self, bucket: str) -> None:
        try:
            await self._jetstream.ask(f"STREAM.INFO.OBJ_{bucket}", {})
        except NotFound:
            await self._jetstream.make_stream(
                {
                    "name": f"OBJ_{bucket}",
                    "subjects": [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
                    "storage": "file",
                    "discard": "new",
                    "allow_direct": True,
                    "allow_rollup_hdrs": True,
                    "num_replicas": self._replicas,
                }
            )

    async def _put_parts(self, subject: str, body: bytes) -> list[int]:
        gate = asyncio.Semaphore(PARTS_IN_FLIGHT)
        view = memoryview(body)

        async def put(start: int) -> int:
            async with gate:
                part = bytes(view[start : start + PART_BYTES])
                return int((await self._jetstream.store(subject, part, {PART_START: str(start)}))["seq"])

        return sorted(await asyncio.gather(*(put(start) for start in range(0, len(body), PART_BYTES))))

    async def _get_parts(self, stream: str, subject: str, count: int) -> bytes | None:
        """The parts in the order of their start; `None` when some are gone."""
        letters: list[Letter] = []
        after = 0
        while len(letters) < count:
            question = {"seq": after + 1, "batch": count, "max_bytes": READ_BYTES, "next_by_subj": subject}
            page = await self._jetstream.gather(stream, question)
            if not page:
                return None
            letters += page
            after = sequence_of(page[-1])
        return b"".join(letter.data for letter in sorted(letters, key=_start_of))


def _start_of(letter: Letter) -> int:
    return int((letter.headers or {})[PART_START])
