"""The commands of the README, against a whole Cerebro."""

import json

import pytest

from cerebro.spine.errors import Unavailable


def test_status_names_every_process(whole):
    """The engines, our own processes, all ready."""
    children = json.loads(whole.cerebro("status", "--json"))

    assert {child["name"] for child in children} == {"postgres", "nats", "store", "front", "back"}
    assert {child["state"] for child in children} == {"ready"}


def test_doctor_finds_nothing_wrong(whole):
    """A fresh Cerebro is well."""
    assert "no problems" in whole.cerebro("doctor")


def test_a_query_answers_and_a_wrong_one_says_why(whole):
    """SQL over the own tenant; an error is one line, no traceback."""
    assert "7" in whole.cerebro("query", "SELECT 3 + 4 AS sum")
    with pytest.raises(Unavailable, match="no_such_table") as error:
        whole.cerebro("query", "SELECT * FROM no_such_table")

    assert "Traceback" not in str(error.value)


def test_keys_are_made_listed_and_revoked(whole):
    """The secret is printed once; the list shows the prefix only."""
    key = whole.cerebro("key", "add", "for-a-test").strip()
    prefix = key.split("_")[1]

    assert prefix in whole.cerebro("key", "list")
    assert key not in whole.cerebro("key", "list", "--json")
    whole.cerebro("key", "revoke", prefix)
    assert prefix not in whole.cerebro("key", "list")


def test_every_change_is_in_the_audit_log(whole):
    """The chain is intact, and knows of the keys that were made."""
    assert "intact" in whole.cerebro("audit", "verify")
    assert "key_made" in whole.cerebro("audit", "list")


def test_empty_lists_say_what_to_do(whole):
    """Nothing is wrong, and that is said."""
    assert "No open case" in whole.cerebro("cases") or "severity" in whole.cerebro("cases")
