"""What the doors need to know of who sends: `kernel.access` answers."""

from typing import Protocol

from cerebro.spine.identity import TenantId


class Sender(Protocol):
    """Whoever holds a good credential."""

    @property
    def tenant(self) -> TenantId:
        """Whose telemetry it is, whatever the body says."""
        ...

    @property
    def name(self) -> str:
        """Of the user or key."""
        ...

    @property
    def kind(self) -> str:
        """A person or a key."""
        ...

    def need(self, permission: str) -> None:
        """Return when it has the permission.

        Raises:
            Forbidden: It does not.
        """
        ...


class Gate(Protocol):
    """Knows senders by their credential."""

    async def authenticate(self, authorization: str) -> Sender:
        """The holder of the credential in an Authorization header.

        Raises:
            Unauthenticated: There is none, or it is wrong or expired.
        """
        ...
