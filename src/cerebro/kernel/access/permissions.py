"""What can be permitted, and which role permits what."""

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """One kind of doing; a route asks for exactly one."""

    INGEST = "ingest"  # send telemetry
    READ = "read"  # see everything of the tenant but users, keys and the audit log
    RESPOND = "respond"  # acknowledge, assign, comment, silence, close
    OPERATE = "operate"  # run actions, change settings, make keys
    ADMIN = "admin"  # users, audit


class Role(StrEnum):
    """What a person is to the tenant."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    OPERATOR = "operator"
    ADMIN = "admin"


PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.RESPONDER: frozenset({Permission.READ, Permission.RESPOND}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.RESPOND, Permission.OPERATE}),
    Role.ADMIN: frozenset(Permission),
}
