"""RootCauseBench: which commit did it, or none. Scored as the set's own grader does: the commit must be the right one.

Source: Edge Delta, RootCauseBench (2026), github.com/edgedelta/root-cause-bench.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cerebro.casework.cause.grid import role_of
from cerebro.casework.cause.picture import Role
from cerebro.casework.cause.suspects import Patch, Suspect, Told, operational, suspects

NONE = "none"
MISSING = re.compile(r"does not exist|not found|no such|undefined", re.IGNORECASE)
PINNED = re.compile(r"(go\.mod|package\.json|\.ya?ml|\.toml|\.ini|config\.\w+)$")
VARIES = re.compile(r"<[A-Z]+>")


@dataclass(frozen=True, slots=True)
class Incident:
    """One answer with what is true."""

    name: str
    commit: str
    truth: str
    decoys: frozenset[str]
    service: str
    service_truth: str
    remedy: str
    remedy_truth: str
    said: tuple[Suspect, ...]

    @property
    def passed(self) -> bool:
        """The grader's primary rule."""
        return self.commit == self.truth

    @property
    def decoyed(self) -> bool:
        """Whether an innocent commit was blamed that was put there to be blamed."""
        return self.commit in self.decoys


def incidents(part: Path) -> Iterator[Incident]:
    """An answer an incident of the folder."""
    for folder in sorted(each for each in part.iterdir() if (each / "alert.json").exists()):
        yield _answered(folder)


def _answered(folder: Path) -> Incident:
    truth = _json(folder / "ground_truth.json")
    commits = _json(folder / "context" / "commits.json")
    told = _told(folder)
    patches = [
        Patch(each["sha"], _ms(each["timestamp"]), tuple(each["files_changed"]), each.get("diff") or "")
        for each in commits
    ]
    ranked = suspects(patches, told)
    nobody = operational(told)
    commit = ranked[0].id if ranked and not nobody else NONE
    files: Sequence[str] = next((each["files_changed"] for each in commits if each["sha"] == commit), ())
    return Incident(
        folder.name,
        commit,
        truth["root_cause_commit"],
        frozenset(truth["decoy_deploy_commits"]),
        str(_json(folder / "alert.json")["service"]),  # the alarm is where it first shows, unless something says more
        truth["first_failing_service"],
        _remedy(told, nobody, files),
        truth["remediation"],
        tuple(ranked[:3]),
    )


def _told(folder: Path) -> Told:
    alert, patterns = _json(folder / "alert.json"), _json(folder / "patterns.json")
    lines = [(f"{alert['summary']} {alert['metric']}", 50.0)]
    for each in patterns:
        more = _number(each["delta_vs_baseline"])
        if more > 0 and each.get("sentiment") != "positive":
            quiet = 0.2 if each.get("sentiment") == "neutral" else 1.0
            lines.append((VARIES.sub("", each["signature"]), more * quiet))
    onset_ms = _ms(alert["fired_at"])
    return Told(lines, onset_ms, _load(folder, onset_ms), _stuck(folder))


def _load(folder: Path, onset_ms: int) -> list[float]:
    """How many times more each service was asked, at its most in the last ten minutes against the time before."""
    values: dict[tuple[str, str], list[tuple[int, float]]] = {}
    with (folder / "metrics.csv").open() as rows:
        for row in csv.DictReader(rows):
            if re.search(r"requests|rps|qps", row["metric"]) and role_of(row["metric"]) is Role.TRAFFIC:
                values.setdefault((row["service"], row["metric"]), []).append(
                    (_ms(row["timestamp"]), float(row["value"]))
                )
    load: dict[str, float] = {}
    for (name, _), points in values.items():
        usual = sorted(value for at, value in points if at < onset_ms - 600_000)
        now = [value for at, value in points if onset_ms - 600_000 <= at <= onset_ms]
        if usual and now and usual[len(usual) // 2] > 0:
            load[name] = max(load.get(name, 0.0), max(now) / usual[len(usual) // 2])
    return [load[name] for name in sorted(load)]


def _stuck(folder: Path) -> float:
    """The share of failing lines that name the same thing."""
    said: Counter[str] = Counter()
    count = 0
    for line in _logs(folder):
        if str(line.get("severity_text", "")).upper() in ("ERROR", "FATAL", "CRITICAL"):
            count += 1
            said.update(set(re.findall(r"\b[\w-]*(?:id|offset|key)=([\w.-]{6,})", str(line.get("msg", "")))))
    return said.most_common(1)[0][1] / count if said and count >= 5 else 0.0


def _remedy(told: Told, nobody: tuple[str, str] | None, files: Sequence[str]) -> str:
    if nobody:
        return nobody[1]
    if any(MISSING.search(text) for text, _ in told.lines[:4]):
        return "roll-forward"
    if files and all(PINNED.search(name) or name.endswith((".sum", ".lock")) for name in files):
        return "config-revert"
    return "rollback"


def _logs(folder: Path) -> Iterator[Mapping[str, Any]]:
    with (folder / "logs.ndjson").open() as rows:
        for row in rows:
            if row.strip():
                yield json.loads(row)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def _number(text: object) -> float:
    found = re.search(r"-?\d+(\.\d+)?", str(text).replace("+", ""))
    return float(found.group()) if found else 0.0
