"""Kubernetes by its official client: restart, scale, roll back, cordon, evict, delete a pod, patch limits.

The tests run against a double whose answers the client's own models check, and which checks every request's body
against shapes of the API's OpenAPI document; no cluster has been used. Every change carries the action's key as an
annotation, so that after a crash the API itself can tell whether it was made.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kubernetes.client import (
    ApiClient,
    ApiException,
    AppsV1Api,
    Configuration,
    CoreV1Api,
    V1DeleteOptions,
    V1Eviction,
    V1ObjectMeta,
    V1Preconditions,
)
from kubernetes.utils.quantity import parse_quantity
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

KEY = "cerebro.dev/action-key"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
LOOK_S = 10.0  # to connect, and to answer: the client takes a pair, and passes over a lone float
PODS_NAMED_MAX = 3
DIGEST_CHARS = 12
MEBIBYTE = 1 << 20
GONE, TOO_MANY = 404, 429
ON_LIMITS = frozenset({"patch_limits", "raise_memory"})
ON_DEPLOYMENTS = frozenset({"restart", "scale", "rollback"}) | ON_LIMITS
ON_NODES = frozenset({"cordon", "uncordon", "evict"})
MIRROR = "kubernetes.io/config.mirror"
OF_ONE_POD = frozenset({"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"})
ENDED = frozenset({"Succeeded", "Failed"})
BUSY = frozenset({TOO_MANY, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and how it is spoken to.

    Args:
        url: Of the API server.
        token: Of a service account that may do what playbooks do and no more; see docs/guides/hands.md.
        ca_file: That the server's certificate is checked with; None for the system's own.
        namespace: Where deployments and pods of playbooks' targets are.
    """

    url: str
    token: str
    ca_file: Path | None = None
    namespace: str = "default"


