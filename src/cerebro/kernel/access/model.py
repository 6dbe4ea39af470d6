"""What is kept about those who may come in."""

import re
from dataclasses import dataclass, field

from cerebro.kernel.access.permissions import Role
from cerebro.kernel.records.port import Collection
from cerebro.spine.errors import Invalid
from cerebro.spine.identity import TenantId

OWN_NAME = "cerebro"  # under which Cerebro's own deeds are kept: nobody else is let in by it
OWNERS_TENANT = TenantId("_owners")  # where the owners of API keys are looked up, before any tenant is known
TENANT = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")  # a word of a bus subject
LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@/+-]{0,63}")


@dataclass(frozen=True, slots=True)
class User:
    """A person who may log in. The record's key is the login."""

    login: str
    role: Role
    password_hash: str = field(repr=False)  # argon2id, in its own notation
    made_ms: int
    generation: int  # tokens of an older one are refused; only grows, even when a login is used anew
    disabled: bool = False
    changed_ms: int = 0  # of the password


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A credential of a machine. The record's key is the prefix; the secret is not kept."""

    name: str
    prefix: str
    digest: str = field(repr=False)  # SHA-256 of the secret, hex
    scopes: tuple[str, ...]
    made_by: str
    made_ms: int
    expires_ms: int = 0  # 0: never
    last_used_ms: int = 0  # to within some minutes


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose key a prefix is."""

    owner: TenantId


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One link of a login's chain of refresh tokens. The record's key is the SHA-256 of its secret."""

    login: str
    family: str  # one for each login; ends as a whole
    generation: int  # of the user when the family began
    born_ms: int  # when the family began
    expires_ms: int
    spent_ms: int = 0  # when it was exchanged for the next; 0 while it was not


USERS = Collection("users", User, ("login", "role", "disabled"))
API_KEYS = Collection("api_keys", ApiKey, ("name", "prefix", "digest"), unique=(("name",),))
KEY_OWNERS = Collection("key_owners", KeyOwner)
REFRESH_TOKENS = Collection("refresh_tokens", RefreshToken, ("login", "family", "expires_ms"))


def check_login(login: str) -> str:
    """The login as it is kept: in lower case.

    Raises:
        Invalid: It has other characters than letters, digits and `._@+-`, or more than 64, or is Cerebro's own name.
    """
    login = login.strip().lower()
    if not LOGIN.fullmatch(login):
        raise Invalid("A login has 1 to 64 letters, digits or ._@+- and begins with a letter or digit.")
    if login == OWN_NAME:
        raise Invalid(f"{OWN_NAME} is the name that Cerebro's own deeds are kept under.", "Take another login.")
    return login


def check_tenant(tenant: str) -> TenantId:
    """The tenant, when it can be one.

    Raises:
        Invalid: It is not a word that can stand in a subject of the bus.
    """
    if not TENANT.fullmatch(tenant):
        raise Invalid("A tenant has 1 to 63 small letters, digits, _ or -.")
    return TenantId(tenant)
