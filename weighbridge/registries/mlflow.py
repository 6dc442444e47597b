"""The MLflow registry: embedded (SQLite and a folder) or a server, with versions that MLflow's own clients download.

How a version stands there (docs/formats.md): a registered model called `registered_name` with the model's own name as
a tag; a run in one experiment that holds the files below `model/`; a model version, created when every file is in
place, with tags for version, verdict, policy, licence, source and digests; the alias `default`. No `MLmodel` file is
added: what is downloaded is what was ingested, byte for byte.

A withdrawn version keeps its entry, with the reason as a tag, and loses its alias and its files.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.report import scanned_with
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import RegistryError
from weighbridge.registries.folder_writer import (
    content,
    files_below,
    holds,
    locked,
    place_all,
    placing_errors,
    require_passed,
    staged,
)
from weighbridge.registries.load_lines import load_line
from weighbridge.registries.mlflow_session import Server, is_missing, is_taken, load_mlflow, suppressing, upsert
from weighbridge.registries.naming import checked_version, registered_name
from weighbridge.store.interface import BlobStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = "default"
EXPERIMENT = "weighbridge"
#: The folder of a run's artifacts that holds the model.
FOLDER = "model"
#: MLflow writes it beside an `MLmodel` file into what it gives out, also where that is the registry's own folder.
_META = "registered_model_meta"
#: MLflow's clients build URLs from file names without escaping them.
#: Characters of a tag that MLflow keeps at most.
_MAX_TAG = 5000
_UNSERVABLE = frozenset("%#?")


class MLflowRegistry:
    """A registry in MLflow; satisfies `Registry`. Nothing is opened before the first use.

    Args:
        tracking_uri: `http(s)://…` of a server, or `sqlite:////…` of the embedded registry.
        artifact_root: where the embedded registry's files lie; hard links to the blob store where possible.
        username, password: basic authentication; without them MLflow's own environment variables count.
        token: bearer authentication.

    Raises:
        RegistryError: a database without an artifact root.
    """

    name: ClassVar[str] = "mlflow"

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: Path | None = None,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
    ) -> None:
        self._server = Server.of(tracking_uri, username, password, token)
        self._artifact_root = artifact_root.absolute() if artifact_root else None
        if not self._server.uri.startswith(("http://", "https://")) and artifact_root is None:
            raise RegistryError(
                "An embedded MLflow registry needs a folder for its files.",
                "Give the http(s) address of an MLflow server, or leave the address empty.",
            )

    @classmethod
    def embedded(cls, folder: Path) -> MLflowRegistry:
        """Return the registry that lives in a folder: `mlflow.db` and `artifacts/`."""
        folder = folder.absolute()
        return cls(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")

    def prepare(self) -> None:
        """Import MLflow and open its store, which takes seconds the first time."""
        with self._session():
            self._client.search_registered_models(max_results=1)

    def publish(self, version: ModelVersion, blobs: BlobStore) -> Publication:
        """Make a version visible whole, or not at all; see `Registry.publish`.

        1. The registered model exists and is this model's.
        2. The files are in place below the run of this manifest, each one of the right size.
        3. The model version with this manifest's digest exists, once, with the newest tags.
        4. The alias says which version is the default.

        Every step finds what an interrupted one left. A version that lost files gets them back.
        """
        require_passed(version)
        checked_version(version.version)
        name = registered_name(version.name)
        with self._session():
            self._own_model(name, version.name)
            known = self._find(name, "manifest_digest", str(version.manifest.digest))
            run = self._client.get_run(known.run_id) if known else self._run(name, version)
            self._put_files(run, version.manifest, blobs)
            settled = self._settle(name, version, known, run)
            number = str(settled.version)
            self._point_alias(name, number, version.default)
            if settled.run_id == run.info.run_id:
                self._client.set_terminated(run.info.run_id)
            else:  # Another process was faster; its files are the ones.
                self._client.delete_run(run.info.run_id)
        return self._publication(name, number, version)

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Tag a version with the reason, then take its alias and its files away; see `Registry.withdraw`."""
        registered = registered_name(name)
        with self._session():
            model = self._model(registered)
            found = self._find(registered, "version", checked_version(version)) if model else None
            if model is None or found is None:
                return
            upsert(self._client.set_model_version_tag, registered, found.version, "withdrawn", reason or "withdrawn")
            upsert(self._client.set_model_version_tag, registered, found.version, "verdict", "FAILED")
            for alias, number in model.aliases.items():
                if str(number) == str(found.version):
                    self._client.delete_registered_model_alias(registered, alias)
            self._remove_files(self._client.get_run(found.run_id))

    @cached_property
    def _client(self) -> Any:
        return load_mlflow().MlflowClient(tracking_uri=self._server.uri, registry_uri=self._server.uri)

    @contextmanager
    def _session(self) -> Iterator[None]:
        root = self._artifact_root
        if root is None:
            with self._server.session():
                yield
        else:
            # One process at a time: MLflow creates its tables at the first use, and two must not.
            with placing_errors(root), locked(root), self._server.session():
                yield

    def _own_model(self, name: str, original: str) -> None:
        model = self._model(name)
        if model is None:
            with suppressing(is_taken):
                self._client.create_registered_model(name, tags={"weighbridge_name": original})
            model = self._client.get_registered_model(name)
        owner = model.tags.get("weighbridge_name")
        if owner is None:
            upsert(self._client.set_registered_model_tag, name, "weighbridge_name", original)
        elif owner != original:
            raise RegistryError(
                f"The registered model {name} holds {owner!r}, so {original!r} cannot be published under it.",
                "Give the new model another name with --name.",
                name=name,
            )

    def _model(self, name: str) -> Any | None:
        with suppressing(is_missing):
            return self._client.get_registered_model(name)
        return None

    def _find(self, name: str, tag: str, value: str) -> Any | None:
        """Return the model version with a tag; of several, which two racing processes leave, the first one remains."""
        found = self._client.search_model_versions(f"name = '{name}' and tags.`{tag}` = '{value}'")
        ordered = sorted(found, key=lambda version: int(version.version))
        if tag == "manifest_digest":
            for double in ordered[1:]:
                with suppressing(is_missing):
                    self._client.delete_model_version(name, double.version)
        return ordered[0] if ordered else None

    def _run(self, name: str, version: ModelVersion) -> Any:
        """Return the run that holds a manifest's files; a run that an interrupted publication left is used again."""
        tags = {"registered_model": name, "manifest_digest": str(version.manifest.digest)}
        experiment = self._experiment()
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        left = self._client.search_runs([experiment], query, order_by=["attributes.start_time ASC"], max_results=1)
        if left:
            return left[0]
        title = f"{version.name} {version.version}"
        return self._client.create_run(experiment, run_name=title, tags=tags | {"source": version.source})

    def _experiment(self) -> str:
        location = self._artifact_root.as_uri() if self._artifact_root else None
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            with suppressing(is_taken):
                self._client.create_experiment(EXPERIMENT, artifact_location=location)
            found = self._client.get_experiment_by_name(EXPERIMENT)
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"MLflow's experiment “{EXPERIMENT}”, which holds the models' files, was deleted.",
                "Restore it in MLflow.",
            )
        return str(found.experiment_id)

    def _put_files(self, run: Any, manifest: Manifest, blobs: BlobStore) -> None:
        if self._artifact_root is not None:
            folder = self._folder(run)
            there = files_below(folder) - {_META} if folder.is_dir() else set()
            wanted = manifest.by_path
            if there != set(wanted) - {_META} or not all(holds(folder, entry, blobs) for entry in manifest.files):
                with staged(folder) as staging:
                    place_all(blobs, manifest, staging, "hardlink")
            return
        refuse_unservable(manifest)
        repository = self._repository(run)
        absent = incomplete(repository, manifest)
        self._upload(repository, absent, blobs)
        wrong = incomplete(repository, manifest) if absent else []
        if wrong:
            raise RegistryError(
                f"The MLflow server did not keep {wrong[0].path} whole, and {len(wrong) - 1} other files.",
                "Check the server's disk and log, then run the same command again.",
                paths=[entry.path for entry in wrong[:100]],
            )

    def _repository(self, run: Any) -> Any:
        # Not through MlflowClient: that asks four times as many questions, each with a password to be hashed.
        repositories = load_mlflow().store.artifact.artifact_repository_registry
        return repositories.get_artifact_repository(run.info.artifact_uri, tracking_uri=self._server.uri)

    def _folder(self, run: Any) -> Path:
        folder = Path(unquote(urlsplit(run.info.artifact_uri).path))
        assert self._artifact_root is not None
        if not folder.is_relative_to(self._artifact_root):
            raise RegistryError(
                f"The embedded MLflow registry was made for files in {folder.parent.parent}.",
                f"Move it back there, or remove {self._artifact_root.parent} and ingest the models again.",
            )
        return folder / FOLDER

    def _upload(self, repository: Any, entries: list[FileEntry], blobs: BlobStore) -> None:
        # MLflow names a file after the path it reads: a folder of links gives every blob its name for that moment.
        with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder:
            for position, entry in enumerate(entries):
                parent, _, last = entry.path.rpartition("/")
                link = Path(folder) / str(position) / last
                link.parent.mkdir()
                link.symlink_to(blobs.path(content(entry)).absolute())
                repository.log_artifact(str(link), f"{FOLDER}/{parent}" if parent else FOLDER)

    def _remove_files(self, run: Any) -> None:
        if self._artifact_root is not None:
            folder = self._folder(run)
            if folder.exists():
                with staged(folder):
                    pass
                shutil.rmtree(folder)
            return
        repository = self._repository(run)
        if sizes(repository, FOLDER):
            repository.delete_artifacts(FOLDER)

    def _settle(self, name: str, version: ModelVersion, known: Any | None, run: Any) -> Any:
        tags = tags_of(version)
        if known is None:
            source = f"{run.info.artifact_uri}/{FOLDER}"
            self._client.create_model_version(
                name, source, run.info.run_id, tags=tags, description=description_of(version)
            )
            known = self._find(name, "manifest_digest", tags["manifest_digest"])
            assert known is not None
        for key, value in tags.items():
            if known.tags.get(key) != value:
                upsert(self._client.set_model_version_tag, name, known.version, key, value)
        if "withdrawn" in known.tags:
            self._client.delete_model_version_tag(name, known.version, "withdrawn")
        return known

    def _point_alias(self, name: str, number: str, default: bool) -> None:
        current = self._client.get_registered_model(name).aliases.get(ALIAS)
        if default and str(current) != number:
            upsert(self._client.set_registered_model_alias, name, ALIAS, number)
        elif not default and str(current) == number:
            self._client.delete_registered_model_alias(name, ALIAS)

    def _publication(self, name: str, number: str, version: ModelVersion) -> Publication:
        location = f"models:/{name}/{number}"
        load = (
            f"import mlflow; mlflow.set_tracking_uri({self._server.uri!r})",
            f"path = mlflow.artifacts.download_artifacts({location!r})",
            load_line(version),
        )
        return Publication(self.name, location, load)


