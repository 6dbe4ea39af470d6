"""What casework counts."""

from prometheus_client import Counter, Histogram

FINDINGS = Counter("cerebro_casework_findings_total", "Findings read, by what became of them.", ["outcome"])
CHANGES = Counter("cerebro_casework_changes_total", "Changes of cases, by their kind in the timeline.", ["kind"])
BATCH_SECONDS = Histogram(
    "cerebro_casework_batch_seconds",
    "Time to bring one batch of findings into the store of record.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
FINDING_AGE_SECONDS = Histogram(
    "cerebro_casework_finding_age_seconds",
    "Time from an agent being sure to the finding being in its case.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 300),
)
NOTICES = Counter("cerebro_casework_notices_total", "Attempts to tell someone outside of a change.", ["outcome"])
ANSWERS = Counter("cerebro_casework_answers_total", "API reads, by whether the answer was at hand.", ["source"])
MAP_SECONDS = Histogram(
    "cerebro_casework_map_seconds",
    "Time to keep what has changed of one tenant's map.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
MAP_REFUSED = Counter("cerebro_casework_map_refused_total", "Sights beyond a limit of the map, by what of.", ["what"])
ACTIONS = Counter("cerebro_casework_actions_total", "Changes of actions, by the state they came to.", ["state"])
CALLS = Counter(
    "cerebro_casework_calls_total", "Calls of executors, by executor and what came of them.", ["executor", "outcome"]
)
DIAGNOSES = Counter("cerebro_casework_diagnoses_total", "Looks at a case for its causes, by outcome.", ["outcome"])
DIAGNOSIS_SECONDS = Histogram(
    "cerebro_casework_diagnosis_seconds",
    "Time from asking for a case's telemetry to its ranked causes.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
