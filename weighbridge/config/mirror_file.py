"""The mirror's file: the Hubs that `serve` stands for, and what it does on a miss, as YAML (spec 2).

```yaml
backends:
  - type: huggingface
    config: {prefix: /huggingface/, base_url: https://huggingface.co, token: "${HF_TOKEN}", timeout: 120}
```

Not here: what each field means (domain.mirror).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from weighbridge.config.environment import holds_password
from weighbridge.config.expansion import expanded
from weighbridge.config.settings import Settings
from weighbridge.config.source_factories import FieldPlace
from weighbridge.config.source_options import AuthOptions, Text, WebAddress
from weighbridge.config.yaml_file import YamlFile
from weighbridge.domain.access import checked_models
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.mirror import MAX_AGE_S, OCI_PATH, MirrorMode, MirrorSettings, Starter, Upstream
from weighbridge.domain.text import shown
from weighbridge.errors import InvalidConfiguration, UsageError
from weighbridge.net.addresses import is_loopback
from weighbridge.net.auth import Auth

TYPE = "huggingface"
_BACKENDS, _CACHE = "backends", "cache_dir"
#: Fields that other proxies have in such a file, each with what takes its place here.
_ELSEWHERE = {
    "host": "WEIGHBRIDGE_SERVE_HOST or `serve --host` says where it listens",
    "port": "WEIGHBRIDGE_SERVE_PORT or `serve --port` says where it listens",
    "chunk_size": "how large the pieces are that are read at once is fixed",
}


def _prefix(value: str) -> str:
    path = value.rstrip("/")
    if not path.startswith("/") or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("write a path below which the mirror is, such as /huggingface/")
    if not all(sign.isascii() and (sign.isalnum() or sign in "/_.~-") for sign in path):
        raise ValueError("a path of letters, digits and _ . ~ - needs no encoding, and no other is understood")
    if f"{path}/".startswith(f"{OCI_PATH}/"):
        raise ValueError(f"{OCI_PATH} is the path of clients of OCI registries; write another one")
    return path


def _address(value: str) -> str:
    if holds_password(value):
        raise ValueError("it holds a user or a password, which would be shown; `auth` names the place of a token")
    return value.rstrip("/")


def _is_private(address: str) -> bool:
    """Return whether nobody on the way to an address reads what is sent there."""
    parts = urlsplit(address)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _token(value: str) -> str:
    try:
        return Auth(value.strip()).token
    except InvalidConfiguration as error:
        raise ValueError("it holds a line break, or letters beyond ASCII, so that it cannot be sent") from error


def _patterns(values: list[str]) -> list[str]:
    try:
        return list(checked_models(values))
    except UsageError as error:
        raise ValueError(error.problem) from error


def _given(value: Any, otherwise: Any) -> Any:
    """Return another value for null, which YAML reads where what follows a field is commented out."""
    return otherwise if value is None else value


Pattern = Annotated[Text, AfterValidator(lambda value: _patterns([value])[0])]
Token = Annotated[str, BeforeValidator(lambda value: _given(value, "")), AfterValidator(_token)]


class _HubConfig(BaseModel):
    """`config` of a backend."""

    model_config = ConfigDict(extra="forbid")
    prefix: Annotated[Text, AfterValidator(_prefix)] | None = None
    base_url: Annotated[WebAddress, AfterValidator(_address)] | None = None
    token: Token = Field("", repr=False)
    auth: AuthOptions | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_redirects: Annotated[int, Field(ge=0)] | None = None
    names: Annotated[list[Text], Field(min_length=1), AfterValidator(_patterns)] = ["*"]
    mode: MirrorMode = "catalog"
    modes: dict[Pattern, MirrorMode] = {}
    ingest_by: Starter = "reader"
    show_refused: bool = False
    max_age: Annotated[float, Field(ge=0, allow_inf_nan=False)] = MAX_AGE_S
    follow: bool = False
    xet_above: Annotated[int, Field(ge=0)] | None = None
    pass_tokens: bool = False

    @model_validator(mode="after")
    def _fits(self) -> _HubConfig:
        if self.token and self.auth is not None:
            raise ValueError("token and auth name two tokens: keep one of them")
        if self.follow and "gated" not in (self.mode, *self.modes.values()):
            raise ValueError("follow is about the mode gated, which neither mode nor modes have here; leave it out")
        if self.pass_tokens and not _is_private(self.base_url or ""):
            raise ValueError("pass_tokens sends clients' tokens to the Hub of base_url: name it, and with https://")
        return self

    def upstream(self) -> Upstream:
        """The value of this backend."""
        auth = self.auth or AuthOptions.model_construct()
        return Upstream(
            names=tuple(self.names),
            base_url=self.base_url or "",
            token=self.token,
            auth=AuthPlace(auth.token_env, auth.token_file, auth.block),
            timeout_s=self.timeout,
            max_redirects=self.max_redirects,
            mode=self.mode,
            modes=tuple(self.modes.items()),
            ingest_by=self.ingest_by,
            show_refused=self.show_refused,
            max_age_s=self.max_age,
            follow=self.follow,
            pass_tokens=self.pass_tokens,
            xet_above=self.xet_above,
        )


def mirror_of(settings: Settings) -> MirrorSettings:
    """Return how the file that the setting `mirror_config` names has the mirror; without one, it serves what passed.

    Raises:
        InvalidConfiguration: the file cannot be read, or a value in it is wrong; the message names file, line and
            field. Or the mirror and the API have the same path.
    """
    if settings.mirror_config is None:
        return MirrorSettings(settings.mirror_prefix)
    path = settings.mirror_config.expanduser().absolute()
    mirror = read_mirror(path, os.environ, settings)
    if _overlap(mirror.prefix, settings.api_prefix):
        raise InvalidConfiguration(
            f"{path}: the prefix “{mirror.prefix}/” and the API's path “{settings.api_prefix}” overlap.",
            "Write another prefix, such as /huggingface/.",
            path=str(path),
        )
    return mirror


def refuse_passed_tokens(mirror: MirrorSettings, settings: Settings) -> None:
    """Raise InvalidConfiguration where tokens are passed on by a server that everybody may read (docs/adr/0024)."""
    if settings.reading_is_open and any(upstream.pass_tokens for upstream in mirror.upstreams):
        raise InvalidConfiguration(
            f"{settings.mirror_config}: pass_tokens shows a model to those tokens alone that its Hub lets read it, and "
            "this server shows the whole catalog to everybody.",
            "Set WEIGHBRIDGE_API_READING=closed, or leave pass_tokens out.",
        )


def _overlap(prefix: str, api_prefix: str) -> bool:
    return f"{api_prefix}/".startswith(f"{prefix}/") or f"{prefix}/".startswith(f"{api_prefix}/")


def read_mirror(path: Path, variables: Mapping[str, str], settings: Settings) -> MirrorSettings:
    """Read a mirror's file.

    Args:
        path: the file.
        variables: those that its values may name.
        settings: what counts where the file says nothing; the folder of the blobs takes the place of `cache_dir`.

    Raises:
        InvalidConfiguration: it cannot be read, or a value in it is wrong; the message names file, line and field.
    """
    file = YamlFile.read(path)
    top = FieldPlace(file, ())
    if not isinstance(file.content, Mapping):
        raise top.problem(f"the file is a mapping with `{_BACKENDS}`")
    _refuse_unknown(file.content, (_BACKENDS, _CACHE), top)
    content = expanded(file.content, top, variables)
    backends = content.get(_BACKENDS)
    if not isinstance(backends, list) or not backends:
        raise (top / _BACKENDS).problem(f"it is a list with at least one backend of the type {TYPE}")
    configs = [_config(backend, top / _BACKENDS / number) for number, backend in enumerate(backends)]
    prefix = next((config.prefix for config in configs if config.prefix), settings.mirror_prefix)
    _refuse_unreachable(configs, prefix, top / _BACKENDS)
    upstreams = tuple(config.upstream() for config in configs)
    written = any(_is_written(backend) for backend in file.content[_BACKENDS])
    notes = (*_cache_note(content.get(_CACHE), settings.store_folder), *_token_note(path, written=written))
    return MirrorSettings(prefix, upstreams, notes)


def _config(backend: Any, place: FieldPlace) -> _HubConfig:
    if not isinstance(backend, Mapping):
        raise place.problem(f"a backend has a type, {TYPE}, and its config")
    _refuse_unknown(backend, ("type", "config"), place)
    if backend.get("type") != TYPE:
        raise (place / "type").problem(f"there is no backend of this type here; the mirror has {TYPE}")
    config = _given(backend.get("config"), {})
    if isinstance(config, Mapping):
        _refuse_unknown(config, tuple(_HubConfig.model_fields), place / "config")
    return place.file.validate(_HubConfig, config, (place / "config").location)


def _refuse_unknown(content: Mapping[Any, Any], known: Sequence[str], place: FieldPlace) -> None:
    for key in content:
        if key in known:
            continue
        if key in _ELSEWHERE:
            raise (place / key).problem(f"leave it out: {_ELSEWHERE[key]}")
        near = get_close_matches(str(key), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise (place / key).problem(f"there is no such field; {hint}")


def _refuse_unreachable(configs: Sequence[_HubConfig], prefix: str, place: FieldPlace) -> None:
    """Refuse several prefixes, and a backend whose repositories are all those of an earlier one."""
    for number, config in enumerate(configs[1:], 1):
        if config.prefix not in (None, prefix):
            raise (place / number / "config" / "prefix").problem(
                f"every backend is below one prefix, {prefix}/; `names` says which repositories each of them has"
            )
        earlier = {pattern for before in configs[:number] for pattern in before.names}
        if "*" in earlier or earlier.issuperset(config.names):
            raise (place / number).problem(
                "an earlier backend has all of its repositories: give this one other `names`, or write it before that"
            )


def _is_written(backend: Any) -> bool:
    """Return whether a backend, before variables are expanded, has a token and not the name of one."""
    config = backend.get("config") if isinstance(backend, Mapping) else None
    token = config.get("token") if isinstance(config, Mapping) else None
    return bool(token) and "${" not in str(token)


def _cache_note(folder: Any, store: Path) -> Iterator[str]:
    if folder is not None and Path(str(folder)).expanduser().absolute() != store:
        yield (
            f"{_CACHE} ({shown(folder, 200)}) is not used: what is taken in is kept in {store}, which "
            "WEIGHBRIDGE_STORE sets."
        )


def _token_note(path: Path, *, written: bool) -> Iterator[str]:
    if written and path.stat().st_mode & 0o044:
        yield (
            f"{path} holds a token, and other users of this machine can read it: `chmod 600` it, or write "
            "token: ${HF_TOKEN}."
        )
