"""Settings: where state lives and how Weighbridge runs, from `WEIGHBRIDGE_*` environment variables.

They are read on request, never at import. Not here: credentials, which `auth` names (credentials) and environment
variables, files or blocks hold.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from weighbridge.config.environment import (
    PREFIX,
    ListsInEnvironment,
    example,
    holds_password,
    mistake,
    refuse_misspelt,
    variable,
)
from weighbridge.domain.access import Role
from weighbridge.domain.bundle_keys import PUBLIC_KEY
from weighbridge.domain.mirror import OCI_PATH
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.source_kinds import record_of
from weighbridge.errors import InvalidConfiguration
from weighbridge.net.addresses import AddressPolicy, PolicySettings, is_loopback, service_of

Hosts = Annotated[tuple[str, ...], Field(min_length=1)]
KeyName = Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY)]
#: Settings whose URLs may hold a user and a password: no repr shows them, and each use removes both first.
_MAY_HOLD_PASSWORDS = frozenset({"catalog_url", "mlflow_tracking_uri", "pypi_index"})


class Settings(BaseSettings):
    """How Weighbridge runs; each field is `WEIGHBRIDGE_<FIELD>` in the environment.

    Raises:
        InvalidConfiguration: a variable has an invalid value, or its name is almost that of a setting.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    def __init__(self, **values: Any) -> None:
        fields = type(self).model_fields
        refuse_misspelt(fields)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise mistake(error, {name: example(name, field.default) for name, field in fields.items()}) from error
        except SettingsError as error:
            name = next((name for name in fields if f'"{name}"' in str(error)), "")
            raise InvalidConfiguration(
                f"{variable(name)} is not valid JSON.", f"For example: {example(name, '')}", name=variable(name)
            ) from error

    @field_validator("*", mode="before")
    @classmethod
    def refuse_passwords(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse a URL with a user or a password in settings that messages and databases show."""
        if field.field_name not in _MAY_HOLD_PASSWORDS and holds_password(str(value)):
            raise ValueError("its address holds a user or a password, which would be shown; `auth` names their place")
        return value

    @field_validator("issuer")
    @classmethod
    def refuse_unprotected(cls, value: str) -> str:
        """Refuse an issuer whose keys others on the way could replace, or that is no plain address."""
        parts = urlsplit(value)
        if value and not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("it does not begin with https://, so that anybody on the way could make tokens")
        if value and (not parts.hostname or parts.query or parts.fragment):
            raise ValueError("it is not the address of an issuer")
        return value

    @field_validator("issuer_audiences", "issuer_roles")
    @classmethod
    def require_for_issuer(cls, value: Any, field: ValidationInfo) -> Any:
        """Require what decides which tokens of the issuer are accepted, and as what."""
        if field.data.get("issuer") and not value:
            raise ValueError("it is missing, so that no token of WEIGHBRIDGE_ISSUER could be accepted")
        return value

    @field_validator("mirror_prefix")
    @classmethod
    def refuse_one_path(cls, value: str, field: ValidationInfo) -> str:
        """Refuse paths of API and mirror of which one is below the other."""
        prefixes = f"{field.data.get('api_prefix', '')}/", f"{value}/"
        if prefixes[0] != "/" and (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])):
            raise ValueError("it is below the path of the API, or the other way round")
        if any(prefix.startswith(f"{OCI_PATH}/") for prefix in prefixes):
            raise ValueError(f"{OCI_PATH} is the path of clients of OCI registries, for API and mirror alike")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def refuse_other_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is not a network before the first message is sent."""
        for network in value:
            ip_network(network, strict=False)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of values: the arguments, then the environment."""
        return init_settings, ListsInEnvironment(settings_cls)

    home: Path = Field(Path("~/.weighbridge"), description="Folder of all state: blobs, catalog, embedded registry.")
    store: Path | None = Field(None, description="Folder of the blobs, on one file system; below home by default.")
    catalog_url: str = Field("", repr=False, description="SQLAlchemy URL of the catalog; empty for SQLite below home.")
    catalog_timeout_s: float = Field(30.0, gt=0, description="Seconds to wait for another process's lock.")
    mlflow_tracking_uri: str = Field(
        "", repr=False, description="MLflow server; empty for the embedded registry below home."
    )
    clamd: str = Field("", description="unix:/path or tcp://host:port of a clamd; empty to start a private one.")
    clamd_limit: int = Field(
        25 * 1024**2,
        ge=1024,
        description="Bytes that this clamd surely takes whole: its MaxFileSize and StreamMaxLength.",
    )
    clamav_database: Path | None = Field(None, description="Folder of signatures for the private clamd.")
    policy: str = Field("", description="Preset or policy file; empty for ./policy.yaml, else the preset standard.")
    request_policies: tuple[str, ...] = Field(
        (),
        description="Presets and policy files that a run on behalf of others may choose although they are weaker than "
        "the operator's policy; none by default.",
    )
    shared_names: tuple[str, ...] = Field(
        (),
        description="Patterns of model names that a run on behalf of others may go on with from another source than "
        "the one they were first taken from; none by default.",
    )
    registries: tuple[str, ...] = Field(("mlflow",), description="Registries that what passed is published to.")
    hard_links: bool = Field(
        False,
        description="Whether registries give out blobs under a second name, which saves their space and lets programs "
        "of the blobs' owner change the store; never for root.",
    )
    huggingface_endpoint: str = Field("", description="Hub to ask; empty for HF_ENDPOINT, else huggingface.co.")
    pypi_index: str = Field(
        "", repr=False, description="Package index to ask; empty for PIP_INDEX_URL, else the public one."
    )
    mlflow_source: str = Field("", description="MLflow server that models come from; empty for MLFLOW_TRACKING_URI.")
    s3_endpoint: str = Field("", description="S3-compatible storage; empty for AWS's own and its variables.")
    ollama_registry: str = Field("", description="Registry of Ollama's models; empty for registry.ollama.ai.")
    allowed_hosts: tuple[str, ...] = Field((), description="Patterns of hosts that may be asked; empty for any.")
    allowed_schemes: tuple[str, ...] = Field(("https", "http"), description="Schemes of URLs that may be asked.")
    private_networks: tuple[str, ...] | None = Field(
        None,
        description="Networks that are not public and may be asked all the same, as 10.0.0.0/8; unset: any on the "
        "command line, none for a run that a worker takes.",
    )
    token_places: dict[str, Hosts] = Field(
        {},
        description="Variables and files that a run on behalf of others may name as token_env and token_file, each "
        'with the hosts that its secret may go to: {"HF_TOKEN": ["huggingface.co"]}; none by default.',
    )
    cache_limit: ByteSize = Field(
        ByteSize(0),
        description="Bytes that the store may have, as 50GB: above that, what nothing needs goes, the oldest first; 0 "
        "for no limit.",
    )
    cache_unused_days: float = Field(
        0.0,
        ge=0,
        le=36_500,
        description="Days after which, above that limit, also versions go that only the mirror took in and that nobody "
        "asked it for; 0 keeps them.",
    )
    file_roots: tuple[Path, ...] = Field(
        (), description="Folders that a run on behalf of others may take models from by file:/path; none by default."
    )
    connections: int = Field(4, ge=1, le=64, description="Files of one model received side by side.")
    scan_slots: int = Field(0, ge=0, le=256, description="Blobs scanned side by side; 0 for one a processor core.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds without a byte after which a connection is dead.")
    lowest_speed: int = Field(
        1024, ge=0, description="Bytes a second, over those seconds, below which a server counts as dead."
    )
    max_unpromised_size: int = Field(
        512 * 1024**2, ge=1, description="Bytes that a file may have whose server does not say how many it has."
    )
    max_transfer_s: float = Field(
        24 * 3600.0, gt=0, description="Seconds that receiving one file may take; the same command then resumes."
    )
    max_redirects: int = Field(5, ge=0, description="Redirects that one request may follow.")
    via: Literal["auto", "direct", "prefect"] = Field(
        "auto", description="How the command line runs flows: through Prefect, directly, or as PREFECT_API_URL says."
    )
    benchmark_data: dict[str, Path] = Field(
        {},
        description="Files and folders that benchmarks read instead of data sets of the Hub, by name: "
        '{"speech": "/srv/speech.wav", "mmlu": "/srv/mmlu"}; a run may name others.',
    )
    task_runner: Literal["threads", "dask", "ray"] = Field(
        "threads", description="What spreads the benchmarks of a run over devices: the worker's threads, or a cluster."
    )
    task_cluster: str = Field("", description="Address of that cluster; empty to start one on this machine.")
    serve_host: str = Field(
        "127.0.0.1", description="Address that `serve` listens on; 0.0.0.0 for all of IPv4, :: for all of IPv6."
    )
    serve_port: int = Field(8080, ge=0, le=65535, description="Port that `serve` listens on; 0 for a free one.")
    serve_jobs: int = Field(
        2, ge=0, le=64, description="Models that a process of `serve` takes in at once; 0 leaves it to other processes."
    )
    job_lease_s: float = Field(
        30.0, ge=1, description="Seconds after which the work of a process that was killed goes on in another one."
    )
    job_retention_days: float = Field(
        90.0, ge=0, le=36_500, description="Days after which `serve` deletes jobs that have ended; 0 keeps them."
    )
    serve_proxies: tuple[str, ...] = Field(
        (), description="Addresses of reverse proxies that are believed where a request comes from; none by default."
    )
    serve_names: tuple[str, ...] = Field(
        (),
        description="Patterns of names by which `serve` may be called, besides this machine's own; empty for no others "
        "where it listens on this machine only, and for any elsewhere.",
    )
    max_waiting_jobs: int = Field(1000, ge=1, description="Jobs of `serve` that may wait at once.")
    max_waiting_jobs_each: int = Field(100, ge=1, description="Those of them that may be one caller's.")
    max_streams: int = Field(200, ge=1, description="Event streams that a process of `serve` keeps open at once.")
    max_streams_each: int = Field(10, ge=1, description="Those of them that may be one caller's.")
    api_prefix: str = Field("/api", pattern=r"^(/[\w.~-]+)*$", description="Path that the registry's API is below.")
    mirror_prefix: str = Field(
        "/huggingface",
        pattern=r"^(/[\w.~-]+)+$",
        description="Path that the mirror for clients of the Hugging Face Hub is below.",
    )
    mirror_config: Path | None = Field(
        None, description="YAML file of the mirror of the Hugging Face Hub: upstreams, and what a miss does."
    )
    api_reading: Literal["", "open", "closed"] = Field(
        "",
        description="Whether the API can be read without a key; empty: where it listens on this machine only, and "
        "serve_proxies and serve_names do not let others in.",
    )
    serve_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s]+[^?#\s]*)?$",
        description="Address at which others reach `serve`, without the API's path; links in webhooks begin with it.",
    )
    serve_deliveries: int = Field(
        4,
        ge=0,
        le=64,
        description="Messages that a process of `serve` sends at once; 0 leaves them to other processes.",
    )
    webhook_secret: str = Field(
        "",
        repr=False,
        pattern=r"^(\S{24,})?$",
        description="Secret of which those of webhooks are derived, the same on every server of a catalog; empty for "
        "that of the file webhook-secret below home.",
    )
    webhook_schemes: tuple[str, ...] = Field(("https",), description="Schemes of receivers' URLs: https, http.")
    webhook_hosts: tuple[str, ...] = Field((), description="Patterns of receivers' hosts; empty for any.")
    webhook_networks: tuple[str, ...] = Field(
        (), description="Networks that are not public and may have receivers, as 10.0.0.0/8; none by default."
    )
    webhook_timeout_s: float = Field(15.0, gt=0, le=60, description="Seconds within which a receiver has to answer.")
    webhook_retries_s: tuple[Annotated[float, Field(ge=0, le=30 * 24 * 3600)], ...] = Field(
        (5, 300, 1800, 7200, 18000, 36000, 36000),
        description="Seconds before each further attempt to deliver a message, which is given up after the last.",
    )
    bundle_key_file: Path | None = Field(
        None, description="File of the private key that bundles are signed with; empty for bundle-key below home."
    )
    trusted_bundle_keys: dict[KeyName, PublicKey] = Field(
        {},
        description="Public keys of other installations, by a name for each, whose scans in bundles count here: "
        '{"office": "ed25519:…"}; none by default.',
    )
    api_max_body: int = Field(1024**2, ge=1024, description="Bytes that the body of a request may have.")
    issuer: str = Field(
        "", description="URL of the OpenID Connect issuer whose bearer tokens `serve` accepts; empty for keys alone."
    )
    issuer_audiences: tuple[str, ...] = Field(
        (), validate_default=True, description="Audiences of its tokens, one of which each must have: this registry."
    )
    issuer_roles: dict[str, Role] = Field(
        {},
        validate_default=True,
        description='Role for each value of the role claim: {"ml-admins": "admin", "staff": "reader"}.',
    )
    issuer_role_claim: str = Field(
        "roles", min_length=1, description="Claim with roles or groups; `realm_access.roles` for one within another."
    )
    issuer_models_claim: str = Field(
        "", description="Claim with patterns of the models that the role holds for; empty where it holds for all."
    )
    issuer_subject_claim: str = Field("sub", min_length=1, description="Claim with the caller's name.")
    issuer_leeway_s: float = Field(
        30.0, ge=0, le=300, description="Seconds by which the clocks of issuer and server may differ."
    )

    @property
    def folder(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().absolute()

    @property
    def store_folder(self) -> Path:
        """The folder of the blobs."""
        return self.store.expanduser().absolute() if self.store else self.folder / "store"

    @property
    def converted_folder(self) -> Path:
        """The folder of GGUF weights that were converted to safetensors; it may be deleted at any time."""
        return self.folder / "cache" / "converted"

    @property
    def benchmark_files(self) -> dict[str, str]:
        """`benchmark_data` with absolute paths."""
        return {name: str(path.expanduser().absolute()) for name, path in self.benchmark_data.items()}

    @property
    def database_url(self) -> str:
        """The catalog's SQLAlchemy URL."""
        return self.catalog_url or f"sqlite:///{self.folder / 'catalog.db'}"

    @property
    def slots(self) -> int:
        """Blobs scanned side by side."""
        return self.scan_slots or os.cpu_count() or 1

    def endpoint(self, kind: str) -> str:
        """Return the configured base URL for a source kind, or empty for the source's default.

        Raises:
            InvalidConfiguration: another program's variable names it with a user or a password.
        """
        record = record_of(kind)
        setting, other = record.endpoint_setting, record.endpoint_variable
        found: str = getattr(self, setting) if setting else ""
        found = found or (os.environ.get(other, "") if other else "")
        if setting not in _MAY_HOLD_PASSWORDS and holds_password(found):
            raise InvalidConfiguration(
                f"The address in {other} holds a user or a password, which would be shown.",
                "Take them out of it, and name their place with --token-env, --token-file or `auth` in models.yaml.",
                name=other,
            )
        return found

    def addresses(self, kind: str, *, on_behalf: bool, endpoint: str = "") -> AddressPolicy:
        """Return the addresses to which a source may send requests.

        Args:
            kind: the source kind; the service that a setting names for it may have any address.
            on_behalf: whether another person than the user of this process chose the model.
            endpoint: the service that a file of the operator names in the place of the setting's.
        """
        private = () if on_behalf and self.private_networks is None else self.private_networks
        named = service_of(endpoint or self.endpoint(kind))
        trusted = (named,) if named else ()
        return AddressPolicy(self.allowed_hosts, self.allowed_schemes, private, trusted, for_others=on_behalf)

    @property
    def webhook_addresses(self) -> AddressPolicy:
        """The addresses to which messages of webhooks may be sent."""
        names = PolicySettings(*map(variable, ("webhook_hosts", "webhook_schemes", "webhook_networks")))
        hosts, schemes, networks = self.webhook_hosts, self.webhook_schemes, self.webhook_networks
        return AddressPolicy(hosts, schemes, networks, settings=names, for_others=True)

    @property
    def issuer_addresses(self) -> AddressPolicy:
        """The addresses to which the keys of the issuer may lead."""
        return AddressPolicy(
            self.allowed_hosts, self.allowed_schemes, self.private_networks, (service_of(self.issuer),)
        )

    def is_own_name(self, host: str) -> bool:
        """Return whether `serve` answers requests that call it by a name or an address, in lowercase."""
        if is_loopback(host) or any(matches(host, name.lower()) for name in self.serve_names):
            return True
        return not self.serve_names and not is_loopback(self.serve_host)

    @property
    def reading_is_open(self) -> bool:
        """Return whether the API can be read without a key."""
        others = self.serve_proxies or self.serve_names or not is_loopback(self.serve_host)
        return self.api_reading == "open" or (self.api_reading == "" and not others)

    @property
    def source_roots(self) -> tuple[Path, ...]:
        """`file_roots`, absolute and without links."""
        return tuple(root.expanduser().resolve() for root in self.file_roots)
