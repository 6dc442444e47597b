"""The closed list of globals: what frameworks write passes, each entry as its kind is written, and nothing else."""

import collections
import datetime
import io
import pathlib
import pickle
import re
import types
import typing
import warnings
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.content.pickles import assembled as a
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.allowed import ENTRIES, FAMILIES, GROUPS
from weighbridge.content.pickles.allowed.entry import Entry
from weighbridge.content.pickles.globals import allowed
from weighbridge.content.pickles.judgement import Judgement, judge
from weighbridge.content.pickles.symbols import Import


def judged(content: bytes) -> Judgement:
    walked = machine.walk(io.BytesIO(content), len(content))
    assert walked.stopped, walked.problem
    return judge(walked)


#: Arguments that keep each constraint, as the framework writes them.
ARGUMENTS = {
    "any": (a.number(1), a.text("x")),
    "data": (a.number(1), a.text("x"), b"]"),
    "plain value": (a.number(1), a.text("x")),
    "tensor first": (a.called("torch._utils", "_rebuild_tensor"), b"\x88", a.called("collections", "OrderedDict")),
    "latin-1 text": (a.text("\u00ff"), a.text("latin1")),
    "class first": (a.named("numpy", "ndarray"), a.several(a.number(0)), a.text("b")),
    "class or text": (a.text("MT19937"),),
    "reconstructor": (a.named("argparse", "Namespace"), a.named("__builtin__", "object"), b"N"),
    "factory": (a.named("__builtin__", "list"),),
    "member": (a.named("transformers.training_args", "OptimizerNames"), a.text("ADAMW_TORCH")),
    "typing": (a.named("typing", "List"), a.named("builtins", "int")),
    "union": (a.named("_operator", "or_"), a.several(a.named("builtins", "int"), a.named("types", "NoneType"))),
    "torch subclass": (
        a.named("torch._utils", "_rebuild_tensor_v2"),
        a.named("torch", "Tensor"),
        a.several(b"N", a.number(0)),
        b"}",
    ),
}
WAYS: dict[str, Callable[[str, str, Entry], bytes]] = {
    "value": lambda module, name, entry: a.pairs(kept=a.named(module, name)),
    "class": lambda module, name, entry: a.rebuilt(module, name, training=b"\x88"),
    "enum": lambda module, name, entry: a.called(module, name, a.text("epoch")),
    "constructor": lambda module, name, entry: a.called(module, name, *ARGUMENTS[entry.arguments]),
    "function": lambda module, name, entry: a.called(module, name, *ARGUMENTS[entry.arguments]),
}


def entries() -> Iterator[tuple[str, str, Entry]]:
    for (module, name), entry in ENTRIES.items():
        # A torch file and joblib's wrapper need bytes beside them: other tests have them.
        if entry.arguments != "torch file" and module != "joblib.numpy_pickle":
            yield module, name, entry


@pytest.mark.parametrize("kind", WAYS)
def test_every_entry_passes_as_its_kind_is_written(kind: str) -> None:
    seen = 0
    for module, name, entry in entries():
        if entry.kind == kind:
            said = judged(a.whole(WAYS[kind](module, name, entry)))
            assert said.harmless, (module, name, said)
            seen += 1
    assert seen


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.modules.split()[0]}-{group.names.split()[0]}")
def test_every_entry_has_a_source_that_people_can_read(group: typing.Any) -> None:
    assert re.match(r"https://(docs\.python\.org|github\.com)/\S+", group.source)
    assert group.names.split()


def test_no_global_is_listed_twice_with_different_meanings() -> None:
    seen: dict[tuple[str, str], Entry] = {}
    for group in GROUPS:
        for key, entry in group.entries().items():
            assert seen.setdefault(key, entry).kind == entry.kind, key


FAMILY_MEMBERS = {
    "torch": ("torch.nn.modules.conv", "Conv2d"),
    "optimiser": ("torch.optim.adamw", "AdamW"),
    "scikit-learn": ("sklearn.ensemble._forest", "RandomForestClassifier"),
    "scikit-learn of 2019": ("sklearn.linear_model.logistic", "LogisticRegression"),
    "xgboost": ("xgboost.sklearn", "XGBClassifier"),
    "lightgbm": ("lightgbm.sklearn", "LGBMRegressor"),
    "catboost": ("catboost.core", "CatBoostClassifier"),
    "transformers": ("transformers.models.bert.configuration_bert", "BertConfig"),
    "ultralytics": ("ultralytics.nn.modules.block", "C2f"),
    "timm": ("timm.models.vision_transformer", "VisionTransformer"),
    "torchvision": ("torchvision.models.resnet", "ResNet"),
    "omegaconf": ("omegaconf.nodes", "AnyNode"),
}


