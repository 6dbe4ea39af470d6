"""Serves the console's files: an index for every page, and assets that a browser keeps for a year."""

import gzip
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

ASSETS = "/assets/"  # then the digest of the whole tree: a new release has new addresses
OTHER_DOORS = ("/api/", "/v1/", "/intake/")  # an unknown path there is an error, never a page
COMPRESSED = ("text/", "application/json", "image/svg+xml", "application/manifest+json")
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
GUARDS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    body: bytes
    packed: bytes  # gzip of the body; empty where packing gains nothing
    media_type: str
    etag: str


def console_app() -> ASGI:
    """The console as an ASGI application for every path that no other door takes.

    All files are read once and kept in memory (about 1 MB), so a request touches no disk and
    no path of a request ever becomes a path of the file system.
    """
    assets = dict(_read(files("cerebro.console") / "static"))
    digest = _digest(f"{path}\0{file.etag}" for path, file in sorted(assets.items()))
    index = _index(assets, digest)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_websocket(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _problem(send, 405, "method_not_allowed", "The console is only read.", {"allow": "GET, HEAD"})
        else:
            await _get(scope, send, index, assets, digest)

    return serve


async def _get(scope: Scope, send: Send, index: File, assets: Mapping[str, File], digest: str) -> None:
    path: str = scope["path"]
    if path.startswith(ASSETS):
        release, _, name = path.removeprefix(ASSETS).partition("/")
        file, cache = assets.get(name), "public, max-age=31536000, immutable" if release == digest else "no-cache"
    elif path.startswith(OTHER_DOORS):
        file, cache = None, ""
    elif path == "/favicon.ico":
        file, cache = assets.get("favicon.svg"), "public, max-age=86400"
    else:
        file, cache = index, "no-cache"

    if file is None:
        await _problem(send, 404, "not_found", "Nothing is here.", {})
    else:
        await _send(scope, send, file, cache)


async def _send(scope: Scope, send: Send, file: File, cache: str) -> None:
    asked = {name: value for name, value in scope["headers"] if name in (b"if-none-match", b"accept-encoding")}
    headers = {**GUARDS, "cache-control": cache, "etag": file.etag, "vary": "accept-encoding"}
    if file.etag.encode() in asked.get(b"if-none-match", b""):
        await _answer(send, 304, headers, b"")
        return

    packed = bool(file.packed) and b"gzip" in asked.get(b"accept-encoding", b"")
    body = file.packed if packed else file.body
    headers |= {"content-type": file.media_type, "content-length": str(len(body))}
    if packed:
        headers["content-encoding"] = "gzip"
    await _answer(send, 200, headers, b"" if scope["method"] == "HEAD" else body)


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _problem(send: Send, status: int, code: str, detail: str, headers: Mapping[str, str]) -> None:
    body = msgspec.json.encode({"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail})
    kind = {"content-type": "application/problem+json", "content-length": str(len(body))}
    await _answer(send, status, {**GUARDS, **kind, **headers}, body)


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404})


def _read(folder: Traversable, prefix: str = "") -> Iterable[tuple[str, File]]:
    """Every file below the folder, by its path with slashes."""
    for child in folder.iterdir():
        if child.is_dir():
            yield from _read(child, f"{prefix}{child.name}/")
        else:
            yield prefix + child.name, _file(child.name, child.read_bytes())


def _file(name: str, body: bytes) -> File:
    suffix = name[name.rfind(".") :]
    media_type = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain; charset=utf-8"
    packed = gzip.compress(body, 6, mtime=0) if media_type.startswith(COMPRESSED) and len(body) > 512 else b""
    return File(body, packed, media_type, f'"{_digest([body.hex()])}"')


def _index(assets: Mapping[str, File], digest: str) -> File:
    """The page that loads the rest, every module named in its head so that they arrive in one round trip."""
    base = f"{ASSETS}{digest}/"
    modules = sorted(path for path in assets if path.endswith(".js") and path not in ("boot.js", "app.js"))
    preload = "\n    ".join(f'<link rel="modulepreload" href="{base}{path}" />' for path in modules)
    text = assets["index.html"].body.decode().replace("<!--modules-->", preload).replace("%assets%/", base)
    return _file("index.html", text.encode())


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
