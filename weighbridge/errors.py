"""The one tree of errors: what Weighbridge raises when it could not do the work.

Bad content is a `Finding` and a rejection is a `Decision`; neither is an error. Adapters wrap foreign exceptions
into these. `retryable` tells Prefect's retry condition whether the same call may succeed later.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar


class WeighbridgeError(Exception):
    """One problem, what to do about it, and the facts as attributes.

    Attributes:
        problem: what went wrong, one or two sentences.
        remedy: what the reader can do, or empty.
        facts: the values involved, for logs and `--json`; never a secret.
        exit_code: what the command line exits with.
        retryable: whether the same call may succeed later without any change.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str = "", **facts: Any) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy
        self.facts = facts

    def __str__(self) -> str:
        """Return one paragraph: the problem, then what to do."""
        return f"{self.problem} {self.remedy}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the facts, so that errors cross process borders whole."""
        return _rebuild, (type(self), self.problem, self.remedy, self.facts)


def problem_type(kind: type[WeighbridgeError]) -> str:
    """Return the URI by which programs know a kind of error: `urn:weighbridge:problem:model-not-found`."""
    return "urn:weighbridge:problem:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()


def _rebuild(kind: type[WeighbridgeError], problem: str, remedy: str, facts: dict[str, Any]) -> WeighbridgeError:
    return kind(problem, remedy, **facts)


class UsageError(WeighbridgeError):
    """The request itself is wrong: a URI, a file of the user's, or an option."""

    exit_code = 64


class InvalidReference(UsageError):
    """A model URI that cannot be read, or whose scheme no source serves."""


class InvalidConfiguration(UsageError):
    """models.yaml, models.lock, policy.yaml or a setting does not say what it must."""


class InvalidName(UsageError):
    """A model's name that nobody could address later."""


class NameTaken(UsageError):
    """A model's name that belongs to another source."""


class KeyReused(UsageError):
    """An idempotency key that a caller has sent before, with another request."""


class NotConfigured(WeighbridgeError):
    """What was asked for needs something of the operator's that is missing or cannot be read."""


class NotAuthenticated(WeighbridgeError):
    """A request that names no key, or one that is not valid."""


class TooManyFailures(WeighbridgeError):
    """An address has sent too many keys that are not valid. `facts['retry_after_s']` says when it may go on."""


class IssuerUnavailable(WeighbridgeError):
    """A token cannot be verified, as the keys of its issuer are not known and the issuer cannot be asked."""

    retryable = True


class TooManyAtOnce(WeighbridgeError):
    """The served registry takes on no more of what was asked for at once. `facts['retry_after_s']` says when it may."""


class NotPermitted(WeighbridgeError):
    """The caller's role, or the models that its key is for, does not allow what was asked for."""


class LicenceNotAcknowledged(NotPermitted):
    """Files are asked for by a caller who has not acknowledged the model's licence, and the policy demands it."""


class VersionRefused(NotPermitted):
    """A version is asked for that the gate did not let in. `facts` hold its name and number."""


class VersionRecalled(VersionRefused):
    """A refused version of which somebody has files, that were given out before its verdict or under an earlier one."""


class UnsafePath(WeighbridgeError):
    """A file name from upstream that would leave the model's folder or collide with another one."""


class SourceError(WeighbridgeError):
    """The source did not give what was asked for."""


class ModelNotFound(SourceError):
    """The source has no such model, revision or file."""


class AccessDenied(SourceError):
    """The source refused: gated, private, or wrong credentials."""


class AddressRefused(AccessDenied):
    """This installation does not send requests to that host, address or scheme."""


class SourceUnavailable(SourceError):
    """The source could not be reached, was busy, or cut the connection. `facts['retry_after_s']` may say when."""

    retryable = True


class SourceMisbehaved(SourceError):
    """The source broke its own protocol: a wrong length, a bad answer, content that moved under a fixed revision."""


class IntegrityError(WeighbridgeError):
    """Bytes are not the bytes that were promised. `facts` holds expected and actual."""


class StoreError(WeighbridgeError):
    """The blob store could not do its work."""


class StoreFull(StoreError):
    """No space left where the blobs are kept; what was received so far is kept for resuming."""


class BlobMissing(StoreError):
    """A blob that was expected in the store is not there."""


class ScannerUnavailable(WeighbridgeError):
    """A scanner's engine cannot be reached or started."""

    retryable = True


class SignaturesRefused(WeighbridgeError):
    """A database of signatures that must not take the place of the one in use."""


class CatalogError(WeighbridgeError):
    """The catalog's database could not do its work."""


class NotInCatalog(UsageError, CatalogError):
    """The catalog has no such model, version or report."""


class UnknownRevision(NotInCatalog):
    """The catalog has the model, and no version that this branch, tag or commit means."""


class VersionWithdrawn(UnknownRevision):
    """A person has withdrawn the version: whoever has it should not use it any more."""


class FileNotInVersion(NotInCatalog):
    """The version has no such file or folder. `facts['commit']` names the version as clients of the Hub do."""


class StateConflict(CatalogError):
    """What was asked for contradicts what a version is: its status, its files, or a change made meanwhile."""


class ChangedMeanwhile(StateConflict):
    """A change was asked for of what is no longer there, because another one came before it."""


class CatalogUnavailable(CatalogError):
    """The catalog's database is locked or not reachable."""

    retryable = True


class RegistryError(WeighbridgeError):
    """A registry refused or failed; nothing became visible."""


class RegistryUnavailable(RegistryError):
    """A registry could not be reached."""

    retryable = True


class HandlerError(WeighbridgeError):
    """A handler could not load its model or do its work: not a model, the wrong task, a template that fails."""


class InvalidRequest(HandlerError):
    """What a model was asked for is wrong: options that cannot be, messages in no known form, a text that is none."""

    exit_code = 64


class OutOfMemory(HandlerError):
    """The device has too little memory for the model or the work asked of it."""


class Busy(HandlerError):
    """A model has as many calls waiting as may wait. `facts` hold how many do, and the limit."""

    retryable = True


class BenchmarkFailed(WeighbridgeError):
    """A benchmark lacks what it needs: a file, a package, a data set, a judge. It says nothing of the model."""


class UnexpectedError(WeighbridgeError):
    """A bug: an exception that no caller foresaw ended the work; its traceback was kept."""


class BeingWeighed(WeighbridgeError):
    """The model is being taken in: there is no verdict yet. `facts['retry_after_s']` says when to ask again."""

    retryable = True


class Cancelled(WeighbridgeError):
    """Whoever asked for the work took it back."""
