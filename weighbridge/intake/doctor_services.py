"""The doctor's checks of services: those that models come from, at which models of models.yaml work, and the issuer.

Not here: what a service is asked (sources, net.openai.endpoint), and the registries (doctor).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from weighbridge.config.mirror_file import mirror_of
from weighbridge.config.models_file import ModelEntry, read_models
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import MODELS_FILE
from weighbridge.domain.source_kinds import KINDS, record_of
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.doctor_check import DoctorCheck, Examination, State
from weighbridge.intake.issuer import issuer_of
from weighbridge.net.auth import Auth
from weighbridge.net.credentials import read_auth, upstream_auth
from weighbridge.net.openai.endpoint import OpenAIEndpoint
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import open_source
from weighbridge.sources.interface import Service, Source

#: The most services that are asked: each takes a thread.
_MOST = 64
#: The source kind by which a Hub is asked.
_HUB_KIND = "huggingface"
#: Variables that say that this machine has keys for AWS.
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")


def service_examinations(settings: Settings, limit_s: float) -> list[Examination]:
    """Return an examination of each service that the settings and ./models.yaml name, and of the public ones.

    One that nobody named, such as the public Hub, is worth a warning where it cannot be reached. Services with
    credentials in a Prefect block are left to the runs that may read it.

    Args:
        settings: the settings.
        limit_s: seconds that a service may take.
    """
    entries: tuple[ModelEntry, ...] = ()
    models, broken = Path(MODELS_FILE), []
    try:
        entries = read_models(models) if models.exists() else ()
    except WeighbridgeError as error:
        broken.append(Examination(models.name, partial(_raise, error)))
    named = (*_issuer(settings, limit_s), *_mirror(settings, limit_s), *_sources(settings, entries, limit_s))
    return [*broken, *named, *_upstreams(entries, limit_s)][:_MOST]


def _mirror(settings: Settings, limit_s: float) -> Iterator[Examination]:
    """Yield an examination of each Hub of the mirror's file."""
    hub = settings.endpoint(_HUB_KIND) or DEFAULT_ENDPOINT
    try:
        upstreams = mirror_of(settings).upstreams if settings.mirror_config else ()
        for upstream in upstreams:
            if not upstream.auth.block:
                endpoint, auth = upstream.base_url or hub, upstream_auth(upstream, _HUB_KIND, hub)
                auth = read_auth(AuthPlace(), _HUB_KIND, hub) if auth is None else auth
                source = open_source(_HUB_KIND, _settings(settings, _HUB_KIND, auth, endpoint, limit_s))
                assert isinstance(source, Service)
                yield Examination("mirror", partial(_greeted, "mirror", endpoint, source, None), limit_s, endpoint)
    except WeighbridgeError as error:
        yield Examination("mirror", partial(_raise, error))


def _sources(settings: Settings, entries: Sequence[ModelEntry], limit_s: float) -> Iterator[Examination]:
    seen: set[tuple[object, ...]] = set()
    for kind, place, ref in _places(entries):
        what = f"source {kind}"
        try:
            endpoint = settings.endpoint(kind)
            auth = read_auth(place, kind, endpoint)
            source = open_source(kind, _settings(settings, kind, auth, endpoint, limit_s))
        except WeighbridgeError as error:
            if (kind, place) not in seen:  # Models whose secret is at another place can be taken in all the same.
                seen.add((kind, place))
                yield Examination(what, partial(_raise, error), failed="warning" if ref else "missing")
            continue
        try:
            where = _address(source, ref)
        except WeighbridgeError as error:  # No model comes from such an address.
            if (kind, str(error)) not in seen:
                seen.add((kind, str(error)))
                yield Examination(what, partial(_raise, error))
            continue
        key = (record_of(kind).endpoint_setting, where, place)
        if where and isinstance(source, Service) and key not in seen:
            seen.add(key)
            failed: State = "missing" if ref or settings.endpoint(kind) else "warning"
            yield Examination(what, partial(_greeted, what, where, source, ref), limit_s, where, failed)


def _address(source: Source, ref: ModelRef | None) -> str:
    """Return the address of a source's service; AWS has none of its own, and is asked where there are keys for it."""
    where = source.service(ref) if isinstance(source, Service) else ""
    return "AWS" if source.kind == "s3" and not where and any(name in os.environ for name in _AWS_KEYS) else where


def _places(entries: Sequence[ModelEntry]) -> Iterator[tuple[str, AuthPlace, ModelRef | None]]:
    """Yield kind, place of credentials and model: of each kind for the settings' service, then of models.yaml."""
    for setting in dict.fromkeys(record.endpoint_setting for record in KINDS.values() if record.endpoint_setting):
        kind = next(name for name, record in KINDS.items() if record.endpoint_setting == setting)
        yield kind, AuthPlace(), None
    for request in (entry.request() for entry in entries if not entry.skip_download):
        if record_of(request.ref.kind).endpoint_setting and not request.auth.block:
            yield request.ref.kind, request.auth, request.ref


def _settings(settings: Settings, kind: str, auth: Auth, endpoint: str, limit_s: float) -> SourceSettings:
    return SourceSettings(
        auth=auth,
        endpoint=endpoint,
        timeout_s=2 * limit_s,  # The examination ends first, with the same words for every service.
        max_redirects=settings.max_redirects,
        addresses=settings.addresses(kind, on_behalf=False, endpoint=endpoint),
        retrying=Retrying(attempts=1),
    )


def _greeted(what: str, where: str, source: Service, ref: ModelRef | None) -> Iterator[DoctorCheck]:
    words = source.greet(ref)
    yield DoctorCheck(what, "ok", f"{where}: {words}" if words else where)


def _raise(error: WeighbridgeError) -> Iterator[DoctorCheck]:
    raise error


def _issuer(settings: Settings, limit_s: float) -> Iterator[Examination]:
    if settings.issuer:
        yield Examination("issuer", partial(_has_keys, settings), limit_s, settings.issuer)


def _has_keys(settings: Settings) -> Iterator[DoctorCheck]:
    issuer = issuer_of(settings)
    assert issuer is not None
    keys = issuer.greet()
    if keys:
        yield DoctorCheck("issuer", "ok", f"{settings.issuer}: {keys}")
    else:
        yield DoctorCheck("issuer", "missing", f"{settings.issuer} has no key that verifies tokens")


def _upstreams(entries: Sequence[ModelEntry], limit_s: float) -> Iterator[Examination]:
    named = ((entry.upstream_base_url, entry.upstream_api_key_env) for entry in entries if entry.upstream_base_url)
    for url, key in dict.fromkeys(named):
        try:
            endpoint = OpenAIEndpoint(url, key, timeout_s=2 * limit_s)
        except WeighbridgeError as error:
            yield Examination("upstream", partial(_raise, error))
            continue
        yield Examination("upstream", partial(_answered, endpoint), limit_s, endpoint.url)


def _answered(endpoint: OpenAIEndpoint) -> Iterator[DoctorCheck]:
    endpoint.greet()
    endpoint.close()
    yield DoctorCheck("upstream", "ok", endpoint.url)
