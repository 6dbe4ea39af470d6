"""Executors against what they act on: a real PostgreSQL and NATS, and doubles of the rest that refuse other words.

The Kubernetes double checks each request body against shapes written down from the API's published OpenAPI document
(apps/v1 Deployment, v1 Node, policy/v1 Eviction, v1 DeleteOptions; 1.33), and the official client's models, which are
made from that document, check each of its answers. It is no cluster, and none was used.
"""

import asyncio
import json
import sys
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import dns.update
import jsonschema_rs
import nats
import psycopg
import pytest

from cerebro.casework.executors.command import Command
from cerebro.casework.executors.flags import Flags
from cerebro.casework.executors.hook import Hook
from cerebro.casework.executors.jetstream import JetStream
from cerebro.casework.executors.kubernetes import Cluster, Kubernetes
from cerebro.casework.executors.names import Names, Zone
from cerebro.casework.executors.sql import Sql, Statement
from cerebro.casework.executors.weights import Weights
from cerebro.kernel.clock import SystemClock
from cerebro.spine.actions import Call
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
META = {"type": "object", "additionalProperties": False,
        "properties": {"annotations": TEXTS, "labels": TEXTS, "name": {"type": "string"},
                       "namespace": {"type": "string"}, "creationTimestamp": {"type": ["string", "null"]}}}  # fmt: skip
CONTAINER = {"type": "object", "required": ["name"], "additionalProperties": False,
             "properties": {"name": {"type": "string"}, "image": {"type": "string"},
                            "resources": {"type": "object", "additionalProperties": False,
                                          "properties": {"limits": TEXTS, "requests": TEXTS}}}}  # fmt: skip
TEMPLATE = {"type": "object", "additionalProperties": False,
            "properties": {"$patch": {"enum": ["replace"]}, "metadata": META,
                           "spec": {"type": "object", "additionalProperties": False,
                                    "properties": {"containers": {"type": "array", "items": CONTAINER}}}}}  # fmt: skip
SHAPES = {
    "deployments": {"type": "object", "additionalProperties": False,
                    "properties": {"metadata": META, "spec": {"type": "object", "additionalProperties": False,
                                   "properties": {"replicas": {"type": "integer"}, "template": TEMPLATE}}}},
    "nodes": {"type": "object", "additionalProperties": False,
              "properties": {"metadata": META, "spec": {"type": "object", "additionalProperties": False,
                             "properties": {"unschedulable": {"type": "boolean"}}}}},
    "eviction": {"type": "object", "additionalProperties": False, "required": ["metadata"],
                 "properties": {"apiVersion": {"const": "policy/v1"}, "kind": {"const": "Eviction"},
                                "metadata": META, "deleteOptions": {"type": "object"}}},
    "pods": {"type": "object", "additionalProperties": False,
             "properties": {"apiVersion": {"const": "v1"}, "kind": {"const": "DeleteOptions"},
                            "preconditions": {"type": "object", "properties": {"uid": {"type": "string"}}}}},
}  # fmt: skip


class Double(ThreadingHTTPServer):
    """Something that speaks HTTP, with what it was asked."""

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.asked = answer, []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def _do(self):
        size = int(self.headers.get("content-length") or 0)
        parts, body = urlsplit(self.path), json.loads(self.rfile.read(size) or b"null")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.asked.append((self.command, parts.path, query, body, dict(self.headers)))
        status, said = self.server.answer(self.command, parts.path, query, body)
        raw = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = _do


