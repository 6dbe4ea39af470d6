"""Whatever is sent to a documented route, the answer is what the description says, and never a crash."""

import re
from contextlib import suppress

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case

# These end what the other tests stand on: the caller's own login, users and keys.
UNTRIED = re.compile(r"/api/v1/(me/password|logout|users/\{login\}|keys/\{prefix\})")
QUICK = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_generated_requests_get_an_answer_of_the_contract(whole):
    """Valid and broken parameters and bodies on every route: no 5xx but 503, and refusals are problem documents."""
    headers = {"Authorization": f"Bearer {whole.key}"}
    schema = schemathesis.openapi.from_url(f"{whole.url}/openapi.json", headers=headers, wait_for_schema=10)
    faults, tried = [], 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if UNTRIED.fullmatch(operation.path):
            continue
        tried += 1
        for mode in schemathesis.GenerationMode:

            @QUICK
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: Case) -> None:
                answer = case.call(headers=headers)
                if fault := fault_of(answer, case.path):
                    faults.append((case.method, case.path, fault, answer.text[:200]))

            with suppress(Unsatisfiable):  # nothing broken can be made for a route that takes nothing
                attempt()

    assert tried > 25
    assert faults == []


def fault_of(answer: schemathesis.Response, path: str) -> str:
    """What is wrong with an answer; empty when nothing is."""
    media_type = answer.headers.get("content-type", [""])[0]
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"answered {answer.status_code}"
    if path.startswith("/apis/") and answer.json().get("kind") == "Status":
        return ""  # Kubernetes' own form of a refusal
    if answer.status_code >= 400 and not media_type.startswith("application/problem+json"):
        return f"{answer.status_code} is no problem document but {media_type}"
    if answer.status_code >= 400 and not {"status", "code", "detail"} <= answer.json().keys():
        return "the problem document lacks members"
    return ""
