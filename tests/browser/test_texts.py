"""Every text of the console exists in every language, with what is to be filled in."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

STATIC = Path(str(files("cerebro.console"))) / "static"
LANGUAGES = ("en", "ru")
ENTRY = re.compile(r'^  "([^"]+)": (.+),$', re.MULTILINE)
CALL = re.compile(r'\bt\(\s*"([^"]+)"')
CHOSEN = re.compile(r'\bt\([^"`()]*\? "([^"]+)" : "([^"]+)"')
PREFIX = re.compile(r"\bt\(`([a-z_.]+)\$\{")
GROUP = re.compile(r'\bword\("([^"]+)"')


@cache
def texts(language: str) -> dict[str, str]:
    return dict(ENTRY.findall((STATIC / "i18n" / f"{language}.js").read_text()))


@cache
def program() -> str:
    return "\n".join(path.read_text() for path in STATIC.rglob("*.js") if path.parent.name not in ("i18n", "vendor"))


def test_languages_have_the_same_keys():
    """Nothing is said in one language only."""
    assert set(texts("en")) == set(texts("ru"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_the_program_names_exists(language):
    """A key without a text would be shown as it is."""
    named = set(CALL.findall(program())) | {key for pair in CHOSEN.findall(program()) for key in pair}

    assert named - set(texts(language)) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_group_of_words_exists(language):
    """Keys put together at run time have at least one text of their group."""
    groups = set(PREFIX.findall(program())) | {f"{group}." for group in GROUP.findall(program())}

    assert [group for group in groups if not any(key.startswith(group) for key in texts(language))] == []


def test_translations_fill_in_the_same_things():
    """`{count}` stays `{count}`."""

    def holes(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    differing = {key for key, text in texts("en").items() if holes(text) != holes(texts("ru")[key])}

    assert differing == set()


def test_russian_counts_in_its_own_forms():
    """1 запись, 2 записи, 5 записей."""
    plural = {key: text for key, text in texts("ru").items() if text.startswith("{ ")}

    assert plural
    assert [key for key, text in plural.items() if not all(form in text for form in ("one:", "few:", "many:"))] == []
