"""Arrays: numpy, scipy's sparse matrices and splines, joblib's wrapper. An array of objects is a pickle itself."""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_NUMPY = "https://github.com/numpy/numpy/blob/main/numpy/"
_SCIPY = "https://github.com/scipy/scipy/blob/main/scipy/"
_FORMATS = "bsr coo csc csr dia dok lil"

GROUPS = (
    Group(
        "numpy.core.multiarray numpy._core.multiarray",
        "function",
        "_reconstruct",
        _NUMPY + "_core/src/multiarray/multiarraymodule.c",
        "class first",
    ),
    Group(
        "numpy.core.multiarray numpy._core.multiarray",
        "function",
        "scalar",
        _NUMPY + "_core/src/multiarray/multiarraymodule.c (array_scalar)",
    ),
    Group("numpy.core.numeric numpy._core.numeric", "function", "_frombuffer", _NUMPY + "_core/numeric.py", "data"),
    Group(
        "numpy._core._internal",
        "function",
        "_convert_to_stringdtype_kwargs",
        _NUMPY + "_core/_internal.py",
        "data",
        versions="2",
    ),
    Group("numpy", "constructor", "dtype", _NUMPY + "_core/src/multiarray/descriptor.c (arraydescr_reduce)"),
    Group("numpy", "class", "ndarray", _NUMPY + "_core/src/multiarray/methods.c (array_reduce)"),
    Group(
        "numpy",
        "constructor",
        "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble complex64 "
        "complex128 str_ bytes_ datetime64 timedelta64 void object_",
        _NUMPY + "_core/src/multiarray/scalartypes.c.src",
        "data",
    ),
    Group(
        "numpy",
        "value",
        "abs absolute add arccos arcsin arctan cbrt ceil cos cosh divide exp exp2 expm1 fabs floor invert log log10 "
        "log1p log2 maximum mean median minimum multiply negative nanmean nanmedian power reciprocal rint sign sin "
        "sinh sqrt square std subtract sum tan tanh var",
        _NUMPY + "_core/src/umath/ufunc_object.c (ufunc_reduce)",
    ),
    Group("numpy numpy.matrixlib.defmatrix", "class", "matrix", _NUMPY + "matrixlib/defmatrix.py"),
    Group(
        "numpy numpy.rec numpy.core.records numpy._core.records",
        "class",
        "recarray record",
        _NUMPY + "_core/records.py",
    ),
    Group(
        "numpy numpy.lib.polynomial numpy.lib._polynomial_impl", "class", "poly1d", _NUMPY + "lib/_polynomial_impl.py"
    ),
    Group("numpy.ma numpy.ma.core", "class", "MaskedArray", _NUMPY + "ma/core.py"),
    Group("numpy.ma.core", "function", "_mareconstruct", _NUMPY + "ma/core.py", "class first"),
    Group(
        "numpy.dtypes",
        "constructor",
        "BoolDType Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType UInt32DType UInt64DType "
        "Float16DType Float32DType Float64DType Complex64DType Complex128DType StringDType StrDType BytesDType "
        "ObjectDType VoidDType DateTime64DType TimeDelta64DType LongDoubleDType",
        _NUMPY + "dtypes.py",
        "data",
    ),
    Group("numpy.random", "function", "__RandomState_ctor", _NUMPY + "random/_pickle.py", "data", versions="<1.17"),
    Group(
        "numpy.random._pickle",
        "function",
        "__randomstate_ctor __generator_ctor __bit_generator_ctor",
        _NUMPY + "random/_pickle.py",
        "class or text",
    ),
    Group(
        "numpy.random.bit_generator",
        "function",
        "__pyx_unpickle_SeedSequence",
        _NUMPY + "random/bit_generator.pyx",
        "class first",
    ),
    Group("numpy.random.bit_generator", "class", "SeedSequence", _NUMPY + "random/bit_generator.pyx"),
    Group("numpy.random._mt19937", "class", "MT19937", _NUMPY + "random/_mt19937.pyx"),
    Group("numpy.random._pcg64", "class", "PCG64 PCG64DXSM", _NUMPY + "random/_pcg64.pyx"),
    Group("numpy.random._philox", "class", "Philox", _NUMPY + "random/_philox.pyx"),
    Group("numpy.random._sfc64", "class", "SFC64", _NUMPY + "random/_sfc64.pyx"),
    *(
        Group(
            f"scipy.sparse._{kind} scipy.sparse.{kind}",
            "class",
            f"{kind}_matrix {kind}_array",
            _SCIPY + f"sparse/_{kind}.py",
            items=kind == "dok",
        )
        for kind in _FORMATS.split()
    ),
    Group("scipy.interpolate._bsplines", "class", "BSpline", _SCIPY + "interpolate/_bsplines.py"),
    Group("scipy.interpolate._cubic", "class", "CubicSpline PchipInterpolator", _SCIPY + "interpolate/_cubic.py"),
    Group("scipy.interpolate._interpolate", "class", "PPoly", _SCIPY + "interpolate/_interpolate.py"),
    Group("scipy.spatial._kdtree scipy.spatial.kdtree", "class", "KDTree", _SCIPY + "spatial/_kdtree.py"),
    Group("scipy.spatial._ckdtree scipy.spatial.ckdtree", "class", "cKDTree", _SCIPY + "spatial/_ckdtree.pyx"),
    Group(
        "scipy._lib.array_api_compat.numpy._aliases",
        "value",
        "asarray",
        "https://github.com/data-apis/array-api-compat/blob/main/array_api_compat/numpy/_aliases.py",
    ),
    Group(
        "joblib.numpy_pickle",
        "class",
        "NumpyArrayWrapper",
        "https://github.com/joblib/joblib/blob/main/joblib/numpy_pickle.py",
    ),
)
FAMILIES: tuple[Family, ...] = ()
