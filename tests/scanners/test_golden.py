"""A scanner's VERSION is raised when, and only when, what it reports changes."""

import json

from tests.scanners.golden import PATH, reports


def test_what_is_reported_for_a_version_stays() -> None:
    golden, today = json.loads(PATH.read_text()), reports()
    for name, expected in golden.items():
        changed = [sample for sample, said in today[name]["reports"].items() if said != expected["reports"].get(sample)]
        hint = f"Raise the VERSION of the scanner {name} and run `python -m tests.scanners.golden`: {changed}"
        assert today[name]["version"] != expected["version"] or not changed, hint
        assert today[name] == expected, f"Run `python -m tests.scanners.golden`: VERSION or samples changed: {changed}"
    assert golden.keys() == today.keys()
