"""The house's order, read from its source: who may import whom, what modules are called, how long things are."""

import ast
import re
import sys
from collections import Counter
from importlib.metadata import packages_distributions

import pytest

from tests.modules import MODULES, ROOT, SHIPPED, executed_at_import, functions, imports, reached, room_of, tree, where

#: Each top package and the ones of ours that it may import, besides itself (design.md).
MAY_IMPORT = {
    "weighbridge": set(),
    "blocks": {"weighbridge"},
    "tasks": {"blocks", "weighbridge"},
    "flows": {"tasks", "blocks", "weighbridge"},
    "deployments": {"flows", "tasks", "blocks", "weighbridge"},
    "bench": {"weighbridge", "tests"},
    "tests": {"flows", "tasks", "blocks", "deployments", "bench", "weighbridge"},
}
#: The edge from the library to Prefect's side: the command line runs flows.
EXCEPTIONS = {("weighbridge.cli.ingesting", "flows"), ("weighbridge.cli.fleet", "flows")}
#: Each package of adapters and the methods by which an adapter's class is known.
ADAPTERS = {
    "weighbridge.sources": {"resolve", "open"},
    "weighbridge.scanners": {"accepts", "scan"},
    "weighbridge.registries": {"publish", "withdraw"},
}
#: Each package of the library and exactly the ones that it imports, lowest floor first: a package may only import
#: what stands above it in this table, and a permission that nothing uses fails too.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "system": set(),
    "domain": {"errors"},
    "store": {"errors", "system", "domain"},
    "net": {"errors", "system", "domain"},
    "catalog": {"errors", "domain"},
    "content": {"errors", "system", "domain", "store"},
    "handlers": {"errors", "system", "domain", "net"},
    "config": {"errors", "system", "domain", "net", "handlers"},
    "sources": {"errors", "domain", "net", "content"},
    "scanners": {"errors", "system", "domain", "content", "config"},
    "registries": {"errors", "system", "domain", "store", "net", "config"},
    "benchmarks": {"errors", "system", "domain", "store", "net", "catalog", "handlers", "config", "registries"},
    "intake": {
        *("errors", "domain", "store", "net", "catalog", "content", "config"),
        *("handlers", "sources", "scanners", "registries", "benchmarks"),
    },
    "views": {"errors", "domain", "store", "catalog", "benchmarks", "intake"},
    "web": {"errors", "system", "domain", "catalog", "config", "benchmarks", "intake"},
    "cli": {
        *("errors", "system", "domain", "store", "catalog", "handlers", "config"),
        *("benchmarks", "intake", "views", "web"),
    },
}
#: Each library and the rooms that may import it. `weighbridge.net` owns what speaks to the world, and so on.
OWNERS: dict[str, set[str]] = {
    "alembic": {"catalog"},
    "boto3": {"net"},
    "botocore": {"net", "sources.s3"},  # it reads through a client of net.s3
    "brotli": {"content"},
    "cryptography": {"config", "intake.ollama_keys"},
    "fastapi": {"web"},
    "fickling": {"content"},
    "gguf": {"content", "handlers"},
    "hf_xet": {"net"},
    "httpx": {"net", "sources.huggingface", "sources.mlflow_locations"},  # they read addresses with its URL type
    "httpx2": {"net"},
    "httpx_sse": {"net"},
    # Asks the Hub in one place; `handlers` and `registries` use its cache's layout only.
    "huggingface_hub": {"net", "sources.huggingface", "handlers.pretrained", "registries.hfcache"},
    "jinja2": {"content"},
    "jwt": {"net"},
    "llguidance": {"handlers"},
    "lm_eval": {"benchmarks"},
    "mlflow": {"registries"},
    "onnx": {"content"},
    "picklescan": {"content"},
    "py7zr": {"content"},
    "pyfive": {"content"},
    "requests": {"registries.mlflow_session"},
    "rich": {"cli", "views"},
    "ruamel": {"config"},
    "sqlalchemy": {"catalog", "registries.mlflow_session"},  # MLflow raises its errors
    "standardwebhooks": {"intake"},
    "starlette": {"web"},
    "torch": {"handlers", "benchmarks"},
    "transformers": {"handlers", "benchmarks"},
    "typer": {"cli"},
    "urllib3": {"net"},
    "uvicorn": {"web"},
}
#: Modules of Python's that do input or output; `domain` has no use for them.
INPUT_OUTPUT = {
    "asyncio",
    "http",
    "io",
    "os",
    "shutil",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "urllib.request",
}
#: The one module of `domain` that looks at the machine: it reads which packages are installed (entry points).
ENTRY_POINTS = "weighbridge.domain.source_kinds.plugins"
#: What a command, a flow and an HTTP call may have more of than other functions: each parameter is one of its user's.
MANY_PARAMETERS = ("flows.", "weighbridge.cli.")
MAX_PARAMETERS = 8
FORBIDDEN_NAMES = {"util", "utils", "common", "helper", "helpers", "core", "base", "manager", "managers", "misc"}
#: The one module that starts programs and kills them, and the ones that use it, with what they start.
PROCESSES = "weighbridge.system.processes"
STARTS_PROGRAMS = {
    "weighbridge.benchmarks.codesandbox": "a model's code, and what judges its answers",
    "weighbridge.content.sandbox": "readers that cannot be trusted with memory",
    "weighbridge.handlers.child_process": "a model at work",
    "weighbridge.net.git.repository": "git",
    "weighbridge.scanners.clamd.daemon": "clamd",
}
#: Modules that kill, and whom.
KILLS_ITSELF = {
    "weighbridge.handlers.child_process": "the child, its own group when its parent is gone",
}
#: Modules outside of `net` that compare statuses, and why.
READS_STATUSES = {
    "weighbridge.content.confinement": "none: they are numbers of the kernel's calls",
    "weighbridge.registries.mlflow_session": "MLflow's own client raises, so that no response comes to net",
    "weighbridge.sources.s3_listing": "a service without versions of objects refuses to list them in its own way",
}
#: Modules that rename besides `system.whole_files`, and what.
RENAMES = {
    "weighbridge.handlers.conversion": "a folder with a converted model",
    "weighbridge.registries.folder_writer": "a folder with a version",
    "weighbridge.registries.hfcache": "a snapshot, and blobs under a lock",
    "weighbridge.store.local": "blobs that are whole: to their names, to the corrupt ones, to the trash",
    "weighbridge.store.piece_sums": "sums that are whole, beside their blob",
}
#: Modules that replace characters that cannot be printed, besides `domain.text`, and why.
REPLACES_CHARACTERS = {
    "weighbridge.content.archives.member_walk": "a location keeps a member's name, escaped to ASCII",
    "weighbridge.content.findings": "a card keeps values without them",
    "weighbridge.net.hub.listed_models": "a text of the Hub with one counts as not given",
}
MAX_LINES, MAX_FUNCTION_LINES = 400, 60


