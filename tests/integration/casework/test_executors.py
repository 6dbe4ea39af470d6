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
STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
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
                            "dryRun": {"type": "array", "items": {"enum": ["All"]}},
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


def pod(name, kind="ReplicaSet", *, uid="p1", ends=None, empty_dir=False):
    """A pod as the API tells of it; without a kind nobody owns it."""
    owner = {"kind": kind, "uid": "u2", "apiVersion": "apps/v1", "name": "cart", "controller": True}
    volumes = [{"name": "scratch", "emptyDir": {}}] if empty_dir else []
    return {"metadata": {"namespace": "shop", "name": name, "uid": uid, "deletionTimestamp": ends,
                         "labels": {"app": "cart"}, "ownerReferences": [owner] if kind else []},
            "spec": {"containers": [{"name": "cart"}], "volumes": volumes}, "status": {"phase": "Running"}}  # fmt: skip


class Cart:
    """A cluster with one deployment of three pods, two revisions and a restart, one node."""

    def __init__(self):
        self.replicas, self.revision, self.notes, self.node, self.evicted = 3, "2", {}, {}, []
        self.cordoned, self.restarted, self.strategy = False, {}, STRATEGY
        self.pods = {each["metadata"]["name"]: each for each in (pod("cart-1"), pod("logs-1", "DaemonSet"))}
        self.full = False  # a disruption budget is used up

    def template(self, revision):
        image = "cart:1" if revision in ("1", "4") else "cart:2"  # the third is a restart of the second
        image = {"name": "cart", "image": image, "resources": {"limits": {"memory": "512Mi"}}}
        notes = {"kubectl.kubernetes.io/restartedAt": "now"} if revision == "3" else {}
        return {"metadata": {"labels": {"app": "cart", "pod-template-hash": revision}, "annotations": notes},
                "spec": {"containers": [image]}}  # fmt: skip

    def pod(self, method, name, body):
        """As the API does: of a deletion it reads the body alone, once there is one."""
        there = self.pods.get(name)
        if there is None:
            return 404, {"kind": "Status", "message": f"pods {name} not found"}
        if method == "DELETE":
            if body["preconditions"]["uid"] != there["metadata"]["uid"]:
                return 409, {"kind": "Status", "message": "the UID in the precondition does not match"}
            if body.get("dryRun") != ["All"]:
                del self.pods[name]
        return 200, there

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
                    self.revision = "4"
            notes = self.notes | {"deployment.kubernetes.io/revision": self.revision}
            return 200, {"metadata": {"name": "cart", "uid": "u1", "annotations": notes},
                         "spec": {"replicas": self.replicas, "selector": {"matchLabels": {"app": "cart"}},
                                  "strategy": self.strategy,
                                  "template": self.template(self.revision)}}  # fmt: skip
        if last == "replicasets":
            owner = [{"uid": "u1", "kind": "Deployment", "apiVersion": "apps/v1", "name": "cart"}]
            return 200, {"items": [{"metadata": {"annotations": {"deployment.kubernetes.io/revision": each},
                                                 "ownerReferences": owner},
                                    "spec": {"selector": {}, "template": self.template(each)}}
                                   for each in ("1", "2", "3")]}  # fmt: skip
        if path == "/api/v1/nodes/n1":
            if method == "PATCH" and query.get("dryRun") != "All":
                self.cordoned, self.node = body["spec"]["unschedulable"], body["metadata"]["annotations"]
            return 200, {"metadata": {"name": "n1", "annotations": self.node}, "spec": {"unschedulable": self.cordoned}}
        if path in ("/api/v1/pods", "/api/v1/namespaces/shop/pods"):
            return 200, {"items": list(self.pods.values())}
        if last == "eviction":
            if self.full:
                return 429, {"kind": "Status", "message": "it would violate the pod's disruption budget"}
            self.evicted.append(body["metadata"]["name"])
            del self.pods[body["metadata"]["name"]]
            return 201, {}
        if path.startswith("/api/v1/namespaces/shop/pods/"):
            return self.pod(method, last, body)
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

    cart.revision = "3"
    back = (await kubernetes.dry_run(call("kubernetes", "rollback", "service/cart"))).call
    assert back.arguments == {"revision": "1"}  # not the second: the restart that came after runs the same
    shown = {each.what: each.after for each in (await kubernetes.dry_run(back)).changes}
    assert (shown["revision"], shown["image"]) == ("1", "cart:1")
    for each in (back, call("kubernetes", "restart", "service/cart"),
                 call("kubernetes", "patch_limits", "service/cart", memory="1Gi")):  # fmt: skip
        await kubernetes.execute(each, key=each.operation, timeout_s=5)
    left = await kubernetes.state(back.target)
    assert cart.revision == "4"
    assert (left["revision"], left["template"]) == ("4", shown["template"])  # it is known again by what it runs


