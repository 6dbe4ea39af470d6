"""Kubernetes by its own API: restart, scale, roll back, cordon, drain, delete a pod, patch limits.

Six calls of a stable REST API do not justify the weight of the official client (some 600 generated modules), so it
is spoken here directly. The tests run against a double that checks every request against the API's OpenAPI shapes;
no cluster has been used. Every change carries the action's key as an annotation, so that after a crash the API itself
can tell whether it was made.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cerebro.casework.executors.port import Preview
from cerebro.spine.actions import Call, Difference, Level
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, Unavailable

KEY = "cerebro.dev/action-key"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
REVISION = "deployment.kubernetes.io/revision"
MERGE = "application/strategic-merge-patch+json"
LOOK_S = 10.0
EVICTIONS_MAX = 250
ON_DEPLOYMENTS = frozenset({"restart", "scale", "rollback", "patch_limits"})
ON_NODES = frozenset({"cordon", "uncordon", "drain"})
MIRROR = "kubernetes.io/config.mirror"


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
        self.level, self._cluster = level, cluster
        verify = ssl.create_default_context(cafile=str(cluster.ca_file)) if cluster.ca_file else True
        self._http = httpx.AsyncClient(
            base_url=cluster.url, headers={"authorization": f"Bearer {cluster.token}"}, verify=verify,
            timeout=LOOK_S, follow_redirects=False, trust_env=False,
        )  # fmt: skip

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
            node = await self._get(_node(target.name))
            return {"unschedulable": _word(node.get("spec", {}).get("unschedulable", False))}
        if target.kind == "pod":
            pod = await self._get(self._pod(target.name))
            return {"phase": str(pod.get("status", {}).get("phase", "")), "uid": str(pod["metadata"]["uid"])}
        found = await self._get(self._deployment(target.name))
        container = found["spec"]["template"]["spec"]["containers"][0]
        return {
            "replicas": str(found["spec"].get("replicas", 1)),
            "revision": str(found["metadata"].get("annotations", {}).get(REVISION, "")),
            "image": str(container.get("image", "")),
            "container": str(container["name"]),
            "memory": str(container.get("resources", {}).get("limits", {}).get("memory", "")),
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
            answer = await self._ask("GET", self._pod(call.target.name), allow=(404,))
            return answer.status_code == 404 or "deletionTimestamp" in answer.json()["metadata"]
        path = _node(call.target.name) if call.operation in ON_NODES else self._deployment(call.target.name)
        annotations = (await self._get(path))["metadata"].get("annotations", {})
        if call.operation == "drain":
            return None if annotations.get(KEY) == key else False
        return bool(annotations.get(KEY) == key)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _changes(self, call: Call, before: Mapping[str, str]) -> tuple[Difference, ...]:
        operation = call.operation
        if operation == "scale":
            after = _replicas(call, before)
            return _unless_same("replicas", before["replicas"], after)
        if operation == "patch_limits":
            return _unless_same("memory limit", before["memory"], call.arguments["memory"])
        if operation == "rollback":
            revision, template = await self._revision(call)
            image = str(template["spec"]["containers"][0].get("image", ""))
            return (
                Difference("revision", before["revision"], revision), *_unless_same("image", before["image"], image)
            )  # fmt: skip
        if operation in ("cordon", "uncordon", "drain"):
            change = _unless_same("unschedulable", before["unschedulable"], _word(operation != "uncordon"))
            count = len(await self._evictable(call.target.name)) if operation == "drain" else 0
            return (*change, *((Difference("pods", str(count), "0"),) if count else ()))
        what = "pods" if operation == "restart" else "pod"
        return (Difference(what, before.get("phase", "running"), "fresh ones"),)

    async def _change(self, call: Call, *, key: str, dry: bool) -> None:
        """One change, with the key on it."""
        query = {"dryRun": "All"} if dry else {}
        target, operation = call.target.name, call.operation
        if operation == "delete_pod":
            uid = (await self.state(call.target))["uid"]  # of the pod that was looked at, not of one that took its name
            body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
            await self._ask("DELETE", self._pod(target), query, body=body, allow=(404,))
            return
        if operation in ON_NODES:
            marked = {"metadata": {"annotations": {KEY: key}}, "spec": {"unschedulable": operation != "uncordon"}}
            await self._ask("PATCH", _node(target), query, body=marked)
            if operation == "drain" and not dry:
                await self._evict_all(target)
            return
        patch = await self._patch(call, key)
        await self._ask("PATCH", self._deployment(target), query, body=patch)

    async def _patch(self, call: Call, key: str) -> dict[str, Any]:
        """A deployment's strategic merge patch."""
        patch: dict[str, Any] = {"metadata": {"annotations": {KEY: key}}}
        if call.operation == "restart":
            return patch | {"spec": {"template": {"metadata": {"annotations": {RESTARTED: key}}}}}
        before = await self.state(call.target)
        if call.operation == "scale":
            return patch | {"spec": {"replicas": int(_replicas(call, before))}}
        if call.operation == "patch_limits":
            limits = {"limits": {"memory": call.arguments["memory"]}}
            container = {"name": before["container"], "resources": limits}
            return patch | {"spec": {"template": {"spec": {"containers": [container]}}}}
        _, template = await self._revision(call)
        template.get("metadata", {}).get("labels", {}).pop("pod-template-hash", None)
        return patch | {"spec": {"template": {**template, "$patch": "replace"}}}

    async def _revision(self, call: Call) -> tuple[str, dict[str, Any]]:
        """The revision to go to, the one before when none is named, with its pod template."""
        found = await self._get(self._deployment(call.target.name))
        labels = found["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        path = f"/apis/apps/v1/namespaces/{self._cluster.namespace}/replicasets"
        sets = (await self._ask("GET", path, {"labelSelector": selector})).json()["items"]
        own = {
            str(each["metadata"]["annotations"].get(REVISION, "")): each["spec"]["template"]
            for each in sets
            if any(
                owner.get("uid") == found["metadata"]["uid"] for owner in each["metadata"].get("ownerReferences", ())
            )
        }
        now = str(found["metadata"].get("annotations", {}).get(REVISION, "0"))
        earlier = sorted((int(each) for each in own if each.isdigit() and each != now), reverse=True)
        wanted = call.arguments.get("revision") or (str(earlier[0]) if earlier else "")
        if wanted not in own:
            raise Invalid(f"{call.target.text} has no revision {wanted or 'before this one'}.", "Roll out a good one.")
        return wanted, own[wanted]

    async def _evictable(self, node: str) -> list[tuple[str, str]]:
        """Pods of a node that a drain moves: none of a daemon set, none that the node itself runs."""
        answer = await self._ask("GET", "/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"})
        return [
            (str(each["metadata"]["namespace"]), str(each["metadata"]["name"]))
            for each in answer.json()["items"]
            if MIRROR not in each["metadata"].get("annotations", {})
            and not any(owner.get("kind") == "DaemonSet" for owner in each["metadata"].get("ownerReferences", ()))
        ]

    async def _evict_all(self, node: str) -> None:
        """Evictions keep to disruption budgets; one that they refuse stays, and the sentence says so."""
        refused = 0
        for namespace, name in (await self._evictable(node))[:EVICTIONS_MAX]:
            body = {
                "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}
            }  # fmt: skip
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
            answer = await self._ask("POST", path, body=body, allow=(404, 429))
            refused += answer.status_code == 429
        if refused:
            raise Unavailable(
                f"{refused} pods of {node} stay: their disruption budgets allow no more now.", "Try later."
            )

    def _deployment(self, name: str) -> str:
        return f"/apis/apps/v1/namespaces/{self._cluster.namespace}/deployments/{_safe(name)}"

    def _pod(self, name: str) -> str:
        return f"/api/v1/namespaces/{self._cluster.namespace}/pods/{_safe(name)}"

    async def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._ask("GET", path)).json()
        return found

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, body: Any = None,
        allow: tuple[int, ...] = (),
    ) -> httpx.Response:  # fmt: skip
        headers = {"content-type": MERGE if method == "PATCH" else "application/json"} if body else {}
        try:
            answer = await self._http.request(method, path, params=query, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"The Kubernetes API did not answer: {type(error).__name__}.") from error
        if answer.is_success or answer.status_code in allow:
            return answer
        said = f"The Kubernetes API answered {answer.status_code}: {_message(answer)}"
        if answer.status_code in (429, 500, 502, 503, 504):
            raise Unavailable(said)
        raise Invalid(said, "See which rights Cerebro's service account needs: docs/guides/hands.md.")


def _replicas(call: Call, before: Mapping[str, str]) -> str:
    """How many are wanted: half as many again, at least one more, when none is named."""
    now = int(before["replicas"])
    wanted = call.arguments.get("replicas") or str(now + max(1, now // 2))
    if not wanted.isdigit():
        raise Invalid(f"{wanted[:20]!r} is no count of replicas.", "Write a whole number.")
    return wanted


def _unless_same(what: str, before: str, after: str) -> tuple[Difference, ...]:
    return (Difference(what, before, after),) if before != after else ()


def _node(name: str) -> str:
    return f"/api/v1/nodes/{_safe(name)}"


def _safe(name: str) -> str:
    """A name as Kubernetes has them, so that it cannot lead to another path.

    Raises:
        Invalid: It is none.
    """
    if not name or len(name) > 253 or not all(each.isascii() and (each.isalnum() or each in "-.") for each in name):
        raise Invalid(f"{name[:40]!r} is no name of Kubernetes.", "Name the deployment, pod or node itself.")
    return name


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", ""))[:300]
    except ValueError:
        return ""


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
