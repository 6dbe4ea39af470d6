"""Which executors this installation has, by its settings; control doors come on top."""

import msgspec

from cerebro.casework.executors.command import Command
from cerebro.casework.executors.flags import Flags
from cerebro.casework.executors.hook import Hook
from cerebro.casework.executors.jetstream import JetStream
from cerebro.casework.executors.names import Names, Zone
from cerebro.casework.executors.port import Executor
from cerebro.casework.executors.sql import Sql
from cerebro.casework.executors.weights import Weights
from cerebro.kernel.clock import Clock
from cerebro.kernel.settings import ReachSettings
from cerebro.spine.entities import EntityKey
from cerebro.spine.errors import Invalid


def by_settings(reach: ReachSettings, clock: Clock) -> tuple[Executor, ...]:
    """The executors that the settings name.

    Raises:
        Invalid: One of them cannot be read; the detail names it.
    """
    found: list[Executor] = []
    if reach.kubernetes_url:
        # some 800 modules: only who has a cluster pays for them
        from cerebro.casework.executors.kubernetes import Cluster, Kubernetes  # noqa: PLC0415

        cluster = Cluster(reach.kubernetes_url, reach.kubernetes_token, reach.kubernetes_ca, reach.kubernetes_namespace)
        found.append(Kubernetes(cluster))
    if reach.sql_url:
        found.append(Sql(reach.sql_url, EntityKey.parse(reach.sql_target)))
    if reach.nats_url:
        found.append(JetStream(reach.nats_url, clock))
    if reach.unleash_url:
        flags = Flags(reach.unleash_url, reach.unleash_token, reach.unleash_project, reach.unleash_environment)
        found.append(flags)
    if reach.haproxy_socket:
        found.append(Weights(reach.haproxy_socket))
    if reach.dns_address:
        found.append(Names(Zone(reach.dns_address, reach.dns_zone, reach.dns_key_name, reach.dns_key)))
    if reach.ssh_commands:
        found.append(Command(_texts("reach.ssh_commands", reach.ssh_commands), reach.ssh_user))
    if reach.webhooks:
        found.append(Hook(_texts("reach.webhooks", reach.webhooks), reach.webhook_secret, clock))
    return tuple(found)


def _texts(name: str, text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Invalid(f"The setting {name} is no JSON object of texts: {error}.", 'Write {"name": "…"}.') from error
