"""Findings of log lines in words: a title, sample lines that are cleaned and bounded, a query that can be run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from cerebro.agents.support.describe import AGENT, chance_a_day, dedup_key, digest
from cerebro.agents.support.words import first_up, lasting, rarity, thing_of
from cerebro.spine.entities import EntityKey
from cerebro.spine.findings import Evidence, Finding, Severity
from cerebro.spine.identity import FindingId, TenantId, new_id
from cerebro.spine.quote import quoted

VALUE_CHARS_MAX = 300
WINDOW_MS = 600_000
KINDS = {"log.unseen_transitions": "sequence", "log.odd_values": "parameter"}
LINES_METRICS = ("log.lines", "log.error.lines")


@dataclass(frozen=True, slots=True)
class Told:
    """A template of an entity, as far as a finding tells of it; `template` is empty for the entity as a whole."""

    entity: tuple[str, str]
    template: str
    text: str
    count: int
    samples: tuple[str, ...]
    tenant: TenantId
    grave: bool = False


def shown(text: str | None, chars_max: int) -> str:
    """A line as it may be shown: one line, no character that cannot be seen, cut where it is long."""
    head = (text or "")[: 4 * chars_max]
    kept = "".join(mark if mark.isprintable() else " " for mark in head)
    return " ".join(kept.split())[:chars_max]


def translated(finding: Finding, told_of: Callable[[tuple[str, str, str, str]], Told | None]) -> Finding | None:
    """What the detector of metrics said of counts, said of log lines; `None` when there is nothing to say."""
    evidence = finding.evidence[0]
    metric = str(evidence.sample.get("metric", ""))
    if finding.kind == "silence" or not metric:
        return None
    labels = evidence.sample.get("labels")
    label = str(labels.get("of", "")) if isinstance(labels, dict) else ""
    told = told_of((metric, finding.entity.kind, finding.entity.name, label))
    if told is None:
        return None
    now, usual = _last(evidence.sample.get("value")), _last(evidence.sample.get("expected"))
    if metric in LINES_METRICS:
        more = now > usual
        kind = "exploding_template" if more else "vanished_template"
        if not more and not finding.cleared:
            finding = replace(finding, severity=min(finding.severity, Severity.MINOR))
        verb = "come more often" if more else "come less often"
        title = f"Lines {quoted(told.text)} of {_whose(told)} {verb}: {now:.0f} a minute, usually {usual:.0f}"
    else:
        kind = KINDS[metric]
        what = "steps in an order never seen" if kind == "sequence" else "numbers outside their usual range"
        title = f"{what.capitalize()} in log lines of {_whose(told)}: {now:.0f} in a minute, usually {usual:.0f}"
    if finding.cleared:
        title = f"As usual again: {title[0].lower()}{title[1:]}"
    proof = _evidence(told, evidence.sentence, finding.seen_ms, dict(evidence.sample))
    signal = f"log:{told.template}" if told.template else f"log:{kind}"
    return replace(finding, kind=kind, title=title, signal=signal, evidence=(proof,))


def novel_finding(  # noqa: PLR0917
    tenant: TenantId, kind: str, told: Told, at_ms: int, seen_ms: int, weekly: float, *, began: Finding | None = None
) -> Finding:
    """A template that nobody had seen on the entity; with `began`, that it has stopped."""
    text = quoted(told.text)
    if began is None:
        what = "never seen before" if kind == "new_template" else "not seen for more than a day"
        title = f"{first_up(_whose(told))} says something {what}: {text}"
        if kind == "parameter":
            value = quoted(told.samples[0], VALUE_CHARS_MAX)
            title = f"{first_up(_whose(told))} names a value never seen in its place: {value}"
        sentence = (
            f"Lines that are new in such a way to their entity and come as thick are expected {rarity(weekly)}, "
            "had nothing changed."
        )
        key = dedup_key(tenant, hash_of(told), int(told.template, 16), kind, at_ms)
    else:
        title = f"{first_up(_whose(told))} no longer says {text}"
        sentence = f"Nothing of it came for 5 minutes, {lasting((at_ms - began.at_ms) / 1000)} after it began."
        key = began.dedup_key
    return Finding(
        id=FindingId(new_id(seen_ms, Random(f"{key}|{began is not None}"))),  # noqa: S311  an id, no secret
        tenant=tenant,
        agent=AGENT,
        kind=kind,
        entity=EntityKey(*told.entity),
        at_ms=at_ms if began is None else began.at_ms,
        seen_ms=seen_ms,
        severity=Severity.MINOR,
        p_value=chance_a_day(weekly) if began is None else began.p_value,
        effect=1.0 if began is None else began.effect,
        signal=f"log:{told.template}",
        title=title,
        evidence=(_evidence(told, sentence, seen_ms, {}),),
        dedup_key=key,
        cleared=began is not None,
    )


def hash_of(told: Told) -> int:
    """A number of the entity, the same everywhere."""
    return Random("/".join(told.entity)).getrandbits(63)  # noqa: S311  a name, no secret


def lines_sql(told: Told, start_ms: int, end_ms: int) -> str:
    """The query that gives the lines of a template in a window, runnable as it stands."""
    pieces = [each for part in told.text.split("<*>") for each in part.split() if each]
    pattern = "%".join(["", *(_like(each) for each in pieces[:12]), ""]) or "%"
    return (
        "SELECT at, severity_text, body FROM logs"  # noqa: S608  every text is quoted
        f" WHERE tenant = {_quoted(told.tenant)}"
        f" AND hour >= toStartOfHour(fromUnixTimestamp64Milli({start_ms}))"
        f" AND hour <= toStartOfHour(fromUnixTimestamp64Milli({end_ms}))"
        f" AND entity_kind = {_quoted(told.entity[0])} AND entity_name = {_quoted(told.entity[1])}"
        f" AND at >= fromUnixTimestamp64Milli({start_ms}) AND at < fromUnixTimestamp64Milli({end_ms})"
        f" AND body LIKE {_quoted(pattern)} ORDER BY at LIMIT 100"
    )


def _evidence(told: Told, sentence: str, now_ms: int, more: dict[str, object]) -> Evidence:
    sample: dict[str, object] = more | {
        "template": told.template,
        "text": shown(told.text, 1000),
        "line_count": told.count,
        "lines": list(told.samples),
    }
    start_ms = now_ms - WINDOW_MS
    query = lines_sql(told, start_ms, now_ms + 1)
    return Evidence(sentence, "clickhouse", query, start_ms, now_ms + 1, digest(sample), sample)


def _whose(told: Told) -> str:
    return thing_of(*told.entity)


def _last(column: object) -> float:
    numbers = [each for each in column if isinstance(each, float | int)] if isinstance(column, list) else []
    return float(numbers[-1]) if numbers else 0.0


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
