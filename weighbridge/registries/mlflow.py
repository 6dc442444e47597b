"""The MLflow registry: embedded (SQLite and a folder) or a server, with versions that MLflow's own clients download.

The form of a version (docs/formats.md): a registered model called `registered_name` with the model's own name as a tag;
a run in one experiment with the files below `model/`; a model version, created when every file is in place, with tags
for version, verdict, policy, licence, source and digests; the alias `default`. No `MLmodel` file is added: a download
has the ingested bytes.

A withdrawn version keeps its entry, with the reason as a tag, and loses its alias and its files.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from weighbridge.domain.progress import Heard, unheard
from weighbridge.domain.report import scanned_with
from weighbridge.domain.text import markdown_text, shown
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.errors import RegistryError
from weighbridge.net.pace import Pace
from weighbridge.registries import folder_writer
from weighbridge.registries.folder_writer import LOCK_PATIENCE_S, Link, locked, placing_errors, require_passed
from weighbridge.registries.interface import Allow, Holding, always
from weighbridge.registries.load_lines import load_line
from weighbridge.registries.mlflow_files import FOLDER, ModelFiles
from weighbridge.registries.mlflow_session import (
    Server,
    is_missing,
    is_taken,
    load_mlflow,
    load_sql,
    suppressing,
    upsert,
)
from weighbridge.registries.naming import checked_version, registered_name
from weighbridge.store.interface import BlobStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = "default"
EXPERIMENT = "weighbridge"
#: The most characters of a tag that MLflow keeps.
_MAX_TAG = 5000
#: A run that began longer ago than this and has not ended is the remains of a dead upload.
_LEFT_OVER_MS = 24 * 3600 * 1000
_PAGE = 1000


class MLflowRegistry:
    """A registry in MLflow; satisfies `Registry`. Nothing is opened before the first use.

    Args:
        tracking_uri: `http(s)://…` of a server, or `sqlite:////…` of the embedded registry.
        artifact_root: the folder of the embedded registry's files.
        link: how they are placed there.
        username, password: basic authentication; without them MLflow's own environment variables apply.
        token: bearer authentication.
        pace: the slowest pace that is accepted of a server.

    Raises:
        RegistryError: a database without an artifact root.
    """

    name: ClassVar[str] = "mlflow"

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: Path | None = None,
        *,
        link: Link = "readonly",
        username: str = "",
        password: str = "",
        token: str = "",
        pace: Pace | None = None,
    ) -> None:
        load_sql()
        self._server = Server.of(tracking_uri, username, password, token, pace)
        self._artifact_root = artifact_root.absolute() if artifact_root else None
        self._files = ModelFiles(self._server, self._artifact_root, link)
        if not self._server.uri.startswith(("http://", "https://")) and artifact_root is None:
            raise RegistryError(
                "An embedded MLflow registry needs a folder for its files.",
                "Give the http(s) address of an MLflow server, or leave the address empty.",
            )

    @classmethod
    def embedded(cls, folder: Path, link: Link = "readonly") -> MLflowRegistry:
        """Return the embedded registry in a folder: `mlflow.db` and `artifacts/`."""
        folder = folder.absolute()
        return cls(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", link=link)

    @property
    def address(self) -> str:
        """Return the tracking URI, without credentials."""
        return self._server.uri

    def prepare(self) -> None:
        """Import MLflow and open its store, which takes seconds the first time."""
        with self._session():
            self._client.search_registered_models(max_results=1)

    def publish(
        self, version: ModelVersion, blobs: BlobStore, allow: Allow = always, heard: Heard = unheard
    ) -> Publication:
        """Make a version visible whole, or not at all; see `Registry.publish`.

        1. The registered model exists and is this model's.
        2. The files are in place below a run of this manifest, each one of the right size, and nothing else is.
        3. The publication is still allowed; else the files are removed.
        4. The model version with this manifest's digest exists, once, with the newest tags.
        5. The alias names the default version.

        A version that lost files gets them back. On a server an interrupted upload starts again in a new run, as it is
        unknown which of its files are whole.
        """
        require_passed(version)
        checked_version(version.version)
        name = registered_name(version.name)
        with self._session():
            allow()
            self._own_model(name, version.name)
            known = self._find(name, "manifest_digest", str(version.manifest.digest))
            run = self._client.get_run(known.run_id) if known else self._run(name, version)
            try:
                self._files.put(run, version.manifest, blobs, heard)
                allow()
            except BaseException:
                if known is None:
                    self._discard(run)
                raise
            settled = self._settle(name, version, known, run)
            number = str(settled.version)
            self._point_alias(name, number, version.default)
            if settled.run_id == run.info.run_id:
                self._client.set_terminated(run.info.run_id)
            else:  # Another process was faster; its files are the published ones.
                self._discard(run)
            self._sweep(name)
        return self._publication(name, number, version)

    def holds(self, version: ModelVersion, blobs: BlobStore) -> bool:
        """Return whether a version is published unchanged; see `Registry.holds`."""
        with self._session(waiting=False):
            found = self._given_out(version)
            if found is None or any(found.tags.get(key) != value for key, value in tags_of(version).items()):
                return False
            name = registered_name(version.name)
            alias = str(self._client.get_registered_model(name).aliases.get(ALIAS))
            if (alias == str(found.version)) != version.default:
                return False
            return self._files.seem_whole(self._client.get_run(found.run_id), version.manifest, blobs)

    def damaged(self, version: ModelVersion, blobs: BlobStore) -> list[str]:
        """Return the files of a version that differ in this registry; see `Registry.damaged`."""
        with self._session(waiting=False):
            found = self._given_out(version)
            if found is None:
                return sorted(version.manifest.by_path)
            return self._files.damaged(self._client.get_run(found.run_id), version.manifest, blobs)

    def _given_out(self, version: ModelVersion) -> Any | None:
        """Return the MLflow model version of a version, or None where there is none, or it was withdrawn."""
        name = registered_name(version.name)
        model = self._model(name)
        if model is None or model.tags.get("weighbridge_name") != version.name:
            return None
        found = self._versions(name, "manifest_digest", str(version.manifest.digest))
        return found[0] if len(found) == 1 and "withdrawn" not in found[0].tags else None

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Tag a version with the reason, then remove its alias and its files; see `Registry.withdraw`.

        Raises:
            RegistryUnavailable: another process has been publishing to an embedded registry for a while.
        """
        if self._artifact_root is not None and not self._artifact_root.exists():
            return
        registered = registered_name(name)
        with self._session(patience_s=folder_writer.WITHDRAWAL_PATIENCE_S):
            model = self._model(registered)
            found = self._find(registered, "version", checked_version(version)) if model else None
            if model is None or found is None:
                return
            why = shown(reason) or "withdrawn"
            upsert(self._client.set_model_version_tag, registered, found.version, "withdrawn", why)
            upsert(self._client.set_model_version_tag, registered, found.version, "verdict", "FAILED")
            for alias, number in model.aliases.items():
                if str(number) == str(found.version):
                    self._client.delete_registered_model_alias(registered, alias)
            self._files.remove(self._client.get_run(found.run_id))

    def listing(self) -> Iterator[Holding]:
        """Yield every model version that is not withdrawn."""
        with self._session(waiting=False):
            names = {model.name: model.tags.get("weighbridge_name", "") for model in self._models()}
            found = [version for name in names for version in self._versions(name)]
        for one in found:
            if "withdrawn" not in one.tags:
                location = f"models:/{one.name}/{one.version}"
                tags = one.tags
                name = names[one.name] or one.name
                yield Holding(name, tags.get("version", ""), tags.get("manifest_digest", ""), location)

    @cached_property
    def _client(self) -> Any:
        return load_mlflow().MlflowClient(tracking_uri=self._server.uri, registry_uri=self._server.uri)

    @contextmanager
    def _session(self, *, waiting: bool = True, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
        root = self._artifact_root
        if root is None or (not waiting and (root.parent / "mlflow.db").exists()):
            with self._server.session():
                yield
        else:
            # MLflow creates its tables at the first use, which two processes must not do at the same time.
            with placing_errors(root), locked(root, patience_s), self._server.session():
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
                f"The registered model {name} belongs to {owner!r}, so {original!r} cannot be published under it.",
                "Give the new model another name with --name.",
                name=name,
            )

    def _model(self, name: str) -> Any | None:
        with suppressing(is_missing):
            return self._client.get_registered_model(name)
        return None

    def _models(self) -> Iterator[Any]:
        page = None
        while page is None or page.token:
            page = self._client.search_registered_models(max_results=_PAGE, page_token=page.token if page else None)
            yield from page

    def _versions(self, name: str, tag: str = "", value: str = "") -> list[Any]:
        """Return the model versions of a name, in order; with a tag only those that have it."""
        query, found, page = f"name = '{name}'", [], None
        if tag:
            query += f" and tags.`{tag}` = '{value}'"
        while page is None or page.token:
            page = self._client.search_model_versions(query, page_token=page.token if page else None)
            found += page
        return sorted(found, key=lambda version: int(version.version))

    def _find(self, name: str, tag: str, value: str) -> Any | None:
        """Return the model version with a tag; of several, left by two racing processes, keep only the first one."""
        ordered = self._versions(name, tag, value)
        if tag == "manifest_digest":
            for double in ordered[1:]:
                with suppressing(is_missing):
                    self._client.delete_model_version(name, double.version)
        return ordered[0] if ordered else None

    def _run(self, name: str, version: ModelVersion) -> Any:
        """Return the run for a manifest's files; in the embedded registry that of an interrupted publication."""
        tags = {"registered_model": name, "manifest_digest": str(version.manifest.digest)}
        experiment = self._experiment()
        if self._artifact_root is not None:
            query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
            left = self._client.search_runs([experiment], query, order_by=["attributes.start_time ASC"], max_results=1)
            if left:
                return left[0]
        title = shown(f"{version.name} {version.version}")
        return self._client.create_run(experiment, run_name=title, tags=tags | {"source": shown(version.source)})

    def _discard(self, run: Any) -> None:
        self._files.remove(run)
        with suppressing(is_missing):
            self._client.delete_run(run.info.run_id)

    def _sweep(self, name: str) -> None:
        """Remove the remains of dead uploads of this model from a server; the embedded registry continues with them."""
        if self._artifact_root is not None:
            return
        before = int(time.time() * 1000) - _LEFT_OVER_MS
        query = f"tags.registered_model = '{name}' and attributes.status = 'RUNNING'"
        query += f" and attributes.start_time < {before}"
        for run in self._client.search_runs([self._experiment()], query):
            self._discard(run)

    def _experiment(self) -> str:
        location = self._artifact_root.as_uri() if self._artifact_root else None
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            with suppressing(is_taken):
                self._client.create_experiment(EXPERIMENT, artifact_location=location)
            found = self._client.get_experiment_by_name(EXPERIMENT)
        if found.lifecycle_stage != "active":
            raise RegistryError(
                f"MLflow's experiment “{EXPERIMENT}”, which has the models' files, was deleted.",
                "Restore it in MLflow.",
            )
        return str(found.experiment_id)

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
        return Publication(self.name, location, load, self.address)


def tags_of(version: ModelVersion) -> dict[str, str]:
    """Return the tags of a model version; MLflow's pages show them as markdown."""
    return {
        "version": version.version,
        "manifest_digest": str(version.manifest.digest),
        "verdict": version.decision.verdict,
        "policy": shown(version.decision.policy),
        "policy_digest": version.decision.policy_digest,
        "licence": shown(version.card.get("licence") or "unknown"),
        "source": shown(version.source),
        "scanned_with": shown(scanned_with(version.reports), _MAX_TAG),
    }


def description_of(version: ModelVersion) -> str:
    """Return one line that describes a version; MLflow's pages show it as markdown."""
    card = version.card
    count, context = card.get("parameter_count"), card.get("context_length")
    parts = [
        card.get("architecture"),
        f"{count:,} parameters" if isinstance(count, int) else None,
        f"context {context}" if context else None,
        card.get("quantization"),
        card.get("licence"),
    ]
    return markdown_text(f"{version.name} {version.version}: " + ", ".join(str(part) for part in parts if part))