def _adapters(package: str) -> set[str]:
    """The modules of a package that define a class with every method of its protocol."""
    found = set()
    for module, path in MODULES.items():
        if module.rpartition(".")[0] != package or module.endswith(".interface"):
            continue
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                if methods >= ADAPTERS[package]:
                    found.add(module)
    return found


def test_the_library_has_these_rooms_and_no_other() -> None:
    rooms = {path.stem for path in (ROOT / "weighbridge").iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert rooms == {"__init__", "__main__", *LAYERS}


@pytest.mark.parametrize("room", LAYERS)
def test_layers_are_exact_and_point_downwards(room: str) -> None:
    imported = {
        room_of(found)
        for module in MODULES
        if room_of(module) == room
        for found in imports(module)
        if found in MODULES and room_of(found)
    }
    assert imported - {room} == LAYERS[room]
    order = list(LAYERS)
    assert all(order.index(below) < order.index(room) for below in LAYERS[room])


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_owner(library: str) -> None:
    users = {
        module.removeprefix("weighbridge.")
        for module in MODULES
        if module.startswith("weighbridge.") and any(name.split(".")[0] == library for name in imports(module))
    }
    unused = {owner for owner in OWNERS[library] if not any(f"{user}.".startswith(f"{owner}.") for user in users)}
    strangers = {user for user in users if not any(f"{user}.".startswith(f"{owner}.") for owner in OWNERS[library])}
    assert (strangers, unused) == (set(), set())


def test_the_domain_does_no_input_or_output() -> None:
    wrong = {
        (module, name)
        for module in MODULES
        if room_of(module) == "domain"
        for name in imports(module)
        if name.split(".")[0] in INPUT_OUTPUT or name in INPUT_OUTPUT or name.split(".")[0] in OWNERS
    }
    assert wrong == set()
    readers = {module for module in MODULES if room_of(module) == "domain" and "importlib.metadata" in imports(module)}
    assert readers == {ENTRY_POINTS}


def test_what_is_not_here_is_somewhere() -> None:
    """A docstring's "Not here: what (name)" names a module that exists, by the end of its dotted path."""
    ends = {module.split(".", at)[-1] for module in MODULES for at in range(module.count(".") + 1)}
    wrong = []
    for module, path in MODULES.items():
        if module.startswith("tests."):
            continue
        for paragraph in re.findall(r"Not here:.*?(?=\n\n|\"\"\")", path.read_text(), re.DOTALL):
            for names in re.findall(r"\(([^()]*)\)", paragraph):
                named = re.split(r",\s+|\s+and\s+", " ".join(names.split()))
                wrong += [f"{module}: {name}" for name in named if name.strip("`") not in ends]
    assert wrong == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_downwards_only(package: str) -> None:
    wrong = []
    for module in MODULES:
        if module.partition(".")[0] != package:
            continue
        for found in imports(module):
            top = found.partition(".")[0]
            allowed = top in MAY_IMPORT[package] | {package} or (module, top) in EXCEPTIONS
            if top in MAY_IMPORT and not allowed:
                wrong.append(f"{module} imports {found}")
    assert wrong == []


def test_the_library_needs_no_prefect() -> None:
    of_library = [module for module in MODULES if module.partition(".")[0] == "weighbridge"]
    assert [module for module in of_library if any(name.split(".")[0] == "prefect" for name in imports(module))] == []


def test_the_command_line_imports_flows_only_when_it_runs_one() -> None:
    """Prefect takes seconds to import: a module-level import would cost them to everybody."""
    for module in ("weighbridge.cli.ingesting", "weighbridge.cli.fleet"):
        at_import = [node for node in tree(MODULES[module]).body if isinstance(node, ast.ImportFrom)]
        assert all(not str(node.module).startswith("flows") for node in at_import)
        assert any(name.startswith("flows.") for name in imports(module))


@pytest.mark.parametrize("package", ADAPTERS)
def test_adapters_do_not_know_each_other(package: str) -> None:
    adapters = _adapters(package)
    everyone = {adapter for other in ADAPTERS for adapter in _adapters(other)}
    assert len(adapters) >= 2, "adapters were not found: the methods of their protocol have changed"
    wrong = {(adapter, found) for adapter in adapters for found in reached(adapter) if found in everyone}
    assert wrong == set()
    assert {adapter for adapter in adapters if package in imports(adapter)} == set(), "an adapter imports its dict"


@pytest.mark.parametrize("package", ADAPTERS)
def test_adapters_know_their_interface_or_only_values(package: str) -> None:
    """What decides, stores facts, or runs the whole is above them."""
    above = ("catalog", "intake", "views", "cli", "domain.policy", "config.policy_file")
    names = tuple(f"weighbridge.{name}" for name in above)
    wrong = {
        (adapter, found) for adapter in _adapters(package) for found in reached(adapter) if found.startswith(names)
    }
    assert wrong == set()


def test_modules_are_named_by_nouns_of_the_field() -> None:
    parts = {(module, part) for module in MODULES for part in module.split(".")}
    assert {(module, part) for module, part in parts if part in FORBIDDEN_NAMES} == set()


def test_flows_hide_no_other_module() -> None:
    """Prefect puts the folder of a flow that is loaded by path first on sys.path."""
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | set(MAY_IMPORT)
    assert {path.stem for path in (ROOT / "flows").glob("*.py")} & taken == set()


@pytest.mark.parametrize("package", ["weighbridge", "blocks", "tasks", "flows"])
def test_no_environment_is_read_at_import(package: str) -> None:
    """It would make a deployment depend on the machine that deploys it, and a test on the one before."""
    wrong = []
    for module, path in MODULES.items():
        if module.partition(".")[0] != package or module == "weighbridge.catalog.migrations.env":
            continue
        for node in executed_at_import(tree(path)):
            read = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Call) else ""
            if read.startswith(("os.environ", "os.getenv", "Settings()")):
                wrong.append(f"{module}:{node.lineno}: {read}")
    assert wrong == []


