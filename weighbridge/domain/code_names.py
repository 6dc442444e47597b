"""File names that make a program run a file's code unasked: which program does so, and when.

Pure: the name alone is judged, not the content. Not here: code that a configuration names (content.headers.config), and
the examination of content (content.examination).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CodeName:
    """What a name leads to.

    Attributes:
        level: `error` where the code runs without being asked for, `warning` where a person starts it by its name.
        message: one sentence: who runs it, and when.
    """

    level: Literal["error", "warning"]
    message: str


#: By a pattern of the whole path in lower case; the first match counts.
_NAMES: tuple[tuple[str, Literal["error", "warning"], str], ...] = (
    ("handler\\.py", "error", "Inference endpoints of Hugging Face and TorchServe import handler.py when they start."),
    ("custom_generate/.+\\.py", "error", "transformers runs custom_generate/generate.py when the model generates."),
    ("hubconf\\.py", "error", "torch.hub runs hubconf.py when it loads the model."),
    ("(.*/)?setup\\.py", "error", "pip runs setup.py when it installs the folder."),
    ("(.*/)?conftest\\.py", "error", "pytest runs conftest.py before it looks for tests."),
    (
        "(.*/)?(site|user)customize\\.py",
        "error",
        "Python imports it whenever it starts with the folder on its path.",
    ),
    ("(.*/)?__pycache__/.+", "error", "Python imports compiled code from __pycache__ in place of its source."),
    ("(.*/)?\\.git/hooks/(?!.*\\.sample$).+", "error", "git runs its hooks at commits, merges and checkouts."),
    ("(.*/)?(\\.githooks|\\.husky)/.+", "error", "git runs these hooks at commits, once a tool has set them up."),
    ("(.*/)?\\.vscode/tasks\\.json", "error", "Visual Studio Code runs tasks when a folder is opened."),
    (
        "(.*/)?\\.idea/(watchertasks|startup)\\.xml",
        "error",
        "JetBrains' editors run it when a project is opened.",
    ),
    ("(.*/)?\\.idea/runconfigurations/.+", "warning", "JetBrains' editors offer these commands to be run."),
    (
        "(.*/)?\\.vscode/(settings|launch)\\.json",
        "warning",
        "Visual Studio Code takes commands from it.",
    ),
    (
        "(.*/)?(\\.mcp|(\\.cursor|\\.vscode)/mcp|(\\.claude|\\.gemini)/settings(\\.local)?)\\.json",
        "error",
        "Agents in editors start the programs that it names when a folder is opened.",
    ),
    (
        "(.*/)?\\d+/model\\.py",
        "error",
        "Triton's Python backend imports model.py when it loads the model.",
    ),
    (
        "(.*/)?\\.devcontainer(/.+|\\.json)",
        "error",
        "Editors run its commands when a container is made.",
    ),
    ("(.*/)?\\.envrc", "error", "direnv runs it when a shell enters the folder."),
    ("(.*/)?(\\.bashrc|\\.bash_profile|\\.profile|\\.zshrc|\\.zshenv)", "error", "A shell runs it when it starts."),
    ("(.*/)?autorun\\.inf", "error", "Windows runs what it names when the medium is opened."),
    ("(.*/)?\\.pre-commit-config\\.yaml", "warning", "pre-commit fetches and runs what it names at commits."),
    ("(.*/)?\\.github/workflows/.+", "warning", "GitHub runs workflows where the model is a repository."),
    (
        "pipeline\\.py",
        "warning",
        "diffusers imports pipeline.py when it is asked to trust it.",
    ),
    ("(.*/)?code/inference\\.py", "warning", "SageMaker imports code/inference.py when it serves the model."),
    ("(app|main|__main__)\\.py", "warning", "Python and Spaces of Hugging Face run it when the folder is started."),
    (
        "(.*/)?(dockerfile|containerfile|docker-compose\\.ya?ml|compose\\.ya?ml)",
        "warning",
        "Docker runs what it says when it builds.",
    ),
    ("(.*/)?(gnu)?makefile", "warning", "make runs what it says."),
)
_PATTERNS = tuple((re.compile(pattern), CodeName(level, message)) for pattern, level, message in _NAMES)


def code_name(path: str) -> CodeName | None:
    """Return which program runs a file because of its name, or None. Pure.

    Args:
        path: the file's path in the model, or in the archive that contains it.
    """
    folded = path.lower().removeprefix("./")
    return next((found for pattern, found in _PATTERNS if pattern.fullmatch(folded)), None)
