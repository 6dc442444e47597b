"""The standard library's values: containers, dates, numbers, paths, types that are only looked up."""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_LIBRARY = "https://docs.python.org/3/library/"
_CPYTHON = "https://github.com/python/cpython/blob/main/Lib/"

GROUPS = (
    Group(
        "builtins",
        "constructor",
        "set frozenset list dict tuple bytearray bytes complex int float str bool object range slice",
        _LIBRARY + "functions.html",
        "data",
        items=True,
    ),
    Group(
        "builtins",
        "value",
        "Ellipsis NotImplemented None True False len abs min max sum round sorted",
        _LIBRARY + "constants.html",
    ),
    Group("builtins", "function", "type", _CPYTHON + "pickle.py (save_type)", "plain value"),
    Group("builtins", "function", "getattr", _CPYTHON + "enum.py (Enum.__reduce_ex__ of Python 3.11)", "member"),
    Group("collections", "constructor", "OrderedDict Counter deque", _LIBRARY + "collections.html", items=True),
    Group("collections", "constructor", "defaultdict", _LIBRARY + "collections.html", "factory", items=True),
    Group("collections", "class", "UserDict UserList UserString ChainMap", _LIBRARY + "collections.html"),
    Group("copyreg", "function", "_reconstructor", _CPYTHON + "copyreg.py", "reconstructor"),
    Group("_codecs", "function", "encode", _CPYTHON + "pickle.py (save_bytes)", "latin-1 text"),
    Group("datetime", "constructor", "datetime date time timedelta timezone", _LIBRARY + "datetime.html", "data"),
    Group("decimal", "constructor", "Decimal", _LIBRARY + "decimal.html", "data"),
    Group("fractions", "constructor", "Fraction", _LIBRARY + "fractions.html", "data"),
    Group("uuid", "class", "UUID", _LIBRARY + "uuid.html"),
    Group("uuid", "enum", "SafeUUID", _LIBRARY + "uuid.html"),
    Group("argparse", "class", "Namespace", _LIBRARY + "argparse.html"),
    Group("array", "constructor", "array", _LIBRARY + "array.html", "data"),
    Group("array", "function", "_array_reconstructor", _LIBRARY + "array.html", "class first"),
    Group(
        "pathlib pathlib._local",
        "constructor",
        "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
        _LIBRARY + "pathlib.html",
        "data",
        versions="pathlib._local in 3.13",
    ),
    Group("types", "constructor", "SimpleNamespace", _LIBRARY + "types.html", "data"),
    Group("types", "constructor", "GenericAlias", _LIBRARY + "types.html"),
    Group("types", "value", "NoneType EllipsisType NotImplementedType UnionType", _LIBRARY + "types.html"),
    Group(
        "typing",
        "value",
        "Any Optional Union List Dict Tuple Set FrozenSet Type Callable Literal Sequence MutableSequence Mapping "
        "MutableMapping Iterable Iterator Generator Hashable ClassVar Final NoReturn Text DefaultDict OrderedDict "
        "Counter Deque",
        _LIBRARY + "typing.html",
    ),
    Group("_operator operator", "function", "getitem", _CPYTHON + "typing.py (_GenericAlias.__reduce__)", "typing"),
    Group("_operator operator", "value", "or_", _CPYTHON + "copyreg.py (pickle_union)"),
    Group("_functools functools", "function", "reduce", _CPYTHON + "copyreg.py (pickle_union)", "union"),
    Group("inspect", "value", "_empty", _LIBRARY + "inspect.html"),
    Group("inspect", "enum", "_ParameterKind", _LIBRARY + "inspect.html"),
    Group("inspect", "constructor", "Parameter Signature", _LIBRARY + "inspect.html", "data"),
    Group("re", "function", "_compile", _CPYTHON + "re/__init__.py (_pickle)", "data"),
    Group("re", "enum", "RegexFlag", _LIBRARY + "re.html"),
    Group("random", "constructor", "Random", _LIBRARY + "random.html", "data"),
    Group(
        "ipaddress",
        "constructor",
        "IPv4Address IPv4Network IPv4Interface IPv6Address IPv6Network IPv6Interface",
        _LIBRARY + "ipaddress.html",
        "data",
    ),
    Group("zoneinfo", "class", "ZoneInfo", _LIBRARY + "zoneinfo.html#pickle-behavior"),
    Group("zoneinfo", "function", "ZoneInfo._unpickle", _LIBRARY + "zoneinfo.html#pickle-behavior", "data"),
    Group("string", "class", "Template", _LIBRARY + "string.html"),
    Group("http", "enum", "HTTPStatus HTTPMethod", _LIBRARY + "http.html"),
)
FAMILIES: tuple[Family, ...] = ()
