"""The doctor: what is missing on this machine, and the command that fixes it. It changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from weighbridge.config.environment import without_passwords
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.content import sandbox
from weighbridge.domain.extras import SIGNATURES_COMMAND, install_command
from weighbridge.domain.source_kinds import KINDS, kinds_by_scheme, plugins
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.doctor_check import DoctorCheck, Examination, side_by_side
from weighbridge.intake.doctor_prefect import prefect_checks
from weighbridge.intake.doctor_services import service_examinations
from weighbridge.intake.opening import open_catalog
from weighbridge.net.settings import SourceSettings
from weighbridge.registries import REGISTRIES
from weighbridge.scanners import SCANNERS, import_scanners
from weighbridge.sources import import_source, open_source

#: Bytes below which a model of ordinary size no longer fits.
LOW_SPACE = 20 * 1024**3
#: Seconds that a check which asks a server may take, unless the settings' `timeout_s` is less.
SERVER_LIMIT_S = 10.0


def examine(settings: Settings) -> Iterator[DoctorCheck]:
    """Yield the result of each check; one that fails to run, or hangs, is itself `missing`."""
    _import_ahead()
    yield from side_by_side(_examinations(settings), settings.folder)


def _import_ahead() -> None:
    """Import what the checks use, before threads start that would each import it."""
    import_scanners()
    for kind in KINDS:
        import_source(kind)


def _examinations(settings: Settings) -> list[Examination]:
    def local(what: str, look: Callable[[Settings], Iterator[DoctorCheck]]) -> Examination:
        return Examination(what, partial(look, settings))

    def asked(what: str, look: Callable[[Settings], Iterator[DoctorCheck]], server: str) -> Examination:
        return Examination(what, partial(look, settings), limit_s, server) if server else local(what, look)

    limit_s = min(SERVER_LIMIT_S, settings.timeout_s)
    tracking, prefect = map(without_passwords, (settings.mlflow_tracking_uri, os.environ.get("PREFECT_API_URL", "")))
    database = "" if settings.database_url.startswith("sqlite") else "the database"
    return [
        local("python", _python),
        local("home", _home),
        *(asked(name, partial(_scanner, name), settings.clamd if name == "clamav" else "") for name in SCANNERS),
        asked("catalog", _catalog, database),
        local("policy", _policy),
        asked("mlflow", _registry, tracking),
        asked("prefect", _prefect, prefect),
        local("confinement", _confinement),
        local("git", _git),
        local("handlers", _models),
        *service_examinations(settings, limit_s),
        local("sources", _sources),
    ]


def _python(settings: Settings) -> Iterator[DoctorCheck]:
    yield DoctorCheck("python", "ok" if sys.version_info >= (3, 11) else "missing", platform.python_version())


def _home(settings: Settings) -> Iterator[DoctorCheck]:
    folder = settings.folder
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        yield DoctorCheck("home", "missing", f"{folder} is not writable", f"sudo chown -R $USER {folder}")
        return
    free = shutil.disk_usage(existing).free
    found = f"{folder}, {free / 1024**3:.0f} GiB free"
    mend = "" if free >= LOW_SPACE else "export WEIGHBRIDGE_HOME=/a/larger/disk"
    yield DoctorCheck("home", "ok" if free >= LOW_SPACE else "warning", found, mend)


def _scanner(name: str, settings: Settings) -> Iterator[DoctorCheck]:
    with ExitStack() as stack:
        engine = SCANNERS[name](settings, stack).engine()
    facts = dict(engine.facts)
    found = f"{engine.version}" + "".join(f", {name} {value}" for name, value in sorted(facts.items()))
    if facts.get("database") == "test-only":
        yield DoctorCheck(name, "warning", found, SIGNATURES_COMMAND)
    else:
        yield DoctorCheck(name, "ok", found)


def _catalog(settings: Settings) -> Iterator[DoctorCheck]:
    if not settings.catalog_url and not settings.folder.exists():
        yield DoctorCheck("catalog", "ok", "is made by the first ingest")
        return
    with open_catalog(settings) as catalog:
        yield DoctorCheck("catalog", "ok", f"{len(catalog.lists.models())} models")


def _policy(settings: Settings) -> Iterator[DoctorCheck]:
    yield DoctorCheck("policy", "ok", load_policy(settings.policy, Path.cwd()).name)


def _registry(settings: Settings) -> Iterator[DoctorCheck]:
    """Look for MLflow, and ask the server of the settings; an embedded registry is not opened."""
    if not importlib.util.find_spec("mlflow"):
        yield DoctorCheck("mlflow", "missing", "not installed", "pip install mlflow")
        return
    if settings.mlflow_tracking_uri:
        registry = REGISTRIES["mlflow"](settings, "")
        registry.prepare()
        yield DoctorCheck("mlflow", "ok", registry.address)
    else:
        yield DoctorCheck("mlflow", "ok", "embedded")


def _prefect(settings: Settings) -> Iterator[DoctorCheck]:
    yield from prefect_checks()


def _confinement(settings: Settings) -> Iterator[DoctorCheck]:
    """Ask a child that reads headers what it still can reach."""
    with tempfile.NamedTemporaryFile() as file:
        reached = sandbox.read("probe", Path(file.name)).answer or {}
    open_ = [name for name in ("network", "files") if reached.get(name, True)]
    found = (
        f"children that read headers still reach {' and '.join(open_)}" if open_ else "header children reach nothing"
    )
    mend = "A kernel with Landlock (5.13) and user namespaces; docker run --security-opt seccomp=unconfined"
    yield DoctorCheck("confinement", "warning" if open_ else "ok", found, mend if open_ else "")


def _git(settings: Settings) -> Iterator[DoctorCheck]:
    git = shutil.which("git")
    found = git or "not installed: models in git repositories cannot be fetched"
    yield DoctorCheck("git", "ok" if git else "warning", found, "" if git else "apt-get install git")


def _models(settings: Settings) -> Iterator[DoctorCheck]:
    """Look for the libraries that load models; taking models in and serving them works without."""
    there = importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")
    found = "torch and transformers" if there else "not installed: no `try`, no `benchmark`"
    yield DoctorCheck("handlers", "ok" if there else "warning", found, "" if there else install_command("benchmark"))


def _sources(settings: Settings) -> Iterator[DoctorCheck]:
    """Load the sources of installed packages, each on its own."""
    for name, entries in plugins.installed().items():
        package = " and ".join(plugins.package_of(entry) for entry in entries)
        try:
            plugins.refuse_taken({name} & {*KINDS, *kinds_by_scheme()})
            open_source(plugins.kind_of(name), SourceSettings())
        except WeighbridgeError as error:
            yield DoctorCheck(f"source {name}", "missing", error.problem, error.remedy)
        else:
            yield DoctorCheck(f"source {name}", "ok", package)
