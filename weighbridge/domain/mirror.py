"""The mirror: the Hubs that it stands for, which models each has, and what a request for an unknown model does.

Values only. Not here: the file that says so (config.mirror_file).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from weighbridge.domain.auth_place import AuthPlace, place_name
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.ref import ModelRef

#: The path that clients of OCI registries ask; they know no other, so neither API nor mirror is there.
OCI_PATH = "/v2"
#: What a request for a model does that is not here: `catalog` nothing, `gated` has it taken in, `read-through` hands it
#: on while it is taken in.
MirrorMode = Literal["catalog", "gated", "read-through"]
MODES: tuple[MirrorMode, ...] = get_args(MirrorMode)
#: Who may have a model taken in by asking for it: everybody, every known caller, or one who may also publish.
Starter = Literal["anyone", "reader", "publisher"]
#: The setting that names the service of each source kind whose models are a Hub's.
_HUB = "huggingface_endpoint"
#: Seconds for which a Hub's answer about a branch counts: the window of the Hub's own limit of requests, 500 for who
#: has no account, so that a mirror of some hundred models that are in use all the time stays below it.
MAX_AGE_S = 300.0


@dataclass(frozen=True)
class Upstream:
    """A Hub from which models are taken.

    Attributes:
        names: patterns of its repositories' names.
        base_url: its address; empty for that of the settings.
        token: the token for it, as the file has it; empty for none.
        auth: where its token is kept; all empty for none.
        timeout_s: seconds without a byte after which a connection is dead; None as the settings say.
        max_redirects: redirects that one request may follow; None as the settings say.
        mode: what a request for an unknown model does.
        modes: pairs of a pattern of names and a mode; the first one that matches counts before `mode`.
        ingest_by: who may have a model taken in by asking for it.
        show_refused: whether descriptions and lists of files of models that did not pass are shown.
        max_age_s: seconds for which its answer counts what commit a branch is at.
        follow: whether a model that was taken in is taken in anew, in the mode `gated`, when its branch has moved.
        pass_tokens: whether a client may be known by its own token of this Hub, which is asked what the token may read.
        xet_above: bytes above which files are also served over Xet; None for none.
    """

    names: tuple[str, ...] = ("*",)
    base_url: str = ""
    token: str = field(default="", repr=False)
    auth: AuthPlace = field(default_factory=AuthPlace)
    timeout_s: float | None = None
    max_redirects: int | None = None
    mode: MirrorMode = "catalog"
    modes: tuple[tuple[str, MirrorMode], ...] = ()
    ingest_by: Starter = "reader"
    show_refused: bool = False
    max_age_s: float = MAX_AGE_S
    follow: bool = False
    pass_tokens: bool = False
    xet_above: int | None = None

    @property
    def names_token(self) -> bool:
        """Whether the file has a token for it, or the place of one."""
        return bool(self.token or place_name(self.auth))

    def has(self, name: str) -> bool:
        """Return whether a repository of that name is this Hub's."""
        return any(matches(name, pattern) for pattern in self.names)

    def mode_of(self, name: str) -> MirrorMode:
        """Return what a request for a model of that name does."""
        return next((mode for pattern, mode in self.modes if matches(name, pattern)), self.mode)


#: The Hub of a name that no upstream has: nothing is taken from it by a request.
NOWHERE = Upstream(())


@dataclass(frozen=True)
class MirrorSettings:
    """How the mirror of a served process behaves.

    Attributes:
        prefix: the path that it is below, without a slash at the end.
        upstreams: the Hubs; of several that have a name, the first one counts.
        notes: what the operator should know about the file, a sentence each.
    """

    prefix: str
    upstreams: tuple[Upstream, ...] = (Upstream(),)
    notes: tuple[str, ...] = ()

    @property
    def reads_through(self) -> bool:
        """Whether any model is handed on before its verdict."""
        return any("read-through" in (one.mode, *(mode for _, mode in one.modes)) for one in self.upstreams)

    def upstream(self, name: str) -> Upstream:
        """Return the Hub that has repositories of that name; `NOWHERE` for none."""
        return next((one for one in self.upstreams if one.has(name)), NOWHERE)

    def upstream_of(self, ref: ModelRef) -> Upstream:
        """Return the Hub that a reference is asked of; `NOWHERE` where no upstream has it, or it is of another kind."""
        return self.upstream(ref.id) if ref.record.endpoint_setting == _HUB else NOWHERE
