"""Logs as JSON lines, one fact a line, with the field names that log stores expect.

A line has `timestamp level service pod message`, then, inside a request, `request_id user_id method
path status duration_ms`, then the fields of the fact itself. `message` is what happened, in the past tense.
"""

import logging
import socket
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

REDACTED = "[redacted]"
SECRET_WORDS = ("password", "passwd", "token", "secret", "authorization", "cookie", "api_key", "apikey", "credential")
HARMLESS = frozenset({"dedup_token", "token_s", "token_count"})  # a name with such a word that hides nothing
ORDER = (
    "timestamp",
    "level",
    "service",
    "pod",
    "request_id",
    "user_id",
    "method",
    "path",
    "status",
    "duration_ms",
    "message",
)
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
VALUE_CHARS_MAX = 4096


def _before_start() -> None:
    """Until `start_logging`, in commands and tests: warnings, readable, on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            redact,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_names: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_log(name: str) -> FilteringBoundLogger:
    """The log of a module; `name` becomes the field `module`. Call it at import: it binds late."""
    return cast(FilteringBoundLogger, structlog.get_logger(module=name))


def start_logging(level: str, service: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and our libraries', to `stream` (standard error) as JSON.

    Args:
        level: Least level that is written: debug, info, warning or error.
        service: Name of the role or roles that this process runs.
        stream: Where the lines go.
    """
    out = stream or sys.stderr
    pod = socket.gethostname()

    def place(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {**event, "service": service, "pod": pod}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        place,
    ]
    ending: list[structlog.typing.Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        redact,
        in_order,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]
    structlog.configure(
        processors=shared + ending,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=stream is None,
    )
    _adopt_standard_logging(out, shared, ending)


def _adopt_standard_logging(
    out: TextIO, shared: list[structlog.typing.Processor], ending: list[structlog.typing.Processor]
) -> None:
    """Libraries log by `logging`: from warning up, in the same form."""
    line = logging.StreamHandler(out)
    line.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [line]
    root.setLevel(logging.WARNING)


def redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Hide the value of every field whose name speaks of a secret, at any depth, and bound long ones."""
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    if _is_secret(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _shown(str(inner), below) for inner, below in value.items()}
    if isinstance(value, str) and len(value) > VALUE_CHARS_MAX and name != "exception":
        return value[:VALUE_CHARS_MAX] + "…"
    return value


@lru_cache(maxsize=4096)  # the same few names on every line
def _is_secret(name: str) -> bool:
    low = name.lower()
    return low not in HARMLESS and any(word in low.replace("-", "_") for word in SECRET_WORDS)


def in_order(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The named fields first, so that a person can read down a column."""
    return {name: event[name] for name in ORDER if name in event} | {k: v for k, v in event.items() if k not in ORDER}


_before_start()
