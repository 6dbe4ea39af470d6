"""Findings of operations and of edges in words, with a query that gives their spans."""

from dataclasses import replace
from random import Random

from cerebro.agents.support.describe import AGENT, chance_a_day, dedup_key, digest
from cerebro.agents.support.newcomers import ARROW, CUT, News
from cerebro.agents.support.words import first_up, rarity, thing_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import FindingId, TenantId, new_id
from cerebro.spine.quote import quoted

WINDOW_MS = 600_000
PATH_CHARS_MAX = 300
KINDS = {
    "span.requests": "rate",
    "span.errors": "errors",
    "span.duration": "duration",
    "span.exclusive_time": "exclusive_time",
    "edge.requests": "rate",
    "edge.errors": "errors",
    "path.errors": "error_path",
}


def translated(finding: Finding) -> Finding | None:
    """What the detector of metrics said of a series of spans, said of an operation or an edge; `None` of silences."""
    evidence = finding.evidence[0]
    metric, labels = str(evidence.sample.get("metric", "")), evidence.sample.get("labels")
    of = str(labels.get("of", "")) if isinstance(labels, dict) else ""
    if metric not in KINDS or finding.kind == "silence":
        return None
    now, usual = _last(evidence.sample.get("value")), _last(evidence.sample.get("expected"))
    is_edge, is_path = metric.startswith("edge."), metric.startswith("path.")
    gone = metric == "edge.requests" and now <= 0.1 * usual
    kind = "lost_edge" if gone else KINDS[metric]
    whose = thing_of(finding.entity.kind, finding.entity.name)
    what = f"calls of {whose} to {_thing(of)}" if is_edge else f"{quoted(of)} of {whose}"
    what = f"the path {quoted(of, PATH_CHARS_MAX)}" if is_path else what
    title = (
        f"{_said(kind, now, usual)} of {what}"
        if kind != "lost_edge"
        else f"No more {what}: usually {usual:.0f} a minute"
    )
    if finding.cleared:
        title = f"As usual again: {title[0].lower()}{title[1:]}"
    start_ms = finding.seen_ms - WINDOW_MS
    asked = last_operation(finding.entity, of) if is_path else of
    query = spans_sql(finding.tenant, finding.entity, asked, start_ms, finding.seen_ms + 1, is_edge=is_edge)
    proof = Evidence(
        evidence.sentence, "clickhouse", query, start_ms, finding.seen_ms + 1, evidence.digest, evidence.sample
    )
    return replace(finding, kind=kind, title=title, signal=f"span:{of}", evidence=(proof,))


def edge_finding(
    tenant: TenantId, source: tuple[str, str], target: tuple[str, str], at_ms: int, weekly: float
) -> Finding:
    """An edge that nobody had seen."""
    of, whose = "/".join(target), thing_of(*source)
    sample: dict[str, object] = {"source": "/".join(source), "target": of}
    start_ms = at_ms - WINDOW_MS
    sentence = f"No call between the two was seen before; edges as new are expected {rarity(weekly)}."
    query = spans_sql(tenant, EntityKey(*source), of, start_ms, at_ms + 1, is_edge=True)
    number = Random("/".join(source)).getrandbits(63)  # noqa: S311  a name, no secret
    key = dedup_key(tenant, number, Random(of).getrandbits(63), "new_edge", at_ms)  # noqa: S311
    return Finding(
        id=FindingId(new_id(at_ms, Random(key))),  # noqa: S311  an id, no secret
        tenant=tenant,
        agent=AGENT,
        kind="new_edge",
        entity=EntityKey(*source),
        at_ms=at_ms,
        seen_ms=at_ms,
        severity=Severity.NOTICE,
        p_value=chance_a_day(weekly),
        effect=1.0,
        signal=f"span:{of}",
        title=f"{first_up(whose)} calls {thing_of(*target)} for the first time",
        evidence=(Evidence(sentence, "clickhouse", query, start_ms, at_ms + 1, digest(sample), sample),),
        dedup_key=key,
    )