def incomplete(repository: Any, manifest: Manifest) -> list[FileEntry]:
    """Return the files of a manifest that a server does not have with their whole size."""
    here = sizes(repository, FOLDER)
    return [entry for entry in manifest.files if here.get(f"{FOLDER}/{entry.path}") != entry.size]


def sizes(repository: Any, folder: str) -> dict[str, int]:
    """Return the size of every file below a folder of a server's artifacts, by path."""
    found: dict[str, int] = {}
    for item in repository.list_artifacts(folder):
        if item.is_dir:
            found |= sizes(repository, item.path)
        else:
            found[item.path] = item.file_size or 0  # MLflow leaves zeros out.
    return found


def tags_of(version: ModelVersion) -> dict[str, str]:
    """Return the tags of a model version."""
    return {
        "version": version.version,
        "manifest_digest": str(version.manifest.digest),
        "verdict": version.decision.verdict,
        "policy": version.decision.policy,
        "policy_digest": version.decision.policy_digest,
        "licence": str(version.card.get("licence") or "unknown"),
        "source": version.source,
        "scanned_with": scanned_with(version.reports)[:_MAX_TAG],
    }


def description_of(version: ModelVersion) -> str:
    """Return one line that says what a version is."""
    card = version.card
    count, context = card.get("parameter_count"), card.get("context_length")
    parts = [
        card.get("architecture"),
        f"{count:,} parameters" if isinstance(count, int) else None,
        f"context {context}" if context else None,
        card.get("quantization"),
        card.get("licence"),
    ]
    return f"{version.name} {version.version}: " + ", ".join(str(part) for part in parts if part)


def refuse_unservable(manifest: Manifest) -> None:
    """Refuse file names that MLflow's clients could upload but not download from a server.

    Raises:
        RegistryError: a name holds `%`, `#` or `?`.
    """
    for entry in manifest.files:
        if _UNSERVABLE & set(entry.path):
            raise RegistryError(
                f"MLflow's clients cannot download a file called {entry.path!r} from a server.",
                "Use the embedded registry or an export for this model, or leave the file out with ?files=.",
                path=entry.path,
            )