@pytest.mark.parametrize(
    ("replicas", "strategy", "share"),
    [
        (8, STRATEGY, 0.25),
        (3, STRATEGY, 0.0),  # a quarter of three, rounded down: one more is started first
        (4, {"type": "Recreate"}, 1.0),
        (4, None, 0.25),
        (4, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}, 0.25),
        (4, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2, "maxSurge": 1}}, 0.5),
    ],
)
async def test_what_a_rollout_takes_away_at_one_time_is_as_its_strategy_says(cluster, replicas, strategy, share):
    kubernetes, cart, _ = cluster
    cart.replicas, cart.strategy = replicas, strategy

    for operation in ("restart", "rollback"):
        assert (await kubernetes.dry_run(call("kubernetes", operation, "service/cart"))).share == share
    assert (await kubernetes.dry_run(call("kubernetes", "scale", "service/cart", replicas="9"))).share == 0.0


async def test_a_pod_is_ended_once_and_never_by_a_dry_run(cluster):
    kubernetes, cart, _ = cluster
    cart.pods["cart-2"] = pod("cart-2", uid="p2")
    shown = await kubernetes.dry_run(call("kubernetes", "delete_pod", "pod/cart-1"))
    end = shown.call

    assert (sorted(cart.pods), shown.share) == (["cart-1", "cart-2", "logs-1"], 1 / 3)
    assert [each.what for each in shown.changes] == ["pod p1"]
    assert await kubernetes.happened(end, key="k") is False
    await kubernetes.execute(end, key="k", timeout_s=5)
    assert await kubernetes.happened(end, key="k")

    cart.pods["cart-1"] = pod("cart-1", uid="p3")  # as a StatefulSet's come back
    assert await kubernetes.happened(end, key="k")
    await kubernetes.execute(end, key="k", timeout_s=5)
    assert cart.pods["cart-1"]["metadata"]["uid"] == "p3"


async def test_a_restart_is_known_by_its_pods_whatever_else_was_noted_since(cluster):
    kubernetes, cart, _ = cluster
    cart.template = lambda _: {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "k1"}},
                               "spec": {"containers": [{"name": "cart"}]}}  # fmt: skip
    cart.notes = {"cerebro.dev/action-key": "k2"}

    assert await kubernetes.happened(call("kubernetes", "restart", "service/cart"), key="k1")
    assert not await kubernetes.happened(call("kubernetes", "restart", "service/cart"), key="k3")


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


async def test_kubernetes_empties_a_node_but_for_its_daemons(cluster):
    kubernetes, cart, _ = cluster
    cart.pods["cart-1"] = pod("cart-1", empty_dir=True)
    cordon, evict = call("kubernetes", "cordon", "node/n1"), call("kubernetes", "evict", "node/n1")

    shown = await kubernetes.dry_run(cordon)
    assert ([(e.what, e.before, e.after) for e in shown.changes], shown.undo) == (
        [("unschedulable", "no", "yes")],
        None,
    )
    assert [(each.what, each.before, each.after) for each in (await kubernetes.dry_run(evict)).changes] == [
        ("pods on n1", "1", "0"), ("pods with data in an emptyDir", "1", "without that data")
    ]  # fmt: skip
    await kubernetes.execute(cordon, key="k", timeout_s=5)
    assert (await kubernetes.dry_run(cordon)).undo == ()  # who cordoned it before wants it so
    cart.full = True
    with pytest.raises(Unavailable, match="disruption budgets"):
        await kubernetes.execute(evict, key="k", timeout_s=5)
    assert await kubernetes.happened(evict, key="k") is False  # so it is tried again
    cart.full = False
    await kubernetes.execute(evict, key="k", timeout_s=5)
    assert (cart.cordoned, cart.evicted, await kubernetes.happened(evict, key="k")) == (True, ["cart-1"], True)


