"""Alerts of Prometheus' Alertmanager (webhook version 4) as findings.

One alert is one trouble: its fingerprint is the dedup key, so that what Alertmanager sends again is known, and what it
calls resolved clears the trouble. An alert says nothing of chance: its p-value is 1.

Which thing an alert is about, the first row that gives a name:

| the labels hold | the entity is |
|---|---|
| `service`, `service_name`, `service.name`, `app`, `deployment`, `statefulset`, `daemonset` | `service/<it>` |
| `pod` | `pod/<it>` |
| `host`, `hostname`, `host_name`, `nodename`, `node` | `host/<it>` |
| `job` of an exporter of hosts (`node`, `node-exporter`, `kubelet`, …) and `instance` | `host/<instance, no port>` |
| `job` | `service/<it>` |
| `instance` | `host/<it without its port>` |
| `namespace` | `namespace/<it>` |
| none of these | `service/<alertname>` |

Source: Prometheus documentation, Alertmanager, `webhook_config`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from cerebro.intake.entity import clean, host_of_instance
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid, TooLarge
from cerebro.spine.findings import ALERT, Evidence, Finding, Severity
from cerebro.spine.identity import FindingId, TenantId

AGENT = "alertmanager"
ALERTS_MAX = 10_000  # of one body
LABELS_MAX = 64
TEXT_CHARS_MAX = 1000
TITLE_CHARS_MAX = 300
SERVICES = ("service", "service_name", "service.name", "app", "deployment", "statefulset", "daemonset")
HOSTS = ("host", "hostname", "host_name", "nodename", "node")
OF_HOSTS = frozenset({"node", "node-exporter", "node_exporter", "kubelet", "cadvisor", "windows", "windows_exporter"})
SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("critical", "page", "emergency", "fatal", "disaster", "p1", "sev1"), Severity.CRITICAL),
    **dict.fromkeys(("error", "major", "high", "alert", "p2", "sev2"), Severity.MAJOR),
    **dict.fromkeys(("warning", "warn", "minor", "average", "p3", "sev3"), Severity.MINOR),
    **dict.fromkeys(("info", "information", "notice", "none", "low", "p4", "p5", "sev4"), Severity.NOTICE),
}

Texts = dict[str, str]


class Alert(msgspec.Struct, rename="camel"):
    """One alert as Alertmanager sends it."""

    labels: Texts
    status: str = "firing"
    annotations: Texts = {}
    starts_at: str = ""
    ends_at: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class Webhook(msgspec.Struct, rename="camel"):
    """One body."""

    alerts: list[Alert]
    version: str = "4"
    external_url: str = msgspec.field(default="", name="externalURL")


_decoder = msgspec.json.Decoder(Webhook)


def findings_of_alerts(body: bytes, tenant: TenantId, now_ms: int, *, past_ms: int) -> Sequence[Finding]:
    """The findings that a body tells, each trouble's latest word once.

    Args:
        body: JSON.
        tenant: Whose they are.
        now_ms: Stands in for a missing time; no finding is later.
        past_ms: An alert that began longer ago is taken to have begun then.

    Raises:
        Invalid: Not a webhook of version 4.
        TooLarge: More than `ALERTS_MAX` alerts.
    """
    try:
        webhook = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is no Alertmanager webhook: {error}.", "Send webhook version 4 as JSON.") from error
    if webhook.version != "4":
        raise Invalid(f"The webhook has version {webhook.version[:20]!r}; this door reads 4.", "Update Alertmanager.")
    if len(webhook.alerts) > ALERTS_MAX:
        raise TooLarge(
            f"The body holds {len(webhook.alerts)} alerts; at most {ALERTS_MAX} are taken at once.",
            "Set max_alerts in Alertmanager's webhook_config.",
        )
    found = (_finding(alert, tenant, now_ms, now_ms - past_ms) for alert in webhook.alerts)
    return list({finding.id: finding for finding in found}.values())


def entity_of_alert(labels: Mapping[str, str]) -> tuple[str, str]:
    """The kind and name of what an alert is about.

    >>> entity_of_alert({"alertname": "Down", "job": "node", "instance": "web-7:9100"})
    ('host', 'web-7')
    >>> entity_of_alert({"alertname": "Slow", "job": "checkout", "instance": "10.0.0.7:80"})
    ('service', 'checkout')
    """
    job, instance = _first(labels, ("job",)), host_of_instance(_first(labels, ("instance",)))
    of_host = job in OF_HOSTS and instance
    told = (
        ("service", _first(labels, SERVICES)),
        ("pod", _first(labels, ("pod",))),
        ("host", host_of_instance(_first(labels, HOSTS))),
        ("service", "" if of_host else job),
        ("host", instance),
        ("namespace", _first(labels, ("namespace",))),
    )
    return next((each for each in told if each[1]), ("service", _first(labels, ("alertname",)) or "unknown"))


def _finding(alert: Alert, tenant: TenantId, now_ms: int, earliest_ms: int) -> Finding:
    labels, annotations = _bounded(alert.labels), _bounded(alert.annotations)
    cleared = alert.status == "resolved"
    began_ms = _time_ms(alert.starts_at) or now_ms
    at_ms = min(max(began_ms, earliest_ms), now_ms)
    seen_ms = max(at_ms, min(_time_ms(alert.ends_at) or now_ms, now_ms)) if cleared else at_ms
    key = clean(alert.fingerprint) or hashlib.sha256(msgspec.json.encode(labels, order="sorted")).hexdigest()[:32]
    kind, name = entity_of_alert(labels)
    said = {"labels": labels, "annotations": annotations, "starts_at": alert.starts_at[:40]}
    title = _title(labels, annotations, f"{kind}/{name}")
    evidence = Evidence(
        sentence=f"Alertmanager says that {'it is over' if cleared else 'it fires'}: {title}"[:TEXT_CHARS_MAX],
        engine=AGENT,
        query=clean(alert.generator_url) or labels.get("alertname", ""),
        start_ms=at_ms,
        end_ms=seen_ms,
        digest=hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest(),
        sample=said,
    )
    return Finding(
        id=FindingId(hashlib.sha256(f"{key}\0{cleared}\0{seen_ms}".encode()).hexdigest()[:32]),
        tenant=tenant,
        agent=AGENT,
        kind=ALERT,
        entity=EntityKey(kind, name),
        at_ms=at_ms,
        seen_ms=seen_ms,
        severity=SEVERITIES.get(labels.get("severity", "").lower(), Severity.MINOR),
        p_value=1.0,
        effect=0.0,
        signal=labels.get("alertname", "") or "alert",
        title=title,
        evidence=(evidence,),
        dedup_key=f"{AGENT}:{key}",
        cleared=cleared,
    )


def _title(labels: Texts, annotations: Texts, entity: str) -> str:
    said = _first(annotations, ("summary", "title", "message", "description"))
    return (said or f"{labels.get('alertname', 'An alert')} of {entity}")[:TITLE_CHARS_MAX]


def _bounded(texts: Mapping[str, str]) -> Texts:
    return {clean(name): _shown(text) for name, text in list(texts.items())[:LABELS_MAX] if clean(name)}


def _shown(text: str) -> str:
    """One line without what cannot be seen."""
    line = " ".join(text[: 2 * TEXT_CHARS_MAX].split())
    return "".join(mark for mark in line if mark.isprintable())[:TEXT_CHARS_MAX]


def _first(texts: Mapping[str, str], names: Iterable[str]) -> str:
    return next((kept for name in names if (kept := clean(texts.get(name, "")))), "")


def _time_ms(text: str) -> int:
    """Unix time, milliseconds; 0 for none, as Go writes it, or for what is no time."""
    try:
        at = datetime.fromisoformat(text[:40])
    except ValueError:
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return max(0, round(at.timestamp() * 1000))
    except (OverflowError, ValueError):
        return 0
