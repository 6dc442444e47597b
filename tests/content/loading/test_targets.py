import pytest

from weighbridge.content.loading.targets import is_dotted, package_of, standing_of


@pytest.mark.parametrize(
    ("name", "standing"),
    [
        ("nemo.collections.asr.models.EncDecCTCModel", "known"),
        ("torch.nn.Linear", "known"),
        ("torch.nn.init.xavier_uniform_", "known"),
        ("torch.manual_seed", "known"),
        ("transformers.AutoModel", "known"),
        ("transformers.AutoModel.from_pretrained", "fetching"),
        ("sam2.modeling.sam2_base.SAM2Base", "known"),
        ("collections.OrderedDict", "known"),
        ("my_package.Net", "foreign"),
        ("torchx.nn.Linear", "foreign"),
        ("nemo.utils.get_rank", "foreign"),
        ("transformers.pipeline", "foreign"),
        ("ultralytics.utils.checks.check_requirements", "foreign"),
        ("os.system", "dangerous"),
        ("builtins.exec", "dangerous"),
        ("logging.os.system", "dangerous"),
        ("nemo.collections.os.system", "dangerous"),
        ("transformers.utils.subprocess.Popen", "dangerous"),
        ("torch.hub.load", "dangerous"),
        ("hydra.utils.instantiate", "foreign"),
        ("é.X", "foreign"),
        ("", "unreadable"),
        ("system", "unreadable"),
        ("os..system", "unreadable"),
        ("os.system(1)", "unreadable"),
        ("a." * 200 + "b", "unreadable"),
    ],
)
def test_what_a_dotted_name_is(name: str, standing: str) -> None:
    assert standing_of(name) == standing


def test_only_what_is_below_a_known_package_is_in_it() -> None:
    assert package_of("torch.nn.Linear") == "torch.nn"
    assert package_of("torch.nn") == package_of("torch.load") == package_of("nemo.utils.X") == ""
    assert is_dotted("a.b")
    assert not is_dotted("text/plain")
