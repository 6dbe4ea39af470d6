"""Kubernetes by its official client: restart, scale, roll back, cordon, drain, delete a pod, patch limits.

The tests run against a double whose answers the client's own models check, and which checks every request's body
against shapes of the API's OpenAPI document; no cluster has been used. Every change carries the action's key as an
annotation, so that after a crash the API itself can tell whether it was made.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
LOOK_S = 10.0
EVICTIONS_MAX = 250
MEBIBYTE = 1 << 20
GONE, TOO_MANY = 404, 429
ON_LIMITS = frozenset({"patch_limits", "raise_memory"})
ON_DEPLOYMENTS = frozenset({"restart", "scale", "rollback"}) | ON_LIMITS
ON_NODES = frozenset({"cordon", "uncordon", "drain"})
MIRROR = "kubernetes.io/config.mirror"
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

    name = "kubernetes"

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
        }

    async def dry_run(self, call: Call) -> Preview:
        """As the port says; the API's own dry run is asked too, so that what admission refuses is known before."""
        before = await self.state(call.target)
        changes = await self._changes(call, before)
        if changes:
            await self._change(call, key="dry-run", dry=True)
        replicas = int(before.get("replicas") or 1)
        return Preview(changes, before, share=1.0 / max(1, replicas) if call.operation == "restart" else 0.0)

    async def execute(self, call: Call, *, key: str, timeout_s: float) -> str:
        """As the port says."""
        if not await self.happened(call, key=key):
            await self._change(call, key=key, dry=False)
        return f"Kubernetes has taken {call.operation} of {call.target.text}."

    async def happened(self, call: Call, *, key: str) -> bool | None:
        """As the port says: the key stands on what was changed; a pod that was to be deleted is gone or another."""
        if call.operation == "delete_pod":
            pod = await self._pod(call.target, allow=(GONE,))
            return pod is None or pod.metadata.deletion_timestamp is not None
        found = await (self._node(call.target) if call.operation in ON_NODES else self._deployment(call.target))
        if call.operation == "drain":
            return None if _noted(found, KEY) == key else False
        return _noted(found, KEY) == key

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.to_thread(self._api.close)

    async def _changes(self, call: Call, before: Mapping[str, str]) -> tuple[Difference, ...]:
        operation = call.operation
        if operation == "scale":
            after = _replicas(call, before)
            return _unless_same("replicas", before["replicas"], after)
        if operation in ON_LIMITS:
            return _unless_same("memory limit", before["memory"], _memory(call, before))
        if operation == "rollback":
            revision, template = await self._revision(call)
            image = str(template["spec"]["containers"][0].get("image", ""))
            return (
                Difference("revision", before["revision"], revision), *_unless_same("image", before["image"], image)
            )  # fmt: skip
        if operation in ON_NODES:
            change = _unless_same("unschedulable", before["unschedulable"], _word(operation != "uncordon"))
            count = len(await self._evictable(call.target.name)) if operation == "drain" else 0
            return (*change, *((Difference("pods", str(count), "0"),) if count else ()))
        what = "pods" if operation == "restart" else "pod"
        return (Difference(what, before.get("phase", "running"), "fresh ones"),)

    async def _change(self, call: Call, *, key: str, dry: bool) -> None:
        """One change, with the key on it."""
        asked: dict[str, Any] = {"dry_run": "All"} if dry else {}
        name, operation = _safe(call.target.name), call.operation
        if operation == "delete_pod":
            uid = (await self.state(call.target))["uid"]  # of the pod that was looked at, not of one that took its name
            body = V1DeleteOptions(
                api_version="v1", kind="DeleteOptions", preconditions=V1Preconditions(uid=uid)
            )  # fmt: skip
            await self._ask(
                self._core.delete_namespaced_pod, name, self._namespace, body=body, allow=(GONE,), **asked
            )  # fmt: skip
        elif operation in ON_NODES:
            marked = {"metadata": {"annotations": {KEY: key}}, "spec": {"unschedulable": operation != "uncordon"}}
            await self._ask(self._core.patch_node, name, marked, **asked)
            if operation == "drain" and not dry:
                await self._evict_all(name)
        else:
            patch = await self._patch(call, key)
            await self._ask(self._apps.patch_namespaced_deployment, name, self._namespace, patch, **asked)

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
        template.get("metadata", {}).get("labels", {}).pop("pod-template-hash", None)
        return patch | {"spec": {"template": {**template, "$patch": "replace"}}}

    async def _revision(self, call: Call) -> tuple[str, dict[str, Any]]:
        """The revision to go to, the one before when none is named, with its pod template as the API has it."""
        found = await self._deployment(call.target)
        labels = found.spec.selector.match_labels or {}
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        sets = await self._ask(self._apps.list_namespaced_replica_set, self._namespace, label_selector=selector)
        own = {
            _noted(each, REVISION): each.spec.template
            for each in sets.items
            if any(owner.uid == found.metadata.uid for owner in each.metadata.owner_references or ())
        }
        now = _noted(found, REVISION)
        earlier = sorted((int(each) for each in own if each.isdigit() and each != now), reverse=True)
        wanted = call.arguments.get("revision") or (str(earlier[0]) if earlier else "")
        if wanted not in own:
            raise Invalid(f"{call.target.text} has no revision {wanted or 'before this one'}.", "Roll out a good one.")
        return wanted, self._api.sanitize_for_serialization(own[wanted])

    async def _evictable(self, node: str) -> list[tuple[str, str]]:
        """Pods of a node that a drain moves: none of a daemon set, none that the node itself runs."""
        pods = await self._ask(self._core.list_pod_for_all_namespaces, field_selector=f"spec.nodeName={_safe(node)}")
        return [
            (str(each.metadata.namespace), str(each.metadata.name))
            for each in pods.items
            if MIRROR not in (each.metadata.annotations or {})
            and not any(owner.kind == "DaemonSet" for owner in each.metadata.owner_references or ())
        ]

    async def _evict_all(self, node: str) -> None:
        """Evictions keep to disruption budgets; one that they refuse stays, and the sentence says so."""
        refused = 0
        for namespace, name in (await self._evictable(node))[:EVICTIONS_MAX]:
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
            return await asyncio.to_thread(ask, *words, _request_timeout=LOOK_S, **named)
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
        raise Invalid(f"{call.target.text} has no memory limit, so there is none to raise.", "Look at its nodes.")
    if not wanted:
        return f"{math.ceil(parse_quantity(now) * 3 / 2 / MEBIBYTE)}Mi"
    try:
        if parse_quantity(wanted) > parse_quantity(now):
            return wanted
    except ValueError as error:
        raise Invalid(f"{wanted[:20]!r} is no amount of memory.", "Write one such as 2Gi.") from error
    raise Invalid(f"{call.target.text} has {now} already: {wanted} is no more.", "Name more than that.")


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
