"""Which watched thing a series, log record or span tells of: one rule, in one place.

The labels come from outside and are hostile: what becomes a name is cleaned and bounded here,
so that everything behind this door may show, store and compare it as it is.

| the labels hold | the entity is |
|---|---|
| `service.name` (or `service_name`) | `service/<it>` |
| `job` | `service/<it>` |
| `process.executable.name` (or `process_executable_name`) | `process/<host>:<it>`; without a host `process/<it>` |
| `host.name` (or `host_name`) | `host/<it>` |
| `instance` | `host/<it without its port>` |
| none of these | `host/unknown` |

The first row that gives a name which is not empty once cleaned wins. A process stands before its
host, because what says both is about the process.
"""

import unicodedata
from collections.abc import Mapping

NAME_CHARS_MAX = 200  # longer names are cut: an entity's name is a key and a heading, not a document
UNKNOWN = ("host", "unknown")

_SERVICE = ("service.name", "service_name", "job")
_PROCESS = ("process.executable.name", "process_executable_name")
_HOST = ("host.name", "host_name")

# Control, format (bidirectional marks among them), surrogate, private-use and line or paragraph separators.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def entity_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """The kind and name of the entity that these labels or attributes tell of.

    >>> entity_of({"job": "checkout", "instance": "10.0.0.7:8080"})
    ('service', 'checkout')
    >>> entity_of({"host.name": "web-7", "process.executable.name": "nginx"})
    ('process', 'web-7:nginx')
    >>> entity_of({"instance": "web-7:9100"})
    ('host', 'web-7')
    """
    if service := _first(labels, _SERVICE):
        return "service", service
    host = _first(labels, _HOST) or host_of_instance(clean(labels.get("instance", "")))
    if process := _first(labels, _PROCESS):
        return "process", f"{host}:{process}"[:NAME_CHARS_MAX] if host else process
    return ("host", host) if host else UNKNOWN


def clean(text: str) -> str:
    """The text as a name: no character that cannot be seen, no outer blanks, at most `NAME_CHARS_MAX` long.

    >>> clean("  web\\x00-7\\u202e ")
    'web-7'
    """
    head = text[: 4 * NAME_CHARS_MAX]
    if not head.isprintable():
        head = "".join(mark for mark in head if unicodedata.category(mark) not in _UNSHOWABLE)
    return head.strip()[:NAME_CHARS_MAX].rstrip()


def host_of_instance(instance: str) -> str:
    """The host in a Prometheus `instance`: without the port, an IPv6 address without its brackets.

    >>> [host_of_instance(text) for text in ("web-7:9100", "[::1]:9100", "::1", "web-7")]
    ['web-7', '::1', '::1', 'web-7']
    """
    if instance.startswith("["):
        return instance[1:].partition("]")[0]
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdigit() and ":" not in host else instance


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these labels that says something."""
    for name in names:
        if (text := labels.get(name)) and (kept := clean(text)):
            return kept
    return ""
