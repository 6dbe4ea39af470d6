"""Whatever is sent to a documented route, the answer is what the description says, and never a crash."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

# These end what the other tests stand on: the caller's own password and the first admin.
UNTRIED = r"/api/v1/(me/password|logout|users/\{login\}|keys/\{prefix\})"


@pytest.fixture(scope="session")
def described(whole):
    headers = {"Authorization": f"Bearer {whole.key}"}
    return schemathesis.openapi.from_url(f"{whole.url}/openapi.json", headers=headers, wait_for_schema=10)


schema = schemathesis.pytest.from_fixture("described").exclude(path_regex=UNTRIED)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_get_an_answer_of_the_contract(case, whole):
    """Valid and broken parameters and bodies: no 5xx but 503, and refusals are problem documents."""
    answer = case.call(headers={"Authorization": f"Bearer {whole.key}"})

    if answer.status_code != 503:
        not_a_server_error(None, answer, case)
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith("application/problem+json"), answer.text
        assert {"status", "code", "detail"} <= answer.json().keys()
