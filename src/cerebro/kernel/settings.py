"""Every setting, in one frozen tree, read once by `app`.

Sources, the later over the earlier: the defaults here; `cerebro.toml` in the data directory or
named by `CEREBRO_CONFIG`; the environment (`CEREBRO_HTTP__PORT=9000`). An unknown name is an error.
"""

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from cerebro.spine.errors import Invalid

MIB = 1 << 20
GIB = 1 << 30
DAY_S = 86_400


class Branch(BaseModel):
    """A part of the tree; frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(Branch):
    """The one HTTP door."""

    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs TLS or `insecure`.")
    port: int = Field(8640, ge=0, le=65535, description="Port of every HTTP door.")
    tls_certificate: Path | None = Field(None, description="PEM chain; with `tls_key` the door speaks TLS.")
    tls_key: Path | None = Field(None, description="PEM private key of the certificate.")
    insecure: bool = Field(False, description="Allow an address that is not loopback without TLS.")
    public_url: str = Field("", description="Where people reach the console, for links in messages; empty for none.")
    body_bytes_max: int = Field(16 * MIB, description="Largest request body as sent; a larger one answers 413.")
    decoded_bytes_max: int = Field(64 * MIB, description="Largest body once decompressed; a larger one answers 413.")


class EngineSettings(Branch):
    """Where the three engines are. An empty address means: embedded, started by `cerebro up`."""

    nats_url: str = Field("", description="`nats://host:4222`; empty for the embedded server.")
    nats_port: int = Field(8641, description="Loopback port of the embedded NATS server.")
    clickhouse_url: str = Field("", description="`http(s)://user@host:8123/database`; empty for the embedded store.")
    store_port: int = Field(8642, description="Loopback port of the embedded ClickHouse gateway.")
    postgres_url: str = Field("", description="`postgresql://user@host/database`; empty for the embedded server.")
    store_memory_bytes_max: int = Field(1_200_000_000, description="Memory the embedded ClickHouse may use.")
    query_memory_bytes_max: int = Field(600_000_000, description="Memory one query may use.")
    query_timeout_s: float = Field(30.0, description="Seconds one query may take.")
    nats_program: Path | None = Field(None, description="A NATS server program to use instead of the wheel's.")
    postgres_programs: Path | None = Field(None, description="Directory of `postgres` and `initdb`, not the wheel's.")
    nats_replicas: int = Field(1, ge=1, le=5, description="Copies of every stream; 3 on a cluster of three or more.")
    disk_free_bytes_min: int = Field(256 * MIB, description="Less free disk than this, and the bus takes nothing in.")


class RetentionSettings(Branch):
    """For how long each signal is kept."""

    metrics_days: int = Field(15, ge=1, description="Raw samples.")
    rollup_days: int = Field(365, ge=1, description="5-minute and 1-hour rollups.")
    logs_days: int = Field(30, ge=1, description="Log records.")
    traces_days: int = Field(7, ge=1, description="Spans.")
    events_days: int = Field(365, ge=1, description="Change events.")
    traces_spans_per_s_max: int = Field(
        0, ge=0, description="Spans a second of a tenant that are stored, odd traces first; 0 stores every span."
    )


class IntakeSettings(Branch):
    """What senders may send."""

    series_max: int = Field(1_000_000, description="Series a tenant may have; new ones beyond are refused one by one.")
    labels_max: int = Field(64, description="Labels a series may have.")
    label_bytes_max: int = Field(4096, description="Bytes of one label value or name.")
    future_s_max: float = Field(600.0, description="How far ahead of our clock a timestamp may lie.")
    past_s_max: float = Field(7 * DAY_S, description="How far behind our clock a timestamp may lie.")


class HostSettings(Branch):
    """The observer of the machine Cerebro runs on."""

    enabled: bool = Field(True, description="Observe this machine.")
    interval_s: float = Field(5.0, ge=1, description="Seconds between two looks.")
    processes_max: int = Field(20, description="How many of the busiest processes are told apart.")
    logs: bool = Field(True, description="Follow the journal or syslog.")


class SupportSettings(Branch):
    """The agent that watches telemetry."""

    noise_budget: float = Field(5.0, gt=0, description="False findings a week that people will bear, per tenant.")
    forgets: float = Field(
        1.0, ge=1,
        description="Times as fast as usual that a series having spoken is forgotten; drills put months in an hour.",
    )  # fmt: skip
    warmup_samples: int = Field(36, ge=8, description="Samples a series must show before it is judged.")
    snapshot_s: float = Field(60.0, description="Seconds between two snapshots of the detector's state.")
    series_max: int = Field(1_000_000, description="Series one detector watches; more are counted and left alone.")
    time_zone: str = Field("UTC", description="Whose days and weeks the seasons follow: Europe/Moscow, UTC.")
    holidays: str = Field("", description="ISO 3166 code of the country whose public holidays count as Sundays.")
    forecasts: tuple[str, ...] = Field(
        (), description='Selectors whose forecasts are exported as series, such as `queue.depth{queue="orders"}`.'
    )
    forecast_horizons_s: tuple[float, ...] = Field((3600.0, 21_600.0, 86_400.0), description="How far ahead each.")


class ScalingSettings(Branch):
    """Predictive scaling: what KEDA and the HPA ask."""

    keda_port: int = Field(0, ge=0, le=65535, description="Port of KEDA's external scaler (gRPC); 0 for none.")
    keda_host: str = Field("127.0.0.1", description="Its address; anything but loopback needs `http.tls_certificate`.")


class CaseworkSettings(Branch):
    """From findings to cases."""

    join_s: float = Field(300.0, description="A finding this close to a live case of its entity joins it.")
    hold_s: float = Field(60.0, description="Signals must stay clear this long before a case resolves itself.")
    reopen_s: float = Field(1800.0, description="A finding this soon after a case resolved reopens it.")
    silence_s_max: float = Field(7 * DAY_S, description="Longest silence anyone can ask for.")
    map_forget_s: float = Field(3600.0, gt=0, description="What was not seen for so long is no longer on the map.")
    map_days: int = Field(30, ge=1, description="For how long the past of the map is kept.")
    webhook_url: str = Field("", description="Case changes are posted here as JSON; empty for none.")
    webhook_secret: str = Field("", description="Key of the HMAC-SHA256 signature of each post.", repr=False)


class HandsSettings(Branch):
    """What Cerebro does about a case."""

    enabled: bool = Field(
        True, description="Propose actions for cases; what a person has approved is carried out regardless."
    )
    round_s: float = Field(2.0, ge=0.2, description="Seconds between two looks at cases and actions.")
    look_s: float = Field(30.0, ge=5, description="Over so long a stretch it is read what users feel.")
    usual_s: float = Field(300.0, ge=30, description="The stretch before a case that says what users are used to.")
    approval_s: float = Field(
        1800.0, ge=60, description="An action that after so long nobody has approved, or that has not begun, expires."
    )
    call_timeout_s: float = Field(30.0, ge=1, description="Longest wait for one call of an executor.")
    steady_s: float = Field(
        20.0, ge=0,
        description="A cause that is not nearly sure must be the likeliest for so long; the same holds of any, "
        "where what would be done cannot be taken back and nothing names the trouble outright.",
    )  # fmt: skip
    tries_max: int = Field(
        2, ge=1, description="Actions tried for one case; then it is escalated, if there is still something to mend."
    )
    give_up_s: float = Field(
        300.0, ge=0, description="A case that was not helped, and for which nothing else fits, is escalated after it."
    )
    entity_per_hour_max: int = Field(4, ge=1, description="Actions an hour on one entity.")
    tenant_per_hour_max: int = Field(30, ge=1, description="Actions an hour of one tenant.")
    under_way_max: int = Field(3, ge=1, description="Actions of one tenant under way at one time.")
    cool_down_share: float = Field(
        1.0, ge=0, le=1, description="Of a playbook's cool-down that is kept; drills put months into an hour and use 0."
    )
    share_max: float = Field(
        0.5, gt=0, le=1,
        description="Of a target's capacity, away at one time without asking; control doors have a level instead.",
    )  # fmt: skip
    share_min_safe: float = Field(0.3, ge=0, le=1, description="Share of the blame before a safe action by itself.")
    share_min_guarded: float = Field(0.4, ge=0, le=1, description="The same for a guarded one.")
    share_min_dangerous: float = Field(0.6, ge=0, le=1, description="The same for a dangerous one.")
    link_s: float = Field(900.0, ge=60, description="For so long a signed link approves an action.")
    link_key: str = Field("", description="Key that those links are signed with; the token key when empty.", repr=False)
    chat_url: str = Field(
        "", description="Slack's incoming webhook: what waits for approval is told there, and what is done.", repr=False
    )
    chat_secret: str = Field("", description="Signing secret of that Slack app: presses of buttons.", repr=False)
    chat_as: str = Field("", description="Login whose permissions a press has; without it there are no buttons.")


class LlmSettings(Branch):
    """Language models that may word what is proved. None by default: nothing is sent anywhere."""

    provider: str = Field(
        "", pattern="^(|openai|bedrock)$", description="`openai` (any compatible chat API), `bedrock`; empty for none."
    )
    url: str = Field("", description="Of the chat API, up to `/v1`; for Bedrock empty, or a private endpoint.")
    model: str = Field("", description="The model's name at the provider.")
    key: str = Field("", description="API key of the chat API.", repr=False)
    second_provider: str = Field("", pattern="^(|openai|bedrock)$", description="Asked when the first does not answer.")
    second_url: str = Field("", description="The same for the second provider.")
    second_model: str = Field("", description="The same for the second provider.")
    second_key: str = Field("", description="The same for the second provider.", repr=False)
    aws_region: str = Field("us-east-1", description="Region of Bedrock.")
    aws_access_key: str = Field("", description="Credential for Bedrock.", repr=False)
    aws_secret_key: str = Field("", description="Credential for Bedrock.", repr=False)
    aws_session_token: str = Field("", description="Third part of a temporary credential.", repr=False)
    timeout_s: float = Field(8.0, gt=0, le=60, description="Longest wait for one answer.")
    failures_max: int = Field(3, ge=1, description="Failures in a row after which a provider is left alone.")
    pause_s: float = Field(60.0, ge=1, description="For so long; then one question tries.")
    calls_per_case_max: int = Field(12, ge=1, description="Calls that one case may cost.")
    tokens_per_case_max: int = Field(40_000, ge=1000, description="Tokens that one case may cost, sent and received.")
    remember_s: float = Field(3600.0, ge=0, description="The same question is answered from memory for so long.")
    masked_names: str = Field(
        "", description="Names of people and customers to mask before anything leaves, with commas."
    )


class ReachSettings(Branch):
    """What playbooks can act on; each is off while its address is empty. Control doors are registered by REST."""

    kubernetes_url: str = Field("", description="`https://host:6443` of a cluster's API server.")
    kubernetes_token: str = Field("", description="Token of Cerebro's service account there.", repr=False)
    kubernetes_ca: Path | None = Field(None, description="PEM that the server's certificate is checked with.")
    kubernetes_namespace: str = Field("default", description="Where the deployments and pods are.")
    sql_url: str = Field("", description="`postgresql://user@host/database` for allowed statements.", repr=False)
    sql_target: str = Field("postgresql/main", description="The entity, `kind/name`, that this database is.")
    nats_url: str = Field("", description="`nats://user@host:4222`: streams to act on.", repr=False)
    unleash_url: str = Field("", description="Address of an Unleash flag service.")
    unleash_token: str = Field("", description="Token that may turn its flags.", repr=False)
    unleash_project: str = Field("default", description="Project of the flags.")
    unleash_environment: str = Field("production", description="Environment of the flags.")
    haproxy_socket: str = Field("", description="`unix:/run/haproxy/admin.sock` or `tcp://host:port`.")
    dns_address: str = Field(
        "", description="`host:port` of the primary DNS server of a zone, for weights of SRV records."
    )
    dns_zone: str = Field("", description="Name of that zone, `example.com`.")
    dns_key_name: str = Field("", description="Name of the TSIG key (HMAC-SHA256) that may update it.")
    dns_key: str = Field("", description="Secret of that key, base64.", repr=False)
    ssh_commands: str = Field("", description='As JSON: `{"free_journal": "journalctl --vacuum-size=1G"}`.')
    ssh_user: str = Field("cerebro", description="Who logs in to run them.")
    webhooks: str = Field("", description='Systems that act when called, as JSON: `{"ticketing": "https://…"}`.')
    webhook_secret: str = Field("", description="Key of the HMAC-SHA256 signature of those calls.", repr=False)


class AccessSettings(Branch):
    """Who may come in."""

    token_s: int = Field(900, description="Life of an access token, seconds.")
    refresh_s: int = Field(7 * DAY_S, description="Life of a refresh token, seconds.")
    token_key: str = Field(
        "",
        pattern=r"^(.{32,})?$",
        description="Key that access tokens are signed with, 32 letters or more; one for every replica.",
        repr=False,
    )
    requests_per_s: float = Field(200.0, description="Sustained requests a second of one credential, intake excepted.")
    intake_requests_per_s: float = Field(5000.0, description="The same for the intake doors.")
    login_attempts_max: int = Field(10, description="Failed logins of one name in 15 minutes before a pause.")


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/cerebro`; for root, a directory that the database's own user can reach."""
    if named := os.environ.get("CEREBRO_DATA_DIR"):
        return Path(named)
    if os.geteuid() == 0 and "XDG_DATA_HOME" not in os.environ:
        return Path("/var/lib/cerebro")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cerebro"