@pytest.fixture
def double():
    started = []

    def start(answer):
        server = Double(answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


class Cart:
    """A cluster with one deployment of three pods, two revisions, one node."""

    def __init__(self):
        self.replicas, self.revision, self.notes, self.node, self.evicted = 3, "2", {}, {}, []
        self.cordoned = False

    def template(self, revision):
        image = {"name": "cart", "image": f"cart:{revision}", "resources": {"limits": {"memory": "512Mi"}}}
        return {"metadata": {"labels": {"app": "cart", "pod-template-hash": "x"}}, "spec": {"containers": [image]}}

    def __call__(self, method, path, query, body):
        last = path.rsplit("/", 1)[-1]
        if body is not None:
            noun = "eviction" if last == "eviction" else path.split("/")[-2]
            jsonschema_rs.validate(SHAPES[noun], body)
        if path.endswith("/deployments/cart"):
            if method == "PATCH" and query.get("dryRun") != "All":
                self.notes |= body["metadata"]["annotations"]
                self.replicas = body["spec"].get("replicas", self.replicas)
                if body["spec"].get("template", {}).get("$patch"):
                    self.revision = "3"
            notes = self.notes | {"deployment.kubernetes.io/revision": self.revision}
            return 200, {"metadata": {"name": "cart", "uid": "u1", "annotations": notes},
                         "spec": {"replicas": self.replicas, "selector": {"matchLabels": {"app": "cart"}},
                                  "template": self.template(self.revision)}}  # fmt: skip
        if last == "replicasets":
            owner = [{"uid": "u1", "kind": "Deployment", "apiVersion": "apps/v1", "name": "cart"}]
            return 200, {"items": [{"metadata": {"annotations": {"deployment.kubernetes.io/revision": each},
                                                 "ownerReferences": owner},
                                    "spec": {"selector": {}, "template": self.template(each)}}
                                   for each in ("1", "2")]}  # fmt: skip
        if path == "/api/v1/nodes/n1":
            if method == "PATCH" and query.get("dryRun") != "All":
                self.cordoned, self.node = body["spec"]["unschedulable"], body["metadata"]["annotations"]
            return 200, {"metadata": {"name": "n1", "annotations": self.node}, "spec": {"unschedulable": self.cordoned}}
        if path == "/api/v1/pods":
            pods = [("cart-1", "ReplicaSet"), ("logs-1", "DaemonSet")]
            return 200, {
                "items": [
                    {
                        "metadata": {
                            "namespace": "shop",
                            "name": name,
                            "ownerReferences": [{"kind": kind, "uid": "u2", "apiVersion": "apps/v1", "name": "logs"}],
                        }
                    }
                    for name, kind in pods
                ]
            }
        if last == "eviction":
            self.evicted.append(body["metadata"]["name"])
            return 201, {}
        return 404, {"kind": "Status", "message": f"{last} not found"}


@pytest.fixture
async def cluster(double):
    cart = Cart()
    server = double(cart)
    made = Kubernetes(Cluster(server.url, "token", None, "shop"))
    yield made, cart, server
    await made.close()


def call(executor, operation, target, **arguments):
    return Call(executor, operation, EntityKey.parse(target), arguments)


async def test_kubernetes_scales_restarts_rolls_back_and_tells_what_happened(cluster):
    kubernetes, cart, server = cluster
    more = call("kubernetes", "scale", "service/cart", replicas="5")

    preview = await kubernetes.dry_run(more)
    assert [(each.before, each.after) for each in preview.changes] == [("3", "5")]
    assert cart.replicas == 3
    assert not await kubernetes.happened(more, key="k1")
    for _ in range(2):
        await kubernetes.execute(more, key="k1", timeout_s=5)
    assert (cart.replicas, await kubernetes.happened(more, key="k1")) == (5, True)
    patches = [each for each in server.asked if each[0] == "PATCH" and not each[2]]
    assert len(patches) == 1
    headers = {name.lower(): value for name, value in patches[0][4].items()}
    assert headers["content-type"] == "application/strategic-merge-patch+json"
    assert headers["authorization"] == "Bearer token"

    back = call("kubernetes", "rollback", "service/cart")
    assert [each.after for each in (await kubernetes.dry_run(back)).changes] == ["1", "cart:1"]
    for each in (back, call("kubernetes", "restart", "service/cart"),
                 call("kubernetes", "patch_limits", "service/cart", memory="1Gi")):  # fmt: skip
        await kubernetes.execute(each, key=each.operation, timeout_s=5)
    assert cart.revision == "3"


@pytest.mark.parametrize(
    ("named", "after"), [("", "768Mi"), ("2Gi", "2Gi"), ("512M", None), ("256Mi", None), ("much", None)]
)
async def test_memory_is_raised_and_never_lowered(cluster, named, after):
    kubernetes, _, server = cluster
    more = call("kubernetes", "raise_memory", "service/cart", **({"memory": named} if named else {}))

    if after is None:
        with pytest.raises(Invalid):
            await kubernetes.dry_run(more)
        return
    assert [(each.before, each.after) for each in (await kubernetes.dry_run(more)).changes] == [("512Mi", after)]
    await kubernetes.execute(more, key="k", timeout_s=5)
    template = server.asked[-1][3]["spec"]["template"]
    assert template["spec"]["containers"][0]["resources"] == {"limits": {"memory": after}}


async def test_where_there_is_no_memory_limit_none_is_raised(cluster):
    kubernetes, cart, _ = cluster
    cart.template = lambda _: {"spec": {"containers": [{"name": "cart", "image": "cart:2"}]}}

    with pytest.raises(Invalid, match="no memory limit"):
        await kubernetes.dry_run(call("kubernetes", "raise_memory", "service/cart"))


async def test_kubernetes_drains_a_node_but_for_its_daemons(cluster):
    kubernetes, cart, _ = cluster
    drain = call("kubernetes", "drain", "node/n1")

    changes = (await kubernetes.dry_run(drain)).changes
    assert [(each.what, each.before, each.after) for each in changes] == [
        ("unschedulable", "no", "yes"), ("pods", "1", "0")
    ]  # fmt: skip
    await kubernetes.execute(drain, key="k", timeout_s=5)
    assert (cart.cordoned, cart.evicted) == (True, ["cart-1"])


async def test_kubernetes_refuses_names_that_lead_elsewhere(cluster):
    kubernetes, _, server = cluster
    for name in ("../../secrets/x", "a?b", "a/b", ""):
        with pytest.raises(Invalid):
            await kubernetes.state(EntityKey("service", name))
    assert server.asked == []
    with pytest.raises(Invalid):
        await kubernetes.dry_run(call("kubernetes", "restart", "service/unknown"))


async def blocked(sql, end):
    preview = await sql.dry_run(end)
    return preview if preview.changes else None


async def test_sql_ends_those_who_block_once_a_key(postgres_url, until):
    sql = Sql(postgres_url, EntityKey("postgresql", "main"))
    end = call("sql", "end_blockers", "postgresql/main", older_s="0")
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as owner:
        await owner.execute("CREATE TABLE IF NOT EXISTS held (n int)")
    holder = await psycopg.AsyncConnection.connect(postgres_url)
    await holder.execute("LOCK TABLE held")
    waiter = await psycopg.AsyncConnection.connect(postgres_url)
    waiting = asyncio.create_task(waiter.execute("SELECT * FROM held"))
    preview = await until(lambda: blocked(sql, end))

    assert preview.changes[0].before == "1"
    assert not await sql.happened(end, key="s1")
    said = [await sql.execute(end, key="s1", timeout_s=5) for _ in range(2)]
    await waiting
    assert said == ["1 blocking sessions ended.", "It was done before."]
    assert await sql.happened(end, key="s1")
    await waiter.close()
    await holder.close()
    with pytest.raises(Invalid):
        await sql.dry_run(call("sql", "drop table users", "postgresql/main"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [("SELECT count(*) FROM pg_sleep(9)", Unavailable), ("SELECT count(*) FROM nowhere", Invalid)],
)
async def test_sql_tells_a_refusal_from_being_slow(postgres_url, asked, told):
    """What takes too long may be tried again; a right or a table that is missing does not come by waiting."""
    sql = Sql(postgres_url, EntityKey("postgresql", "main"), allowed={"look": Statement(asked, asked, "rows")})
    look = call("sql", "look", "postgresql/main")

    with pytest.raises(told):
        await sql.execute(look, key="n", timeout_s=0.2)
    assert not await sql.happened(look, key="n")


async def test_nats_purges_and_lets_a_consumer_rest(nats_server, tenant):
    jet, client = JetStream(nats_server, SystemClock()), await nats.connect(nats_server)
    stream = client.jetstream()
    await stream.add_stream(name=tenant, subjects=[f"hands.{tenant}"])
    await stream.publish(f"hands.{tenant}", b"one")
    await stream.pull_subscribe(f"hands.{tenant}", durable="worker")
    purge, rest = call("nats", "purge", f"stream/{tenant}"), f"consumer/{tenant}.worker"
    pause, resume = call("nats", "pause_consumer", rest, pause_s="60"), call("nats", "resume_consumer", rest)

    assert [each.before for each in (await jet.dry_run(purge)).changes] == ["1"]
    await jet.execute(purge, key="p", timeout_s=5)
    assert (await jet.state(EntityKey("stream", tenant)))["messages"] == "0"
    for each in (pause, resume):
        assert not await jet.happened(each, key="")
        await jet.execute(each, key="", timeout_s=5)
        assert await jet.happened(each, key="")
    with pytest.raises(Invalid):
        await jet.state(EntityKey("stream", "a.b > *"))
    await stream.delete_stream(tenant)
    await client.close()


async def test_flags_are_turned_in_one_environment(double):
    on = {"production": True}

    def unleash(method, path, query, body):
        if method == "POST":
            on["production"] = path.endswith("/on")
            return 200, {}
        known = path == "/api/admin/projects/default/features/ranking"
        return (200, {"environments": [{"name": "production", "enabled": on["production"]}]}) if known else (404, {})

    flags = Flags(double(unleash).url, "token")
    off = call("flags", "turn_off", "flag/ranking")
    assert [(each.before, each.after) for each in (await flags.dry_run(off)).changes] == [("on", "off")]
    await flags.execute(off, key="", timeout_s=5)
    assert await flags.happened(off, key="")
    for name in ("../x", "no such", "unknown"):
        with pytest.raises(Invalid):
            await flags.state(EntityKey("flag", name))
    with pytest.raises(Invalid, match="none of Unleash's"):
        await Flags(double(lambda *_: (200, ["a page of another kind"])).url, "token").state(EntityKey("flag", "x"))


async def test_a_hook_carries_its_key_and_its_seal(double):
    answers = iter((200, 400, 503))
    server = double(lambda *_: (next(answers), {}))
    hook = Hook({"tickets": server.url}, "secret", SystemClock())
    post = call("webhook", "post", "system/tickets", text="</script> $(reboot)")

    await hook.execute(post, key="h1", timeout_s=5)
    headers = {name.lower(): value for name, value in server.asked[0][4].items()}
    assert headers["idempotency-key"] == "h1"
    assert headers["x-cerebro-signature"].startswith("t=")
    with pytest.raises(Invalid):
        await hook.execute(post, key="h1", timeout_s=5)
    with pytest.raises(Unavailable):
        await hook.execute(post, key="h1", timeout_s=5)


async def test_a_load_balancer_is_told_one_line():
    weight, lines = [100], []

    async def haproxy(reader, writer):
        line = (await reader.readline()).decode().strip()
        lines.append(line)
        if line.startswith("set weight web/s1 "):
            weight[0] = int(line.rsplit(" ", 1)[1].rstrip("%"))
        writer.write(b"" if line.startswith("set") else f"{weight[0]} (initial 100)\n".encode())
        writer.close()

    async with await asyncio.start_server(haproxy, "127.0.0.1", 0) as server:
        weights = Weights(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        less = call("weights", "set_weight", "backend/web/s1", weight="0.25")
        assert [(each.before, each.after) for each in (await weights.dry_run(less)).changes] == [("1", "0.25")]
        await weights.execute(less, key="", timeout_s=5)
        assert await weights.happened(less, key="")
        assert "set weight web/s1 25%" in lines
        with pytest.raises(Invalid):
            await weights.state(EntityKey("backend", "web/s1\ndisable server web/s2"))


@asynccontextmanager
async def primary(records):
    """A small primary of `example.org` that takes updates with a key, as RFC 2136 and RFC 8945 have it."""
    key = dns.tsig.Key("cerebro", "c2VjcmV0LW9mLXRoZS1rZXk=", "hmac-sha256")

    def answer(wire):
        asked = dns.message.from_wire(wire, keyring={key.name: key})
        said = dns.message.make_response(asked)
        if not asked.had_tsig:
            said.set_rcode(dns.rcode.REFUSED)
        elif isinstance(asked, dns.update.UpdateMessage):
            if {rdata for rrset in asked.prerequisite for rdata in rrset} != set(records[0]):
                said.set_rcode(dns.rcode.NXRRSET)
            else:
                gone = {rdata for rrset in asked.update if rrset.deleting for rdata in rrset}
                new = [rdata for rrset in asked.update if not rrset.deleting for rdata in rrset]
                records[0] = dns.rrset.from_rdata_list(records[0].name, records[0].ttl, [*set(records[0]) - gone, *new])
        elif asked.question[0].name == records[0].name:
            said.answer.append(records[0])
        return said.to_wire()

    async def serve(reader, writer):
        size = int.from_bytes(await reader.readexactly(2), "big")
        told = answer(await reader.readexactly(size))
        writer.write(len(told).to_bytes(2, "big") + told)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_host_gets_less_weight_in_dns_and_no_change_of_another_is_lost():
    lines = ("0 10 8080 a.example.org.", "0 30 8080 b.example.org.")
    records = [dns.rrset.from_text("_shop._tcp.example.org.", 60, "IN", "SRV", *lines)]
    async with primary(records) as address:
        names = Names(Zone(address, "example.org", "cerebro", "c2VjcmV0LW9mLXRoZS1rZXk="))
        less = call("dns", "set_weight", "backend/_shop._tcp.example.org/b.example.org", weight="0")
        shown = await names.dry_run(less)
        assert [(each.before, each.after) for each in shown.changes] == [("30", "0")]
        assert (shown.share, shown.before["ttl_s"]) == (0.75, "60")
        assert await names.happened(less, key="") is False
        assert "within 60 s" in await names.execute(less, key="", timeout_s=5)
        assert await names.happened(less, key="")
        assert not (await names.dry_run(less)).changes
        assert {each.to_text() for each in records[0]} == {lines[0], "0 0 8080 b.example.org."}

        real = names._records

        async def late(target):
            found = await real(target)
            records[0] = dns.rrset.from_text("_shop._tcp.example.org.", 60, "IN", "SRV", "0 99 8080 b.example.org.")
            return found

        names._records = late
        with pytest.raises(Invalid, match="changed these names"):
            await names.execute(call("dns", "set_weight", less.target.text, weight="5"), key="", timeout_s=5)
        assert "99" in records[0].to_text()

        other = Names(Zone(address, "example.org", "other", "c2VjcmV0LW9mLXRoZS1rZXk="))
        with pytest.raises((Invalid, Unavailable)):
            await other.state(less.target)
    for name in ("_shop._tcp.example.com/b.example.org", "_shop._tcp.example.org/b;x", "shop.example.org/b", "web/s1"):
        assert not names.reaches(EntityKey("backend", name), "set_weight")
    with pytest.raises(Unavailable):
        await names.state(less.target)


async def test_a_command_gets_each_value_as_one_word(tmp_path):
    far = tmp_path / "far.py"  # what a far shell would do with the line, on this machine
    far.write_text("import subprocess, sys\nsys.exit(subprocess.call(['/bin/sh', '-c', sys.argv[-1]]))\n")
    ssh = Command({"say": "printf %s ${what}", "fail": "false"}, "cerebro", (sys.executable, str(far)))

    for what in ("plain", "a b; touch /tmp/x", "$(id)", "`id`", "'", "${what}", "-n\n&& id"):
        said = await ssh.execute(call("ssh", "say", "host/web-1", what=what), key="", timeout_s=10)
        assert said == "".join(each if each.isprintable() else " " for each in what)
    for bad in (call("ssh", "reboot", "host/web-1"), call("ssh", "say", "host/web-1")):
        with pytest.raises(Invalid):
            await ssh.dry_run(bad)
    with pytest.raises(Invalid):
        await ssh.execute(call("ssh", "fail", "host/web-1"), key="", timeout_s=10)
    assert not ssh.reaches(EntityKey("host", "-oProxyCommand=id"), "say")
    assert await ssh.happened(call("ssh", "say", "host/web-1", what="x"), key="") is None