async def test_a_node_with_a_pod_that_nobody_starts_again_is_not_emptied(cluster):
    kubernetes, cart, _ = cluster
    cart.pods["by-hand"] = pod("by-hand", kind="")

    with pytest.raises(Invalid, match="shop/by-hand"):
        await kubernetes.dry_run(call("kubernetes", "evict", "node/n1"))
    assert cart.evicted == []


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


@pytest.fixture
async def someone(postgres_url):
    """Connects as a user who is no superuser, and has a table."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as owner:
        found = await owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'someone'")
        if not await found.fetchone():
            await owner.execute("CREATE ROLE someone LOGIN PASSWORD 'secret'")
        await owner.execute("CREATE TABLE IF NOT EXISTS held (n int)")
        await owner.execute("GRANT ALL ON held TO someone")
    opened = []

    async def connect():
        opened.append(await psycopg.AsyncConnection.connect(postgres_url, user="someone", password="secret"))
        return opened[-1]

    yield connect
    for each in opened:
        await each.close()


async def test_sql_ends_those_who_block_once_a_key(postgres_url, someone, until):
    sql = Sql(postgres_url, EntityKey("postgresql", "main"))
    end = call("sql", "end_blockers", "postgresql/main", older_s="0")
    holder, waiter = await someone(), await someone()
    await holder.execute("LOCK TABLE held")
    waiting = asyncio.create_task(waiter.execute("SELECT * FROM held"))
    preview = await until(lambda: blocked(sql, end))

    assert preview.changes[0].before == "1"
    assert not await sql.happened(end, key="s1")
    said = [await sql.execute(end, key="s1", timeout_s=5) for _ in range(2)]
    await waiting
    assert said == ["1 blocking sessions ended.", "It was done before."]
    assert await sql.happened(end, key="s1")
    with pytest.raises(Invalid):
        await sql.dry_run(call("sql", "drop table users", "postgresql/main"))


async def test_sql_ends_the_one_who_holds_not_those_who_wait_ahead(postgres_url, someone, until):
    sql = Sql(postgres_url, EntityKey("postgresql", "main"))
    end = call("sql", "end_blockers", "postgresql/main", older_s="0")
    several = [await someone() for _ in range(4)]
    await several[0].execute("LOCK TABLE held")
    waiting = [asyncio.create_task(each.execute("LOCK TABLE held")) for each in several[1:]]
    preview = await until(lambda: blocked(sql, end))
    await asyncio.sleep(0.2)

    assert preview.changes[0].before == "1"
    assert await sql.execute(end, key="one holder", timeout_s=5) == "1 blocking sessions ended."
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert all(each.exception() is None for each in done)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_sql_ends_no_superuser_and_nobody_of_another_database(postgres_url, someone, until):
    sql = Sql(postgres_url, EntityKey("postgresql", "main"))
    end = call("sql", "end_blockers", "postgresql/main", older_s="0")
    holder, waiter = await psycopg.AsyncConnection.connect(postgres_url), await someone()
    await holder.execute("LOCK TABLE held")
    waiting = asyncio.create_task(waiter.execute("SELECT * FROM held"))
    await asyncio.sleep(0.3)

    assert (await sql.dry_run(end)).changes == ()
    await holder.close()
    await waiting


@pytest.mark.parametrize(
    ("asked", "told"),
    [("SELECT count(*) FROM pg_sleep(9)", Unavailable), ("SELECT count(*) FROM nowhere", Invalid)],
)
async def test_sql_tells_a_refusal_from_being_slow(postgres_url, asked, told):
    """What takes too long may be tried again; a right or a table that is missing does not come by waiting."""
    sql = Sql(postgres_url, EntityKey("postgresql", "main"), allowed={"look": Statement(asked, asked, "rows")})
    look = call("sql", "look", "postgresql/main")

    with pytest.raises(told):
        await sql.execute(look, key=asked, timeout_s=0.2)
    assert await sql.happened(look, key=asked)  # it was begun: what came of it is looked at, and it is not made again


async def test_nats_purges_and_lets_a_consumer_rest(nats_server, tenant):
    jet, client = JetStream(nats_server, SystemClock()), await nats.connect(nats_server)
    stream = client.jetstream()
    await stream.add_stream(name=tenant, subjects=[f"hands.{tenant}"])
    await stream.publish(f"hands.{tenant}", b"one")
    await stream.pull_subscribe(f"hands.{tenant}", durable="worker")
    purge, rest = call("nats", "purge", f"stream/{tenant}"), f"consumer/{tenant}.worker"
    pause, resume = call("nats", "pause_consumer", rest, pause_s="60"), call("nats", "resume_consumer", rest)

    seen = await jet.dry_run(purge)
    assert [each.before for each in seen.changes] == ["1"]
    await stream.publish(f"hands.{tenant}", b"came after it was shown")
    assert await jet.happened(seen.call, key="p") is False
    await jet.execute(seen.call, key="p", timeout_s=5)
    assert (await jet.state(EntityKey("stream", tenant)))["messages"] == "1"
    assert await jet.happened(seen.call, key="p") is True
    with pytest.raises(Invalid):
        await jet.execute(purge, key="p", timeout_s=5)
    await stream.purge_stream(tenant)
    assert (await jet.dry_run(purge)).changes == ()
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


class HAProxy:
    """A runtime socket: whole weights, a share of them cut off to a whole one, an empty line after each answer."""

    def __init__(self, weight, initial, others):
        self.weight, self.initial, self.others, self.lines, self.dead = weight, initial, others, [], False

    async def __call__(self, reader, writer):
        line = (await reader.readline()).decode().strip()
        self.lines.append(line)
        said = ""
        if line.startswith("set weight web/s1 "):
            text = line.rsplit(" ", 1)[1]
            self.weight = self.initial * int(text[:-1]) // 100 if text.endswith("%") else int(text)
        elif line.startswith("show servers state web"):
            rows = [
                ("s1", 2, self.weight),
                *((f"o{n}", state, weight) for n, (state, weight) in enumerate(self.others)),
            ]
            head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n"
            said = head + "".join(
                f"3 web 1 {name} 10.0.0.1 {state % 10} {state // 10} {weight} 1\n" for name, state, weight in rows
            )
        else:
            said = f"{self.weight} (initial {self.initial})\n"
        if not self.dead:
            writer.write(f"{said}\n".encode())
        writer.close()


@pytest.mark.parametrize(
    ("weight", "initial", "wanted", "after", "share"),
    [
        (100, 100, "0.25", "25", 0.25),
        (3, 3, "0.5", "2", 1 / 103),
        (1, 1, "0", "0", 1 / 101),
        (1, 3, "0", "0", 1 / 101),
        (9, 3, "0", "0", 9 / 109),  # someone had set it above its own
    ],
)
async def test_a_load_balancer_gets_the_weight_that_was_shown_and_has_the_old_one_back(
    weight, initial, wanted, after, share
):
    proxy = HAProxy(weight, initial, [(2, 100), (2, 100)] if weight == 100 else [(2, 100), (0, 100), (82, 100)])
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        weights = Weights(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        shown = await weights.dry_run(call("weights", "set_weight", "backend/web/s1", weight=wanted))
        assert [(each.before, each.after) for each in shown.changes] == [(f"{weight} of {initial}", after)]
        assert shown.share == pytest.approx(share)
        await weights.execute(shown.call, key="", timeout_s=5)
        assert await weights.happened(shown.call, key="")
        assert str(proxy.weight) == after
        (back,) = shown.undo
        await weights.execute(back, key="", timeout_s=5)
        assert (proxy.weight, await weights.happened(back, key="")) == (weight, True)


async def test_a_load_balancer_is_told_one_line_and_says_something_to_it():
    proxy = HAProxy(1, 1, [])
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        weights = Weights(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(Invalid):
            await weights.state(EntityKey("backend", "web/s1\ndisable server web/s2"))
        half = call("weights", "set_weight", "backend/web/s1", weight="0.5")
        assert (await weights.dry_run(half)).changes == ()  # of a weight of 1 there is no half
        proxy.dead = True
        with pytest.raises(Unavailable):
            await weights.execute(half, key="", timeout_s=5)


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
