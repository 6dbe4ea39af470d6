"""What a request to a hot door asks for, read from its head."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from cerebro.intake.answers import Form
from cerebro.intake.body import Unsupported
from cerebro.intake.decode.otlp_json import Signal
from cerebro.intake.trouble import BadMethod

Scope = MutableMapping[str, Any]

REMOTE_WRITE = "/api/v1/write"
OTLP: Mapping[str, Signal] = {"/v1/metrics": Signal.METRICS, "/v1/logs": Signal.LOGS, "/v1/traces": Signal.TRACES}
ALERTS, EVENTS = "/intake/alertmanager", "/intake/events"
WEBHOOKS = frozenset({ALERTS, EVENTS})
PATHS = frozenset({REMOTE_WRITE, *OTLP, *WEBHOOKS})

_OTLP_FORMS = {"application/x-protobuf": Form.PROTOBUF, "application/json": Form.JSON}


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request, its names in lower case."""

    path: str
    method: str
    headers: Mapping[str, str]
    media: str  # content type without its parameters
    parameters: str
    encoding: str

    @property
    def signal(self) -> Signal:
        """What its body carries."""
        return OTLP.get(self.path, Signal.METRICS)

    @property
    def form(self) -> Form:
        """How its answer is written."""
        if self.path == EVENTS:
            return Form.JSON
        return _OTLP_FORMS.get(self.media, Form.PROTOBUF) if self.path in OTLP else Form.TEXT

    def check_method(self) -> None:
        """Refuse everything but POST.

        Raises:
            BadMethod: It is no POST.
        """
        if self.method != "POST":
            raise BadMethod(f"{self.path} takes POST, not {self.method}.")

    def check_media(self) -> None:
        """Refuse a body that this door does not read, before it is sent.

        Raises:
            Unsupported: Another media type, version or compression.
        """
        if self.path in WEBHOOKS:
            self._check_webhook()
        elif self.path in OTLP:
            self._check_otlp()
        else:
            self._check_remote_write()

    def _check_webhook(self) -> None:
        if not self.media.endswith("json") and not (self.path == EVENTS and "ce-specversion" in self.headers):
            raise Unsupported(
                f"{self.path} reads JSON, not {self.media[:80]!r}.", "Send content-type application/json."
            )
        if self.encoding not in ("", "identity", "gzip"):
            raise Unsupported(f"{self.path} reads bodies as they are or in gzip, not {self.encoding[:80]!r}.")

    def _check_otlp(self) -> None:
        if self.media not in _OTLP_FORMS:
            raise Unsupported(
                f"{self.path} reads application/x-protobuf and application/json, not {self.media[:80]!r}."
            )
        if self.encoding not in ("", "identity", "gzip"):
            raise Unsupported(f"{self.path} reads bodies as they are or in gzip, not {self.encoding[:80]!r}.")

    def _check_remote_write(self) -> None:
        version = self.headers.get("x-prometheus-remote-write-version", "0.1.0")
        if "io.prometheus.write.v2" in self.parameters or version.startswith("2"):
            raise Unsupported(
                "This door reads remote write 1.0, not 2.0.",
                "Leave protobuf_message at prometheus.WriteRequest in the sender's remote_write section.",
            )
        if self.media != "application/x-protobuf":
            raise Unsupported(f"{self.path} reads application/x-protobuf, not {self.media[:80]!r}.")
        if self.encoding != "snappy":
            raise Unsupported(f"{self.path} reads bodies compressed with snappy, not {self.encoding[:80]!r}.")


def request_of(scope: Scope) -> Request:
    """The head of an ASGI request."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    media, _, parameters = headers.get("content-type", "").partition(";")
    return Request(
        path=scope["path"],
        method=scope["method"],
        headers=headers,
        media=media.strip().lower(),
        parameters=parameters,
        encoding=headers.get("content-encoding", "").strip().lower(),
    )
