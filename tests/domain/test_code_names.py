import pytest

from weighbridge.domain.code_names import code_name


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ("handler.py", "error"),
        ("./handler.py", "error"),
        ("custom_generate/generate.py", "error"),
        ("setup.py", "error"),
        ("pkg/setup.py", "error"),
        ("conftest.py", "error"),
        ("a/sitecustomize.py", "error"),
        ("__pycache__/modeling_x.cpython-311.pyc", "error"),
        (".git/hooks/post-checkout", "error"),
        (".vscode/tasks.json", "error"),
        (".vscode/mcp.json", "error"),
        (".mcp.json", "error"),
        (".claude/settings.local.json", "error"),
        ("model_repository/m/1/model.py", "error"),
        (".devcontainer/devcontainer.json", "error"),
        ("code/inference.py", "warning"),
        ("pipeline.py", "warning"),
        ("Dockerfile", "warning"),
        (".git/hooks/post-checkout.sample", None),
        (".git/config", None),
        ("docs/handler.py", None),
        ("my_handler.py", None),
        ("modeling_x.py", None),
        ("config.json", None),
        ("settings.json", None),
        ("src/model.py", None),
        ("unet/pipeline.py", None),
    ],
)
def test_names_that_are_run(path: str, level: str | None) -> None:
    found = code_name(path)
    assert (found.level if found else None) == level
    assert found is None or found.message.endswith(".")