@pytest.mark.parametrize("name", FAMILY_MEMBERS)
def test_classes_of_a_family_are_rebuilt_and_never_called(name: str) -> None:
    module, cls = FAMILY_MEMBERS[name]
    said = judged(a.whole(a.rebuilt(module, cls, x=a.number(1))))
    assert said.harmless
    assert said.objects == (f"{module}.{cls}",)
    assert not judged(a.whole(a.called(module, cls, a.text("https://example.org/x")))).harmless
    assert not judged(a.whole(a.named(module, cls) + a.several(a.text("x")) + b"\x81")).harmless


FOREIGN = [
    ("sklearn.datasets._base", "RemoteFileMetadata"), ("sklearn.externals.array_api_compat", "Thing"),
    ("sklearn.utils.fixes", "Thing"), ("sklearn.linear_model", "make_classification"), ("sklearn", "Estimator"),
    ("ultralytics.engine.model", "Model"), ("ultralytics.utils.checks", "check_requirements"),
    ("ultralytics.nn.autobackend", "AutoBackend"), ("transformers.models.bert.tokenization_bert", "BertTokenizer"),
    ("transformers.pipelines.base", "Pipeline"), ("torch.nn.modules", "load"), ("torch.optim.adam", "adam"),
    ("scipy.stats._distn_infrastructure", "rv_continuous_frozen"), ("scipy.stats._continuous_distns", "norm_gen"),
    ("numpy", "memmap"), ("numpy", "load"), ("numpy", "savez_compressed"), ("pandas", "read_csv"),
    ("models.yolo", "Model"), ("joblib.numpy_pickle_compat", "NDArrayWrapper"), ("xgboost.sklearn", "callable"),
    ("sklearn.metrics._classification\nx", "f"), ("sklearnx.base", "Estimator"),
    ("collections", "OrderedDict.fromkeys"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), FOREIGN)
def test_neighbours_of_the_list_are_not_on_it(module: str, name: str) -> None:
    assert allowed(Import(module, name)) is None


def test_names_of_python_2_are_listed_under_their_new_ones() -> None:
    for module, name in (("__builtin__", "long"), ("copy_reg", "_reconstructor"), ("UserDict", "IterableUserDict")):
        assert allowed(Import(module, name)) is not None


PLAIN: list[object] = [
    collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.Counter("aab"),
    collections.deque([1, 2]), {1, 2}, frozenset({1}), bytearray(b"a"), 1j, range(3), slice(1), b"\xff", ...,
    type(None), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1), pathlib.PurePosixPath("a"),
    types.SimpleNamespace(a=1), typing.Any, typing.Literal["a"], list[int], int | None, re.compile("a", re.I),
    np.arange(3), np.array(["a"]), np.array([{"a": 1}], object), np.float64(1), np.array(["2026-01-01"], "M8[D]"),
    np.ma.array([1.0], mask=[1]), np.random.RandomState(0), np.random.default_rng(0), np.dtype("f8"), np.float32,
    np.zeros(2, [("a", "f4"), ("b", "U3")]), np.log1p,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_pass_without_a_word(protocol: int) -> None:
    for value in PLAIN:
        if protocol < 2 and isinstance(value, types.UnionType):
            continue
        said = judged(pickle.dumps(value, protocol))
        assert (said.harmless, said.objects) == (True, ()), (value, said)


def pickles_of(value: object) -> Iterator[bytes]:
    for protocol in (2, 4, 5):
        yield pickle.dumps(value, protocol)