def default_runtime_dir() -> Path:
    """A short path: a Unix socket's may have 107 bytes."""
    if os.geteuid() == 0:
        return Path("/run/cerebro")
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / "cerebro"
    return Path(f"/tmp/cerebro-{os.geteuid()}")  # noqa: S108  made with mode 0700 and checked for its owner


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="CEREBRO_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(default_factory=default_data_dir, description="Everything that is kept.")
    runtime_dir: Path = Field(default_factory=default_runtime_dir, description="Sockets; a short path.")
    config: Path | None = Field(None, description="The TOML file with settings.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least level that is logged.")
    http: HttpSettings = HttpSettings()
    engines: EngineSettings = EngineSettings()
    retention: RetentionSettings = RetentionSettings()
    intake: IntakeSettings = IntakeSettings()
    host: HostSettings = HostSettings()
    support: SupportSettings = SupportSettings()
    scaling: ScalingSettings = ScalingSettings()
    casework: CaseworkSettings = CaseworkSettings()
    hands: HandsSettings = HandsSettings()
    reach: ReachSettings = ReachSettings()
    access: AccessSettings = AccessSettings()
    llm: LlmSettings = LlmSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over file."""
        file = Path(os.environ.get("CEREBRO_CONFIG") or default_data_dir() / "cerebro.toml")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def load_settings() -> Settings:
    """Read the settings from the file and the environment.

    Raises:
        Invalid: A name is unknown or a value does not fit; the detail names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Invalid(f"The settings do not fit: {faults}.", "docs/reference/settings.md lists them all.") from error


def datasets_dir() -> Path | None:
    """The folder of public data sets that benchmarks read, where `CEREBRO_DATASETS` names one."""
    named = os.environ.get("CEREBRO_DATASETS", "")
    return Path(named) if named else None


def child_environment(**extra: str) -> dict[str, str]:
    """This process's environment with `extra` over it, for a child to be started with."""
    return os.environ | extra


def as_environment(settings: Settings) -> dict[str, str]:
    """This process's environment with exactly these settings in it, for a child of ours."""
    branches = settings.model_dump(mode="json")
    named = {f"CEREBRO_{name.upper()}": value for name, value in branches.items() if not isinstance(value, dict)}
    for branch, fields in branches.items():
        if isinstance(fields, dict):
            named |= {f"CEREBRO_{branch.upper()}__{name.upper()}": value for name, value in fields.items()}
    return child_environment(
        **{
            name: json.dumps(value) if isinstance(value, list) else str(value)
            for name, value in named.items()
            if value is not None
        }
    )