def newcomer_finding(tenant: TenantId, news: News, seen_ms: int) -> Finding:
    """An operation, or a path along which errors run, that nobody had seen."""
    entity = EntityKey(*news.entity)
    whose = first_up(thing_of(*news.entity))
    if news.kind == "error_path":
        title = f"{whose} fails along a path never seen: {quoted(news.text, PATH_CHARS_MAX)}"
        sentence, of = "No error had run along this path", last_operation(entity, news.text)
    else:
        title = f"{whose} does something never seen before: {quoted(news.text)}"
        sentence, of = "The operation is new to a service that is well known", news.text
    sentence += f"; as many at once, as new, are expected {rarity(news.weekly)}, had nothing changed."
    sample: dict[str, object] = {"of": news.text, "count": news.count, "trace_id": news.sample}
    start_ms = seen_ms - WINDOW_MS
    query = spans_sql(tenant, entity, of, start_ms, seen_ms + 1, is_edge=False)
    number = Random("/".join(news.entity)).getrandbits(63)  # noqa: S311  a name, no secret
    key = dedup_key(tenant, number, Random(news.text).getrandbits(63), news.kind, news.at_ms)  # noqa: S311
    return Finding(
        id=FindingId(new_id(seen_ms, Random(key))),  # noqa: S311  an id, no secret
        tenant=tenant,
        agent=AGENT,
        kind=news.kind,
        entity=entity,
        at_ms=news.at_ms,
        seen_ms=seen_ms,
        severity=Severity.MINOR if news.kind == "error_path" else Severity.NOTICE,
        p_value=chance_a_day(news.weekly),
        effect=1.0,
        signal=f"span:{news.text}",
        title=title,
        evidence=(Evidence(sentence, "clickhouse", query, start_ms, seen_ms + 1, digest(sample), sample),),
        dedup_key=key,
    )


def newcomer_over(began: Finding, now_ms: int) -> Finding:
    """Nothing came along a new path of errors for a while."""
    return replace(
        began,
        id=FindingId(new_id(now_ms, Random(f"{began.dedup_key}|over"))),  # noqa: S311  an id, no secret
        seen_ms=now_ms,
        title=f"No more errors: {began.title[0].lower()}{began.title[1:]}",
        cleared=True,
    )


def with_trace(finding: Finding, trace_id: str) -> Finding:
    """The finding with a trace that shows what it says."""
    proof = finding.evidence[0]
    sample = dict(proof.sample) | {"trace_id": trace_id}
    return replace(finding, evidence=(replace(proof, sample=sample, digest=digest(sample)),))


def last_operation(entity: EntityKey, path: str) -> str:
    """The operation of the entity at the end of a path.

    >>> last_operation(EntityKey("service", "stock"), "service/shop GET /cart → service/stock reserve")
    'reserve'
    """
    return path.rpartition(ARROW)[2].removeprefix(f"{CUT.strip()} ").removeprefix(f"{entity.text} ")


def spans_sql(tenant: str, entity: EntityKey, of: str, start_ms: int, end_ms: int, *, is_edge: bool) -> str:
    """The query that gives the spans of an operation, or those called over an edge, runnable as it stands."""
    kind, _, name = of.partition("/")
    mine = f"entity_kind = {_quoted(entity.kind)} AND entity_name = {_quoted(entity.name)}"
    window = (
        f"tenant = {_quoted(tenant)} AND hour >= toStartOfHour(fromUnixTimestamp64Milli({start_ms}))"
        f" AND hour <= toStartOfHour(fromUnixTimestamp64Milli({end_ms}))"
        f" AND at >= fromUnixTimestamp64Milli({start_ms}) AND at < fromUnixTimestamp64Milli({end_ms})"
    )
    if is_edge:
        inner = f"SELECT span_id FROM spans WHERE {window} AND {mine}"  # noqa: S608  every text is quoted
        called = f"entity_kind = {_quoted(kind)} AND entity_name = {_quoted(name)}"
        which = f"{called} AND parent_span_id IN ({inner})"
    else:
        which = f"{mine} AND name = {_quoted(of)}"
    return (
        "SELECT at, duration_ns, status, status_message, trace_id FROM spans"  # noqa: S608  every text is quoted
        f" WHERE {window} AND {which} ORDER BY at LIMIT 100"
    )


def _thing(text: str) -> str:
    kind, _, name = text.partition("/")
    return thing_of(kind, name)


def _said(kind: str, now: float, usual: float) -> str:
    if kind in ("duration", "exclusive_time"):
        what = "Duration" if kind == "duration" else "Own time"
        return f"{what} (95th percentile) {now * 1000:.0f} ms, usually {usual * 1000:.0f} ms,"
    what = "Rate" if kind == "rate" else "Errors"
    return f"{what} {now:.0f} a minute, usually {usual:.0f},"


def _last(column: object) -> float:
    numbers = [each for each in column if isinstance(each, float | int)] if isinstance(column, list) else []
    return float(numbers[-1]) if numbers else 0.0


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