def test_real_estimators_of_scikit_learn_pass() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.metrics import f1_score, make_scorer
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    x, y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
    scaled = make_column_transformer((StandardScaler(), [0, 1]), (FunctionTransformer(np.log1p), [2]))
    models = [
        make_pipeline(scaled, LogisticRegression()).fit(x, y),
        ensemble.RandomForestClassifier(2, random_state=np.random.RandomState(0)).fit(x, y),
        ensemble.HistGradientBoostingClassifier(max_iter=2).fit(x, y),
        ensemble.GradientBoostingRegressor(n_estimators=2).fit(x, y),
        KNeighborsClassifier(algorithm="kd_tree").fit(x, y),
        SGDClassifier().fit(x, y),
        GaussianProcessRegressor(RBF() + WhiteKernel()).fit(x, y),
        IsotonicRegression().fit(x[:, 0], y),
        TfidfVectorizer().fit(["a bc", "bc d"]),
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}, scoring=make_scorer(f1_score)).fit(x, y),
    ]
    for model in models:
        for content in pickles_of(model):
            said = judged(content)
            assert said.harmless, (model, said)
            assert said.objects


def test_real_frames_of_pandas_pass() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "d": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    frame["c"], frame["n"] = pd.Categorical(["u", "v"]), pd.array([1, None], "Int64")
    frame.index = pd.MultiIndex.from_product([["i"], [1, 2]])
    for value in (frame, frame["a"], pd.Timestamp("2026-01-01", tz="Europe/Berlin"), pd.date_range("2026", periods=2)):
        for content in pickles_of(value):
            assert judged(content).harmless, (value, judged(content))


def of_torch(value: object) -> bytes:
    torch = pytest.importorskip("torch")
    saved = io.BytesIO()
    torch.save(value, saved)
    with zipfile.ZipFile(saved) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


def test_real_tensors_of_torch_pass_without_a_word() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Quantised and sparse tensors warn that they will change.
        quantised = torch.quantize_per_channel(torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.quint8)
        values = [
            torch.ones(2, dtype=torch.bfloat16), torch.nn.Parameter(torch.ones(2)), torch.eye(2).to_sparse(),
            torch.eye(2).to_sparse_csr(), torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), quantised,
            torch.empty(2, device="meta"), torch.device("cpu"), torch.Size([1]), torch.float32,
            torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict(),
        ]  # fmt: skip
        tagged = torch.nn.Parameter(torch.ones(2))
        tagged.tag = "kept"
        for value in (*values, tagged):
            said = judged(of_torch(value))
            assert (said.harmless, said.objects) == (True, ()), (value, said)


def test_real_modules_of_torch_pass_as_objects() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    layers = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.SiLU(), nn.LSTM(2, 2), nn.Embedding(3, 2))
    transformer = nn.TransformerEncoderLayer(4, 2)
    optimiser = torch.optim.SGD(layers.parameters(), 0.1)
    for value in (layers, transformer, optimiser, torch.optim.lr_scheduler.StepLR(optimiser, 1)):
        said = judged(of_torch(value))
        assert said.harmless, (value, said)
        assert said.objects


def test_real_training_arguments_pass() -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    said = judged(of_torch(transformers.TrainingArguments("out", report_to=[])))
    assert said.harmless, said
    assert "transformers.training_args.TrainingArguments" in said.objects


#: Globals that real pickles of XGBoost 3.2, LightGBM 4.7, CatBoost 1.2 and OmegaConf 2.4 name, with their use.
RECORDED = [
    ("xgboost.sklearn", "XGBRFRegressor"), ("xgboost.sklearn", "XGBRanker"), ("xgboost.core", "Booster"),
    ("lightgbm.sklearn", "LGBMClassifier"), ("lightgbm.basic", "Booster"), ("catboost.core", "CatBoostClassifier"),
    ("omegaconf.base", "ContainerMetadata"), ("omegaconf.base", "Metadata"), ("omegaconf.dictconfig", "DictConfig"),
    ("omegaconf.listconfig", "ListConfig"), ("omegaconf.nodes", "AnyNode"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), RECORDED)
def test_recorded_classes_pass(module: str, name: str) -> None:
    assert judged(a.whole(a.rebuilt(module, name, handle=a.called("builtins", "bytearray", b"C\x01a")))).harmless


def test_families_are_told_by_the_whole_name_of_their_module() -> None:
    for family in FAMILIES:
        assert not family.holds("evil.sklearn.base", "Estimator")
        assert not family.holds("", "Estimator")