def test_modules_fit_a_head() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > MAX_LINES} == {}


def test_the_clock_is_read_in_one_place() -> None:
    clocks = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
    read = where(lambda node: isinstance(node, ast.Attribute) and ast.unparse(node).endswith(clocks))
    assert read == {"weighbridge.domain.clock"}


def test_these_modules_start_programs_and_no_others() -> None:
    assert {module for module in SHIPPED if PROCESSES in imports(module)} == set(STARTS_PROGRAMS)
    assert {module for module in SHIPPED if imports(module) & {"subprocess", "multiprocessing"}} == {PROCESSES}
    starting = ("os.fork", "os.kill", "os.killpg", "os.exec", "os.posix_spawn", "os.system", "os.popen", "os.spawn")
    ways = where(lambda node: isinstance(node, ast.Attribute) and ast.unparse(node).startswith(starting))
    assert ways - {PROCESSES} == set(KILLS_ITSELF)


def test_files_appear_whole_by_one_module() -> None:
    renaming = ("os.replace", "os.rename")
    found = where(lambda node: isinstance(node, ast.Attribute) and ast.unparse(node) in renaming)
    assert found == {"weighbridge.system.whole_files", *RENAMES}


def test_text_for_people_is_made_harmless_in_one_place() -> None:
    found = where(lambda node: isinstance(node, ast.IfExp) and ".isprintable()" in ast.unparse(node.test))
    assert found == set(REPLACES_CHARACTERS)


