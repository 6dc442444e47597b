import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.torch_program import ProgramHeader, read


def archive(folder: Path, members: dict[str, str | bytes]) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return write(folder, out.getvalue(), "model.pt")


def script(folder: Path, line: str) -> ProgramHeader:
    code = f"class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    {line}\n    return x\n"
    return read(archive(folder, {"m/code/__torch__/net.py": code, "m/constants.pkl": b"\x80\x02)."}))


def graph(folder: Path, **node: Any) -> ProgramHeader:
    program = {"graph_module": {"graph": {"nodes": [{"inputs": [], "outputs": [], **node}]}}, "schema_version": {}}
    return read(archive(folder, {"m/archive_format": "pt2", "m/models/model.json": json.dumps(program)}))


@pytest.mark.parametrize(
    ("line", "rule", "level"),
    [
        ('torch.save(x, "f")', "pytorch.operator", "error"),
        ("ops.image.write_file(a, x)", "pytorch.operator", "error"),
        ('y = rpc_async("worker", f, ())', "pytorch.operator", "error"),
        ('y = torch.from_file("/etc/passwd", False, 4)', "pytorch.reads-file", "error"),
        ('y = torch.from_file("\\\\057etc/passwd", False, 4)', "pytorch.reads-file", "error"),
        ('p = "../../x"; y = ops.image.read_file(p)', "pytorch.reads-file", "error"),
        ("y = ops.image.read_file(p)", "pytorch.operator", "warning"),
        ("import os", "pytorch.package-code", "error"),
        ("from subprocess import run", "pytorch.package-code", "error"),
        ('os.system("id")', "pytorch.package-code", "error"),
        ("y = eval(x)", "pytorch.package-code", "error"),
        ("y = ops.acme.run(x)", "pytorch.custom-operator", "warning"),
    ],
)
def test_operators_of_scripts_that_reach_beyond_tensors_are_found(
    tmp_path: Path, line: str, rule: str, level: str
) -> None:
    line = line.replace("\\\\", "\\")
    assert [(finding.rule, finding.level) for finding in script(tmp_path, line).findings] == [(rule, level)]


@pytest.mark.parametrize(
    "line",
    [
        "y = torch.add(x, ops.quantized.add_relu(x, x, 1., 0))",
        "y = ops.torchvision.nms(x, x, 0.5)",
        'ops.prim.RaiseException("it must not be / empty")',
        "y = self.save.from_file(x)",
        "import __torch__.torch.nn",
        "y = (self.os).forward(self.eval(x), self.sys.path(x))",
        'ops.prim.RaiseException("import os; os.system(x)")',
        "conv = __torch__.torch.nn.modules.conv.Conv2d.forward(x)",
    ],
)
def test_scripts_that_compute_are_no_findings(tmp_path: Path, line: str) -> None:
    assert script(tmp_path, line).findings == ()


def test_bytecode_of_the_mobile_interpreter_is_looked_at(tmp_path: Path) -> None:
    for operator, expected in ((b"aten::save", ["pytorch.operator"]), (b"aten::add", [])):
        found = read(archive(tmp_path, {"m/bytecode.pkl": b"\x80\x02X\x0a\0\0\0" + operator + b"q\0."}))
        assert rules(found.findings) == expected


def test_sources_of_a_package_are_errors_and_those_of_other_archives_are_not(tmp_path: Path) -> None:
    sources: dict[str, str | bytes] = {"m/net/__init__.py": "import os\n", "m/model/model.pkl": b"N."}
    assert read(archive(tmp_path, sources)).findings == ()
    found = read(archive(tmp_path, {**sources, "m/.data/extern_modules": "torch\n"})).findings
    assert [(finding.rule, finding.level) for finding in found] == [("pytorch.package-code", "error")]
    assert "m/net/__init__.py" in found[0].location


@pytest.mark.parametrize(
    "target",
    [
        *("torch.os.system", "torch.serialization.os.system", "torchX.os.system", "torch.ops.load_library"),
        *("torch.hub.load", "torch.ops.aten.__class__", "_operator.attrgetter", "_operator.methodcaller"),
        "math.__loader__.load_module",
    ],
)
def test_names_that_lead_elsewhere_from_torch_are_errors(tmp_path: Path, target: str) -> None:
    assert rules(graph(tmp_path, target=target).findings) == ["pytorch.graph-code"]


@pytest.mark.parametrize(
    "target",
    [
        *("torch.ops.aten.add.Tensor", "torch.ops.aten._to_copy.default", "torch.ops.higher_order.cond"),
        *("_operator.getitem", "torch.sym_float", "math.trunc", "weight"),
    ],
)
def test_operators_of_graphs_are_no_findings(tmp_path: Path, target: str) -> None:
    assert graph(tmp_path, target=target).findings == ()


@pytest.mark.parametrize(
    "size", ["__import__('os').system('id')", "().__class__", "open(1)", "eval(s0)", "[s0]", "s0.x"]
)
def test_sizes_that_are_programs_are_errors(tmp_path: Path, size: str) -> None:
    found = graph(tmp_path, outputs=[{"as_expr": {"expr_str": size, "hint": {"as_int": 1}}}])
    assert rules(found.findings) == ["pytorch.graph-code"]


@pytest.mark.parametrize("size", ["s0", "Max(1, s0 + 3)", "2*s77//4", "Eq(Mod(s0, 8), 0)", "1.5*u0", "s0 >= 2"])
def test_sizes_that_compute_are_no_findings(tmp_path: Path, size: str) -> None:
    assert graph(tmp_path, outputs=[{"as_expr": {"expr_str": size}}]).findings == ()


def test_what_pytorch_itself_writes_is_no_finding(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4)).eval()
    scripted, exported = tmp_path / "scripted.pt", tmp_path / "exported.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(net), scripted)
    torch.export.save(torch.export.export(net, (torch.ones(2, 3),)), exported)
    for path in (scripted, exported):
        found = read(path)
        assert (found.failure, found.findings) == ("", ())
        assert found.bytes_read > 0


def test_archives_that_cannot_be_read_are_failures(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"PK\3\4" + bytes(100))).failure
