"""The docs say what is true: reference pages are those the code writes, links lead somewhere, examples run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import cerebro
from cerebro.cli.reference import licence, pages

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PURE = [
    module.name
    for module in pkgutil.walk_packages(cerebro.__path__, "cerebro.")
    if re.match(r"cerebro\.(spine|algorithms|cli\.out)", module.name)
]
COPYLEFT = re.compile(r"\b(A?GPL|SSPL|BUSL)", re.IGNORECASE)
# Weak copyleft, used unchanged as libraries of their own.
ACCEPTED = {"psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only", "psycopg-pool": "LGPL-3.0-only"}


@pytest.mark.parametrize("name", ["settings.md", "cli.md", "metrics.md", "licences.md"])
def test_reference_is_what_the_code_says(name, monkeypatch):
    """`make reference` has been run."""
    monkeypatch.chdir(ROOT)

    assert (ROOT / "docs" / "reference" / name).read_text() == pages()[name], "run `make reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file or folder that exists."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())

    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("module", PURE)
def test_examples_run(module):
    """Examples in docstrings give what they say."""
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_no_package_is_copyleft_unless_accepted():
    """What Cerebro links is permissive, or a library of its own that is used unchanged."""
    names = re.findall(r"^([a-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    found = {name for name in names if COPYLEFT.search(licence(name))}

    assert found <= ACCEPTED.keys()


def test_lock_files_name_no_index():
    """A lock file works behind any index."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text()
