"""Shared state on JetStream, in the layout of NATS key-value buckets, so that its own tools can read it (ADR-8)."""

from collections.abc import Sequence

from cerebro.kernel.bus.jetstream import JetStream, NobodyThere, bucket_name, key_name
from cerebro.kernel.bus.port import Stored
from cerebro.spine.errors import NotFound


class Buckets:
    """Keys with revisions; see the port for what each call promises.

    Args:
        jetstream: The connection.
        replicas: Copies of a bucket that is made here.
    """

    def __init__(self, jetstream: JetStream, replicas: int) -> None:
        self._jetstream, self._replicas = jetstream, replicas

    async def get(self, bucket: str, key: str) -> Stored | None:
        """The value of the key, read from the bucket's leader, so that one's own writes are seen."""
        found = await self._jetstream.last(f"KV_{bucket_name(bucket)}", f"$KV.{bucket}.{key_name(key)}")
        return found and Stored(found[0], found[1])

    async def put(self, bucket: str, key: str, value: bytes, revision: int | None) -> int:
        """Store the value and return its revision; a bucket that is not there is made."""
        subject = f"$KV.{bucket_name(bucket)}.{key_name(key)}"
        headers = None if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        try:
            return int((await self._jetstream.store(subject, value, headers))["seq"])
        except NobodyThere:
            await self._make(bucket)
            return int((await self._jetstream.store(subject, value, headers))["seq"])

    async def keys(self, bucket: str) -> Sequence[str]:
        """Every key of the bucket, sorted; asked for page by page."""
        head = f"$KV.{bucket_name(bucket)}."
        found: list[str] = []
        while True:
            question = {"subjects_filter": f"{head}>", "offset": len(found)}
            try:
                answer = await self._jetstream.ask(f"STREAM.INFO.KV_{bucket}", question)
            except NotFound:
                return ()
            page = answer["state"].get("subjects") or {}
            found += [subject[len(head) :] for subject in page]
            if not page or len(found) >= int(answer.get("total", 0)):
                return sorted(found)

    async def _make(self, bucket: str) -> None:
        await self._jetstream.make_stream(
            {
                "name": f"KV_{bucket}",
                "subjects": [f"$KV.{bucket}.>"],
                "storage": "file",
                "discard": "new",
                "max_msgs_per_subject": 1,
                "allow_direct": True,
                "allow_rollup_hdrs": True,
                "deny_delete": True,
                "num_replicas": self._replicas,
            }
        )