def test_lists_of_http_statuses_are_the_clients_own() -> None:
    """What is busy, denied or missing is one table in `net`; what a single request's status means has its reason."""
    statuses = where(_lists_statuses)
    assert {module for module in statuses if not module.startswith("weighbridge.net.")} == set(READS_STATUSES)


def _lists_statuses(node: ast.AST) -> bool:
    numbers = [part.value for part in getattr(node, "elts", []) if isinstance(part, ast.Constant)]
    return (
        isinstance(node, ast.Tuple | ast.Set | ast.List)
        and len([number for number in numbers if type(number) is int and 400 <= number < 600]) >= 2
    )


def test_no_public_class_has_the_name_of_another() -> None:
    """Whoever reads a name thinks of one thing."""
    names = Counter(
        node.name
        for module in SHIPPED
        for node in tree(MODULES[module]).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_functions_fit_a_screen() -> None:
    """Signatures count; docstrings do not: what a public function means may take its room."""
    wrong = []
    for module, node in functions():
        first = node.body[0]
        docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) is not None else 0
        length = (node.end_lineno or 0) - node.lineno + 1 - docstring
        if length > MAX_FUNCTION_LINES:
            wrong.append(f"{module}.{node.name}: {length} lines")
    assert wrong == []


def test_functions_take_few_parameters() -> None:
    wrong = []
    for module, node in functions():
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([argument for argument in named if argument.arg not in ("self", "cls")])
        if count > MAX_PARAMETERS and not module.startswith(MANY_PARAMETERS):
            wrong.append(f"{module}.{node.name}: {count} parameters")
    assert wrong == []
