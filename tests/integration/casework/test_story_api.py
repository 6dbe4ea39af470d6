"""The story of a case on real engines: proofs asked again give the same, or say what has changed."""

from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest

from cerebro.casework.proof import digest_of_rows
from cerebro.spine.cases import Cause
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence


@pytest.fixture
async def deploy(telemetry, tenant, kernel):
    """A deploy, a minute ago."""

    async def tell(number=1):
        at = pa.array([(kernel.clock.now_ms() - 60_000) * 1_000_000], pa.timestamp("ns", "UTC"))
        texts = {"kind": "deploy", "source": "ci", "entity_kind": "service", "entity_name": "pay", "title": "v2"}
        row = {"tenant": [tenant], "at": at, "id": [f"e{number}"], **{n: [t] for n, t in texts.items()}, "body": ["{}"]}
        await telemetry.insert("events", pa.table(row), dedup_token=f"{tenant}{number}")

    return tell


async def test_a_story_is_told_and_its_proofs_hold(client, desk, tenant, finding, deploy):
    await deploy()
    await desk.admit(tenant, [finding("cpu")])
    (case,) = (await client.get("/cases")).json()["items"]
    rows = digest_of_rows(("1",), [(1,)])
    cause = Cause(EntityKey("service", "pay"), "deploy", 0.8, 1, "It came first.", (
        Evidence("One row.", "clickhouse", "SELECT 1", 0, 1, rows),
    ))  # fmt: skip
    await desk.change(tenant, case["id"], lambda case: replace(case, causes=(cause,)))

    story = (await client.get(f"/cases/{case['id']}/story")).json()
    checked = (await client.get(f"/cases/{case['id']}/story", params={"check": "true", "language": "ru"})).json()

    parts = [sentence["part"] for sentence in story["sentences"]]
    assert parts == ["hurts", "since", "owner", "cause", "cause", "changed", "unknown"]
    numbers = {proof["number"] for proof in story["proofs"]}
    assert all(sentence["proofs"] and set(sentence["proofs"]) <= numbers for sentence in story["sentences"])
    assert "80 %: service pay (deploy)" in story["sentences"][3]["text"]
    verdicts = {proof["query"]: proof["verdict"] for proof in checked["proofs"]}
    assert verdicts.pop("SELECT 1") in ("same", "changed")  # the finding's own digest is made up
    assert set(verdicts.values()) == {"same"}, checked["proofs"]
    assert "выкладка" in msgspec.json.encode(checked, order="sorted").decode()


async def test_what_has_changed_since_is_told(client, desk, tenant, finding, deploy, whole_kernel):
    from cerebro.casework.api_story import gather
    from cerebro.casework.reread import Verdict, reread

    await deploy()
    await desk.admit(tenant, [finding("cpu")])
    (case,) = (await client.get("/cases")).json()["items"]
    before = await gather(whole_kernel, tenant, case["id"])
    assert (await reread(whole_kernel, tenant, before.changes.evidence)).verdict is Verdict.SAME
    await deploy(2)

    assert (await reread(whole_kernel, tenant, before.changes.evidence)).verdict is Verdict.CHANGED
    old = replace(before.changes.evidence, query="SELECT 1 WHERE 0", end_ms=1, start_ms=0)
    assert (await reread(whole_kernel, tenant, old)).verdict is Verdict.EXPIRED
    wrong = replace(old, query="SELECT * FROM system.tables")
    reading = await reread(whole_kernel, tenant, wrong)
    assert reading.verdict is Verdict.UNANSWERED and reading.detail
    assert (await client.get("/cases/none/story")).status_code == 404


async def test_what_an_agent_drew_is_sealed_and_then_checked(client, desk, tenant, finding, whole_kernel):
    """The digest of a drawing cannot be asked for again; the seal of its question can."""
    from cerebro.casework.proof import digest
    from cerebro.casework.seal import Sealer

    sample = {"value": [1.0], "at_ms": [1]}
    early = whole_kernel.clock.now_ms() - 120_000
    proof = Evidence("High.", "clickhouse", "SELECT count() AS n FROM logs", 0, early, digest(sample), sample)
    await desk.admit(tenant, [finding("cpu", evidence=(proof,))])
    (case,) = (await client.get("/cases")).json()["items"]
    path = f"/cases/{case['id']}/story"

    async def verdict():
        proofs = (await client.get(path, params={"check": "true"})).json()["proofs"]
        return next((each["verdict"], each["sealed_ms"] > 0) for each in proofs if each["query"] == proof.query)

    assert await verdict() == ("drawn", False)
    assert await Sealer(whole_kernel).seal(tenant) == 1
    assert await verdict() == ("same", True)
    await whole_kernel.telemetry.insert("logs", _log(tenant, early), dedup_token=f"l{tenant}")
    assert await verdict() == ("changed", True)
    assert await Sealer(whole_kernel).seal(tenant) == 0


def _log(tenant, at_ms):
    moment = pa.array([at_ms * 1_000_000], pa.timestamp("ns", "UTC"))
    texts = dict.fromkeys(
        ("severity_text", "body", "service", "entity_kind", "entity_name", "trace_id", "span_id", "scope"), "x"
    )
    empty = pa.array([[]], pa.map_(pa.string(), pa.string()))
    maps = {"attributes": empty, "resource": empty}
    number = pa.array([9], pa.uint8())
    columns = {"tenant": [tenant], "at": moment, "observed": moment, "severity": number}
    return pa.table(columns | {name: [text] for name, text in texts.items()} | maps)
