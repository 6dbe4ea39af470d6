"""Signing a request to AWS: version 4, headers only.

Source: AWS, "Signature Version 4 signing process" (IAM user guide), checked against its published example.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class Credential:
    """Who asks. `session` is the third part of temporary credentials."""

    access_key: str
    secret_key: str
    session: str = ""

    def __repr__(self) -> str:
        """Nothing that a log could keep."""
        return "Credential(…)"


def signed(
    credential: Credential, url: str, body: bytes, *, region: str, service: str, at_ms: int, method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:  # fmt: skip
    """The headers that the request needs beside its own, which are signed too."""
    parts = urlsplit(url)
    stamp = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"
    known = {"host": parts.netloc, "x-amz-date": stamp, **{k.lower(): v.strip() for k, v in (headers or {}).items()}}
    if credential.session:
        known["x-amz-security-token"] = credential.session
    names = ";".join(sorted(known))
    path = "/".join(quote(part, safe="-_.~") for part in parts.path.split("/")) or "/"  # encoded once more, as asked
    lines = [f"{name}:{known[name]}\n" for name in sorted(known)]
    canonical = "\n".join((method, path, parts.query, "".join(lines), names, hashlib.sha256(body).hexdigest()))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credential.secret_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    proof = f"AWS4-HMAC-SHA256 Credential={credential.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    added = {name: known[name] for name in ("x-amz-date", "x-amz-security-token") if name in known}
    return added | {"authorization": proof}
