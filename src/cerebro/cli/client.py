"""The command line's way to a running Cerebro: its own REST API, with the local key or one you name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from cerebro.kernel.settings import Settings
from cerebro.spine.errors import CerebroError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable

KEY_FILE = "cli.key"
BY_STATUS: Mapping[int, type[CerebroError]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound}


class Client:
    """Calls to one Cerebro.

    Args:
        url: Of the HTTP door; the settings' own when empty.
        key: API key or token; the local command line's key when empty.
    """

    def __init__(self, settings: Settings, url: str = "", key: str = "") -> None:
        self.url = url or door(settings)
        said = f"Bearer {key or _local_key(settings.data_dir)}"
        try:
            self._http = httpx.Client(base_url=self.url, headers={"Authorization": said}, timeout=60)
        except httpx.InvalidURL as error:
            raise Invalid(f"{self.url!r} is no address.", "Write one such as https://cerebro.example:8640.") from error
        except UnicodeEncodeError as error:
            raise Invalid("The key has letters that no key has.", "Copy it again: ASCII only.") from error

    def get(self, path: str, **parameters: object) -> Any:
        """The JSON answer of a GET; empty parameters are left out."""
        given: dict[str, Any] = {name: value for name, value in parameters.items() if value not in (None, "")}
        return self._call("GET", path, params=given)

    def download(self, path: str, **parameters: object) -> bytes:
        """The bytes of a GET."""
        return self._answer("GET", path, params=dict(parameters)).content

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The JSON answer of a POST."""
        return self._call("POST", path, json=dict(body or {}))

    def put(self, path: str, body: Mapping[str, object]) -> None:
        """A PUT."""
        self._call("PUT", path, json=dict(body))

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """A POST of bytes, such as telemetry."""
        self._call("POST", path, content=body, headers=dict(headers))

    def patch(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON answer of a PATCH."""
        return self._call("PATCH", path, json=dict(body))

    def delete(self, path: str) -> None:
        """A DELETE."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._answer(method, path, **options)
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"No Cerebro answers at {self.url}.", "Start it: make up, or cerebro up.") from error
        if answer.is_success:
            return answer
        raise _problem(answer)


def door(settings: Settings) -> str:
    """The address of this machine's own Cerebro."""
    scheme = "https" if settings.http.tls_certificate else "http"
    host = "127.0.0.1" if settings.http.host in ("0.0.0.0", "::") else settings.http.host  # noqa: S104
    return f"{scheme}://{host}:{settings.http.port}"


def _local_key(data_dir: Path) -> str:
    try:
        return (data_dir / KEY_FILE).read_text().strip()
    except OSError as error:
        raise Unauthenticated(
            f"No key for the command line in {data_dir}.",
            "Run it as the user who ran `cerebro up`, or name a key: CEREBRO_KEY=… or --key.",
        ) from error


def _problem(answer: httpx.Response) -> CerebroError:
    try:
        document = answer.json()
    except ValueError:
        document = {}
    detail = str(document.get("detail") or f"{answer.status_code} {answer.reason_phrase}")
    kind = BY_STATUS.get(answer.status_code, Unavailable if answer.status_code in (429, 503) else Invalid)
    return kind(detail, str(document.get("mend") or ""))
