"""Runs huggingface_hub's own tests of downloads against a served mirror: `python -m tests.clients.hub_suite`.

The tests are those of the source distribution of the version that is installed, fetched at run time; nothing of them is
here. What they would create on the Hub is put into the catalog (hub_writing), and so are the public repositories that
they load, as far as their contents are known from the tests themselves.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import huggingface_hub

from tests.clients.environments import make
from tests.services.weighbridge import serving
from tests.web.mirror.conftest import mirrored

#: Modules of theirs that download, list or read; others are about uploads, inference and so on.
MODULES = (
    *("test_file_download", "test_snapshot_download", "test_cache_layout", "test_hf_file_system", "test_tree_cache"),
    *("test_utils_cache", "test_xet_download", "test_verification", "test_offline_utils", "test_local_folder"),
    *("test_utils_pagination", "test_utils_errors", "test_shared_blobs"),
)
_MARKERS = ("api", "transfer", "inference", "xet", "no_xet", "production", "deprecated", "git_lfs")
#: The owner of what they create: no Hub but their own test server allows the name that they have.
USER = "dummy-hub-user"
_HUBS = ("https://hub-ci.huggingface.co", "https://huggingface.co")
_ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run the tests and print how many of each module pass, and what the other ones say."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients.hub_suite", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weighbridge-hub-suite-") as name:
        folder = Path(name)
        config = folder / "mirror.yaml"
        config.write_text(
            "backends:\n  - type: huggingface\n    config:\n      base_url: http://127.0.0.1:9\n"
            "      mode: gated\n      ingest_by: publisher\n"
        )
        with serving(folder / "home", None, "--config", str(config)) as served:
            url = mirrored(served, folder / "home").url
            suite = unpacked(folder, url)
            token = served.key("reader")["Authorization"].removeprefix("Bearer ")
            report = run(
                suite, options.modules, {"HF_ENDPOINT": url, "SUITE_HOME": str(folder / "home"), "SUITE_TOKEN": token}
            )
    print(report)
    return 0


def unpacked(folder: Path, url: str) -> Path:
    """Fetch the source distribution, and return the folder of its tests, which know the mirror as their Hubs."""
    wanted = f"huggingface_hub=={huggingface_hub.__version__}"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
    ]
    subprocess.run([*pip, "--dest", str(folder), wanted], check=True)
    archive = next(folder.glob("huggingface_hub-*.tar.gz"))
    shutil.unpack_archive(archive, folder / "sources")
    suite = next((folder / "sources").glob("*/tests")).rename(folder / "hub_suite_tests")
    constants = suite / "testing_constants.py"
    text = constants.read_text()
    for hub in _HUBS:
        text = text.replace(f'"{hub}"', f'"{url}"')
    constants.write_text(text.replace("__DUMMY_HUB_USER__", USER))
    (suite / "__init__.py").touch()
    (suite / "conftest.py").write_text((Path(__file__).parent / "hub_writing.py").read_text())
    return suite


def run(suite: Path, modules: list[str], variables: dict[str, str]) -> str:
    """Run the tests, and return the report."""
    results = suite.parent / "results.xml"
    (suite.parent / "pytest.ini").write_text("\n    ".join(("[pytest]\nmarkers =", *_MARKERS)))
    environment = {**os.environ, **variables, "PYTHONPATH": str(_ROOT), "HF_HOME": str(suite.parent / "cache")}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_SYMLINKS_IN_WINDOWS_TESTS": "1", "HF_TOKEN": ""}
    paths = [str(suite / f"{module}.py") for module in modules if (suite / f"{module}.py").exists()]
    made = make("hub-suite")
    assert not made.failure, made.failure
    command = [
        made.program("python"),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "120",
        "-W",
        "ignore",
    ]
    subprocess.run(
        [
            *command,
            "--rootdir",
            str(suite.parent),
            "-c",
            str(suite.parent / "pytest.ini"),
            f"--junitxml={results}",
            *paths,
        ],
        env=environment,
        cwd=suite.parent,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    return written(ElementTree.parse(results))


def written(results: ElementTree.ElementTree) -> str:
    """Return a table of the modules, and the last words of each test that did not pass."""
    counts: Counter[tuple[str, str]] = Counter()
    lines = []
    for case in results.iter("testcase"):
        module = re.search(r"test_\w+", case.get("classname", ""))
        key = module[0] if module else "?"
        bad = next((case.find(tag) for tag in ("failure", "error", "skipped") if case.find(tag) is not None), None)
        counts[key, bad.tag if bad is not None else "passed"] += 1
        if bad is not None:
            words = " ".join((bad.get("message") or "").split())[:160]
            lines.append(f"- {key} {case.get('name')}: {bad.tag}: {words}")
    table = ["| module | pass | of |", "|---|---|---|"]
    for module in sorted({module for module, _ in counts}):
        total = sum(number for (one, _), number in counts.items() if one == module)
        table.append(f"| {module} | {counts[module, 'passed']} | {total} |")
    passed = sum(number for (_, tag), number in counts.items() if tag == "passed")
    table.append(f"| all | {passed} | {sum(counts.values())} |")
    return "\n".join((*table, "", *lines))


if __name__ == "__main__":
    sys.exit(main())
