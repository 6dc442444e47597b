"""The settings of `serve` and of what it sends: its address, the API, the mirror, jobs, webhooks, and who may enter.

Not here: how the environment is read, and the settings of the work itself (config.settings).
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from weighbridge.config.environment import PREFIX, variable
from weighbridge.domain.access import Role
from weighbridge.domain.mirror import OCI_PATH
from weighbridge.domain.name_patterns import matches
from weighbridge.net.addresses import AddressPolicy, PolicySettings, is_loopback


class ServingSettings(BaseSettings):
    """How `serve` runs; a part of `Settings`, which reads them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

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
    def webhook_addresses(self) -> AddressPolicy:
        """The addresses to which messages of webhooks may be sent."""
        names = PolicySettings(*map(variable, ("webhook_hosts", "webhook_schemes", "webhook_networks")))
        hosts, schemes, networks = self.webhook_hosts, self.webhook_schemes, self.webhook_networks
        return AddressPolicy(hosts, schemes, networks, settings=names, for_others=True)

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