class Kubernetes:
    """Acts on one namespace, and on the nodes of its cluster."""

    name, label = "kubernetes", ""

    def __init__(self, cluster: Cluster, level: Level | None = None) -> None:
        self.level, self._namespace = level, cluster.namespace
        settings = Configuration(host=cluster.url)
        settings.api_key = {"authorization": cluster.token}
        settings.api_key_prefix = {"authorization": "Bearer"}
        settings.ssl_ca_cert = str(cluster.ca_file) if cluster.ca_file else None
        settings.retries = Retry(0, redirect=0)  # once: who calls decides what a failure means
        settings.proxy = None  # whatever the environment says
        self._api = ApiClient(settings)
        self._apps, self._core = AppsV1Api(self._api), CoreV1Api(self._api)

    def reaches(self, target: EntityKey, operation: str) -> bool:
        """As the port says."""
        if operation in ON_NODES:
            return target.kind in ("node", "host")
        if operation == "delete_pod":
            return target.kind == "pod"
        return operation in ON_DEPLOYMENTS and target.kind in ("service", "deployment")

    async def state(self, target: EntityKey) -> Mapping[str, str]:
        """As the port says."""
        if target.kind in ("node", "host"):
            node = await self._node(target)
            return {"unschedulable": _word(bool(node.spec and node.spec.unschedulable))}
        if target.kind == "pod":
            pod = await self._pod(target)
            return {"phase": str((pod.status and pod.status.phase) or ""), "uid": str(pod.metadata.uid)}
        found = await self._deployment(target)
        container = found.spec.template.spec.containers[0]
        limits = (container.resources and container.resources.limits) or {}
        return {
            "replicas": str(1 if found.spec.replicas is None else found.spec.replicas),
            "revision": _noted(found, REVISION),
            "image": str(container.image or ""),
            "container": str(container.name),
            "memory": str(limits.get("memory", "")),
            "template": _digest(self._api.sanitize_for_serialization(found.spec.template)),
        }

    async def dry_run(self, call: Call) -> Preview:
        """As the port says; the API's own dry run is asked too, so that what admission refuses is known before."""
        before = await self.state(call.target)
        call = await self._named(call, before)
        changes = await self._changes(call, before)
        if changes:
            await self._change(call, key="dry-run", dry=True)
        was_cordoned = call.operation == "cordon" and before["unschedulable"] == "yes"
        share = await self._share(call) if changes else 0.0
        return Preview(changes, before, undo=() if was_cordoned else None, call=call, share=share)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says."""
        if not await self.happened(call, key=key):
            await self._change(call, key=key, dry=False)
        return f"Kubernetes has taken {call.operation} of {call.target.said}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says: the key stands on what was changed; a pod that was to be deleted is gone or another."""
        if call.operation == "delete_pod":
            pod = await self._pod(call.target, allow=(GONE,))
            is_another = pod is not None and pod.metadata.uid != call.arguments.get("uid", pod.metadata.uid)
            return pod is None or is_another or pod.metadata.deletion_timestamp is not None
        if call.operation == "evict":
            return not await self._evictable(call.target.name)
        if call.operation in ON_NODES:
            return _noted(await self._node(call.target), KEY) == key
        found = await self._deployment(call.target)
        notes = found.spec.template.metadata.annotations if found.spec.template.metadata else {}
        restarted = call.operation == "restart" and (notes or {}).get(RESTARTED) == key
        return restarted or _noted(found, KEY) == key

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.to_thread(self._api.close)

    async def _named(self, call: Call, before: Mapping[str, str]) -> Call:
        """The call with what was left open in it named: what was approved is then all that can be done."""
        named: dict[str, str] = {}
        if call.operation == "scale":
            named = {"replicas": _replicas(call, before)}
        elif call.operation == "raise_memory":
            named = {"memory": _memory(call, before)}
        elif call.operation == "rollback":
            named = {"revision": (await self._revision(call))[0]}
        elif call.operation == "delete_pod":
            named = {"uid": before["uid"]}
        return replace(call, arguments={**call.arguments, **named})

    async def _share(self, call: Call) -> float:
        """How much of the target is away at one time while it is done."""
        if call.operation == "delete_pod":
            return await self._share_of_pod(call.target)
        if call.operation not in ON_DEPLOYMENTS - {"scale"}:
            return 0.0
        return _share_away(await self._deployment(call.target))

    async def _share_of_pod(self, target: EntityKey) -> float:
        """Of all pods of the same owner; all of it where nobody owns it."""
        pod = await self._pod(target)
        owners = {owner.uid for owner in pod.metadata.owner_references or ()}
        labels = {name: value for name, value in (pod.metadata.labels or {}).items() if name not in OF_ONE_POD}
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        pods = await self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector)
        sisters = [
            each for each in pods.items if owners & {owner.uid for owner in each.metadata.owner_references or ()}
        ]
        return 1.0 / max(1, len(sisters))

    async def _changes(self, call: Call, before: Mapping[str, str]) -> tuple[Difference, ...]:
        operation = call.operation
        if operation == "rollback":
            revision, template = await self._revision(call)
            image = str(template["spec"]["containers"][0].get("image", ""))
            # What is gone back to gets a new revision; by its template it is known again.
            return (
                Difference("revision", before["revision"], revision), *_unless_same("image", before["image"], image),
                *_unless_same("template", before["template"], _digest(template)),
            )  # fmt: skip
        if operation == "evict":
            return _evictions(call.target, await self._evictable(call.target.name))
        if operation in ON_NODES:
            return _unless_same("unschedulable", before["unschedulable"], _word(operation != "uncordon"))
        return _plain_changes(call, before)

    async def _change(self, call: Call, *, key: str, dry: bool) -> None:
        """One change, with the key on it."""
        asked: dict[str, Any] = {"dry_run": "All"} if dry else {}
        name, operation = _safe(call.target.name), call.operation
        if operation == "delete_pod":
            await self._delete(call, name, dry=dry)
        elif operation == "evict":
            await (self._none_left_alone(name) if dry else self._evict_all(name))
        elif operation in ON_NODES:
            marked = {"metadata": {"annotations": {KEY: key}}, "spec": {"unschedulable": operation != "uncordon"}}
            await self._ask(self._core.patch_node, name, marked, **asked)
        else:
            patch = await self._patch(call, key)
            await self._ask(self._apps.patch_namespaced_deployment, name, self._namespace, patch, **asked)

    async def _delete(self, call: Call, name: str, *, dry: bool) -> None:
        """Of a deletion the API reads nothing but the body, once there is one: a dry run is asked for in there."""
        uid = call.arguments.get("uid") or (await self.state(call.target))["uid"]
        body = V1DeleteOptions(
            api_version="v1", kind="DeleteOptions", dry_run=["All"] if dry else None,
            preconditions=V1Preconditions(uid=uid),  # the pod that was shown, not one that took its name
        )  # fmt: skip
        await self._ask(self._core.delete_namespaced_pod, name, self._namespace, body=body, allow=(GONE,))

    async def _patch(self, call: Call, key: str) -> dict[str, Any]:
        """A deployment's strategic merge patch."""
        patch: dict[str, Any] = {"metadata": {"annotations": {KEY: key}}}
        if call.operation == "restart":
            return patch | {"spec": {"template": {"metadata": {"annotations": {RESTARTED: key}}}}}
        before = await self.state(call.target)
        if call.operation == "scale":
            return patch | {"spec": {"replicas": int(_replicas(call, before))}}
        if call.operation in ON_LIMITS:
            limits = {"limits": {"memory": _memory(call, before)}}
            container = {"name": before["container"], "resources": limits}
            return patch | {"spec": {"template": {"spec": {"containers": [container]}}}}
        _, template = await self._revision(call)
        template.get("metadata", {}).get("labels", {}).pop(HASH, None)
        return patch | {"spec": {"template": {**template, "$patch": "replace"}}}

    async def _revision(self, call: Call) -> tuple[str, dict[str, Any]]:
        """The revision to go to, the one before when none is named, with its pod template as the API has it."""
        found = await self._deployment(call.target)
        labels = found.spec.selector.match_labels or {}
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        sets = await self._ask(self._apps.list_namespaced_replica_set, self._namespace, label_selector=selector)
        own: dict[str, dict[str, Any]] = {
            _noted(each, REVISION): self._api.sanitize_for_serialization(each.spec.template)
            for each in sets.items
            if any(owner.uid == found.metadata.uid for owner in each.metadata.owner_references or ())
        }
        now = _content(self._api.sanitize_for_serialization(found.spec.template))
        # A restart makes a revision of its own that runs the same: to go back to that changes nothing.
        earlier = [int(each) for each, template in own.items() if each.isdigit() and _content(template) != now]
        wanted = call.arguments.get("revision") or (str(max(earlier)) if earlier else "")
        if wanted not in own:
            raise Invalid(f"{call.target.said} has no revision {wanted or 'before this one'}.", "Roll out a good one.")
        return wanted, own[wanted]

    async def _evictable(self, node: str) -> list[Any]:
        """Pods of a node that a drain moves: none of a daemon set, none that the node itself runs, none on its way."""
        pods = await self._ask(self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={_safe(node)}")
        return [
            each
            for each in pods.items
            if MIRROR not in (each.metadata.annotations or {})
            and each.metadata.deletion_timestamp is None
            and not any(owner.kind == "DaemonSet" for owner in each.metadata.owner_references or ())
        ]

    async def _none_left_alone(self, node: str) -> None:
        """Refuse, as `kubectl drain` does, where a pod would not be started elsewhere."""
        alone = [_called(each) for each in await self._evictable(node) if not _is_started_again(each)]
        if alone:
            named = ", ".join(alone[:PODS_NAMED_MAX])
            raise Invalid(f"Nobody would start {named} of {node} elsewhere.", "Move or end what has no controller.")

    async def _evict_all(self, node: str) -> None:
        """Evictions keep to disruption budgets; one that they refuse stays, and the sentence says so."""
        refused = 0
        await self._none_left_alone(node)
        for each in await self._evictable(node):
            name, namespace = str(each.metadata.name), str(each.metadata.namespace)
            about = V1ObjectMeta(name=name, namespace=namespace)
            body = V1Eviction(api_version="policy/v1", kind="Eviction", metadata=about)
            evict = self._core.create_namespaced_pod_eviction
            answer = await self._ask(evict, name, namespace, body, allow=(GONE, TOO_MANY))
            refused += answer == TOO_MANY
        if refused:
            raise Unavailable(
                f"{refused} pods of {node} stay: their disruption budgets allow no more now.", "Try later."
            )

    async def _deployment(self, target: EntityKey) -> Any:
        return await self._ask(self._apps.read_namespaced_deployment, _safe(target.name), self._namespace)

    async def _node(self, target: EntityKey) -> Any:
        return await self._ask(self._core.read_node, _safe(target.name))

    async def _pod(self, target: EntityKey, *, allow: tuple[int, ...] = ()) -> Any:
        found = await self._ask(self._core.read_namespaced_pod, _safe(target.name), self._namespace, allow=allow)
        return None if isinstance(found, int) else found

    async def _ask(self, ask: Callable[..., Any], *words: Any, allow: tuple[int, ...] = (), **named: Any) -> Any:
        """What the API answers, as the client's model of it; the status where that is an allowed refusal."""
        try:
            return await asyncio.to_thread(ask, *words, _request_timeout=(LOOK_S, LOOK_S), **named)
        except ApiException as error:
            if error.status in allow:
                return error.status
            said = f"The Kubernetes API answered {error.status}: {_message(error)}"
            if error.status in BUSY or not error.status:  # none where the connection could not be made safe
                raise Unavailable(said if error.status else "The Kubernetes API's certificate is not good.") from error
            raise Invalid(said, "See which rights Cerebro's service account needs: docs/guides/hands.md.") from error
        except HTTPError as error:
            raise Unavailable(f"The Kubernetes API did not answer: {type(error).__name__}.") from error
        except ValueError as error:  # the client's models are strict
            raise Unavailable("The Kubernetes API answered with what cannot be read.") from error


def _plain_changes(call: Call, before: Mapping[str, str]) -> tuple[Difference, ...]:
    """What would be other than it is, as far as the call and the state before it tell."""
    if call.operation == "scale":
        return _unless_same("replicas", before["replicas"], _replicas(call, before))
    if call.operation in ON_LIMITS:
        return _unless_same("memory", before["memory"], _memory(call, before))
    if call.operation == "delete_pod":
        return (Difference(f"pod {before['uid']}", before["phase"], "another one"),)
    return (Difference("pods", "running", "fresh ones"),)


def _share_away(deployment: Any) -> float:
    """How much of a deployment a rollout takes away at one time, as its strategy says.

    Source: the Kubernetes API's RollingUpdateDeployment: `maxUnavailable` (25 % where nothing is said) is rounded down,
    `maxSurge` up, and where both come to nothing one pod goes first.
    """
    replicas = 1 if deployment.spec.replicas is None else int(deployment.spec.replicas)
    strategy = deployment.spec.strategy
    if strategy and strategy.type == "Recreate":
        return 1.0
    rolling = strategy.rolling_update if strategy else None
    away = math.floor(_count_of(rolling.max_unavailable if rolling else None, replicas))
    more = math.ceil(_count_of(rolling.max_surge if rolling else None, replicas))
    return min(1.0, (away if away or more else 1) / max(1, replicas))


def _count_of(said: object, replicas: int) -> float:
    """A count, or a share such as `25%` of the replicas; that share where nothing is said."""
    text = "25%" if said is None else str(said)
    return replicas * float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def _content(template: Mapping[str, Any]) -> dict[str, Any]:
    """What a pod template runs, without what a rollout writes into it."""
    about = template.get("metadata") or {}
    kept = {
        kind: {name: value for name, value in (about.get(kind) or {}).items() if name not in (HASH, RESTARTED)}
        for kind in ("labels", "annotations")
    }
    return {**kept, "spec": template.get("spec")}


def _digest(template: Mapping[str, Any]) -> str:
    """What a pod template runs, in a few letters."""
    return hashlib.sha256(json.dumps(_content(template), sort_keys=True).encode()).hexdigest()[:DIGEST_CHARS]


def _evictions(node: EntityKey, pods: list[Any]) -> tuple[Difference, ...]:
    """What a drain moves, and what is lost by it."""
    local = sum(any(volume.empty_dir for volume in (each.spec and each.spec.volumes) or ()) for each in pods)
    moved = (Difference(f"pods on {node.name}", str(len(pods)), "0"),) if pods else ()
    return (*moved, *((Difference("pods with data in an emptyDir", str(local), "without that data"),) if local else ()))


def _is_started_again(pod: Any) -> bool:
    """Whether someone starts another in its place, or it is over anyway."""
    owned = any(owner.controller for owner in pod.metadata.owner_references or ())
    return owned or bool(pod.status and pod.status.phase in ENDED)


def _called(pod: Any) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _noted(found: Any, name: str) -> str:
    """An annotation; empty when there is none."""
    return str((found.metadata.annotations or {}).get(name, ""))


def _replicas(call: Call, before: Mapping[str, str]) -> str:
    """How many are wanted: half as many again, at least one more, when none is named."""
    now = int(before["replicas"])
    wanted = call.arguments.get("replicas") or str(now + max(1, now // 2))
    if not wanted.isdigit():
        raise Invalid(f"{wanted[:20]!r} is no count of replicas.", "Write a whole number.")
    return wanted


def _memory(call: Call, before: Mapping[str, str]) -> str:
    """The memory limit that is wanted: to raise it, half as much again when none is named, and never less."""
    wanted, now = call.arguments.get("memory", ""), before["memory"]
    if call.operation != "raise_memory":
        return wanted
    if not now:
        raise Invalid(f"{call.target.said} has no memory limit, so there is none to raise.", "Look at its nodes.")
    if not wanted:
        return f"{math.ceil(parse_quantity(now) * 3 / 2 / MEBIBYTE)}Mi"
    try:
        if parse_quantity(wanted) > parse_quantity(now):
            return wanted
    except ValueError as error:
        raise Invalid(f"{wanted[:20]!r} is no amount of memory.", "Write one such as 2Gi.") from error
    raise Invalid(f"{call.target.said} has {now} already: {wanted} is no more.", "Name more than that.")


def _unless_same(what: str, before: str, after: str) -> tuple[Difference, ...]:
    return (Difference(what, before, after),) if before != after else ()


def _safe(name: str) -> str:
    """A name as Kubernetes has them, so that it cannot lead to another path.

    Raises:
        Invalid: It is none.
    """
    if not name or len(name) > 253 or not all(each.isascii() and (each.isalnum() or each in "-.") for each in name):
        raise Invalid(f"{name[:40]!r} is no name of Kubernetes.", "Name the deployment, pod or node itself.")
    return name


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "{}").get("message", ""))[:300]
    except (ValueError, AttributeError):
        return ""


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
