"""The secrets of one data directory: made once, kept in a file that only its owner can read."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cerebro.spine.errors import CerebroError, Invalid, Unavailable

FILE = "secrets.json"
ENTROPY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords of the embedded engines and the key that access tokens are signed with."""

    postgres_password: str
    nats_password: str
    store_password: str
    token_key: str

    def __repr__(self) -> str:
        """Nothing that a log could keep."""
        return "Secrets(…)"


def load_secrets(data_dir: Path) -> Secrets:
    """The secrets of the data directory; whoever asks first makes them.

    Raises:
        Invalid: The file is there and is not one of ours.
        Unavailable: The directory cannot be read or written.
    """
    file = data_dir / FILE
    try:
        known = _read(file)
        if known is None or len(known) < len(fields(Secrets)):
            known = _complete(file, known or {})
    except OSError as error:
        raise _unreachable(file, error) from error
    return Secrets(**known)


def _read(file: Path) -> dict[str, str] | None:
    names = {field.name for field in fields(Secrets)}
    try:
        known = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Invalid(f"{file} is not JSON.", "Restore it from a backup: the engines know its passwords.") from error
    if not isinstance(known, dict):
        raise Invalid(f"{file} holds no secrets.", "Restore it from a backup: the engines know its passwords.")
    return {name: str(value) for name, value in known.items() if name in names}


def _complete(file: Path, known: dict[str, str]) -> dict[str, str]:
    """Add what is missing. A link makes the first writer win when two start together."""
    fresh = asdict(Secrets(*(secrets.token_urlsafe(ENTROPY_BYTES) for _ in fields(Secrets))))
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{FILE}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(fresh | known, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    if known:
        draft.replace(file)
        return fresh | known
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return _read(file) or fresh
    finally:
        draft.unlink(missing_ok=True)
    return fresh


def _unreachable(file: Path, error: OSError) -> CerebroError:
    return Unavailable(
        f"{file} cannot be used: {error.strerror}.",
        "Run as the user that owns the data directory, or give it one it can write.",
    )
