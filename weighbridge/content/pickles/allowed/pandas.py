"""pandas: frames, series, their indexes and types. Blocks of a frame are numpy arrays."""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_PANDAS = "https://github.com/pandas-dev/pandas/blob/main/pandas/"
_ARROW = "https://github.com/apache/arrow/blob/main/python/pyarrow/"
_INDEXES = "Index RangeIndex MultiIndex CategoricalIndex DatetimeIndex TimedeltaIndex PeriodIndex IntervalIndex"
_ARRAYS = "BooleanArray IntegerArray FloatingArray SparseArray StringArray ArrowStringArray"

GROUPS = (
    Group("pandas pandas.core.frame", "class", "DataFrame", _PANDAS + "core/generic.py (__setstate__)", objects=True),
    Group("pandas pandas.core.series", "class", "Series", _PANDAS + "core/generic.py (__setstate__)", objects=True),
    Group("pandas", "class", f"{_INDEXES} Categorical", _PANDAS + "core/indexes/base.py", objects=True),
    *(
        Group(f"pandas.core.indexes.{module}", "class", name, _PANDAS + f"core/indexes/{module}.py", objects=True)
        for module, name in {
            "base": "Index",
            "range": "RangeIndex",
            "multi": "MultiIndex",
            "category": "CategoricalIndex",
            "datetimes": "DatetimeIndex",
            "timedeltas": "TimedeltaIndex",
            "period": "PeriodIndex",
            "interval": "IntervalIndex",
            "numeric": "Int64Index UInt64Index Float64Index",
        }.items()
    ),
    Group(
        "pandas.core.indexes.base",
        "function",
        "_new_Index",
        _PANDAS + "core/indexes/base.py",
        "class first",
        objects=True,
    ),
    Group(
        "pandas.core.indexes.datetimes",
        "function",
        "_new_DatetimeIndex",
        _PANDAS + "core/indexes/datetimes.py",
        "class first",
        objects=True,
    ),
    Group(
        "pandas.core.indexes.timedeltas pandas.core.indexes.interval pandas.core.indexes.period",
        "function",
        "_new_TimedeltaIndex _new_IntervalIndex _new_PeriodIndex",
        _PANDAS + "core/indexes/",
        "class first",
        objects=True,
    ),
    Group(
        "pandas.core.internals.managers",
        "constructor",
        "BlockManager SingleBlockManager",
        _PANDAS + "core/internals/managers.py",
        objects=True,
    ),
    Group("pandas._libs.internals", "function", "_unpickle_block", _PANDAS + "_libs/internals.pyx", objects=True),
    Group(
        "pandas._libs.arrays",
        "function",
        "__pyx_unpickle_NDArrayBacked",
        _PANDAS + "_libs/arrays.pyx",
        "class first",
        objects=True,
    ),
    Group(
        "pandas.arrays",
        "class",
        f"{_ARRAYS} DatetimeArray TimedeltaArray PeriodArray IntervalArray",
        _PANDAS + "core/arrays/",
        objects=True,
    ),
    Group(
        "pandas.core.arrays.datetimes pandas.core.arrays.timedeltas pandas.core.arrays.period "
        "pandas.core.arrays.categorical pandas.core.arrays.interval pandas.core.arrays.boolean "
        "pandas.core.arrays.integer pandas.core.arrays.floating pandas.core.arrays.string_ "
        "pandas.core.arrays.string_arrow pandas.core.arrays.sparse.array pandas.core.arrays.numpy_",
        "class",
        f"{_ARRAYS} DatetimeArray TimedeltaArray PeriodArray IntervalArray Categorical PandasArray NumpyExtensionArray",
        _PANDAS + "core/arrays/",
        objects=True,
    ),
    Group(
        "pandas pandas.core.dtypes.dtypes pandas.core.arrays.boolean pandas.core.arrays.integer "
        "pandas.core.arrays.floating pandas.core.arrays.string_",
        "constructor",
        "BooleanDtype StringDtype CategoricalDtype PeriodDtype IntervalDtype DatetimeTZDtype SparseDtype Int8Dtype "
        "Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype Float32Dtype Float64Dtype",
        _PANDAS + "core/dtypes/dtypes.py",
        "plain value",
        objects=True,
    ),
    Group("pandas pandas._libs.missing", "value", "NA NaT", _PANDAS + "_libs/missing.pyx", objects=True),
    Group("pandas", "constructor", "Interval Period Timestamp Timedelta", _PANDAS + "_libs/", objects=True),
    Group(
        "pandas._libs.tslibs.nattype",
        "function",
        "_nat_unpickle",
        _PANDAS + "_libs/tslibs/nattype.pyx",
        "plain value",
        objects=True,
    ),
    Group(
        "pandas._libs.tslibs.timestamps",
        "function",
        "_unpickle_timestamp",
        _PANDAS + "_libs/tslibs/timestamps.pyx",
        objects=True,
    ),
    Group(
        "pandas._libs.tslibs.timedeltas",
        "function",
        "_timedelta_unpickle",
        _PANDAS + "_libs/tslibs/timedeltas.pyx",
        "plain value",
        objects=True,
    ),
    Group("pandas._libs.sparse", "constructor", "IntIndex BlockIndex", _PANDAS + "_libs/sparse.pyx", objects=True),
    Group("pyarrow.lib", "function", "_restore_array py_buffer type_for_alias", _ARROW + "array.pxi", objects=True),
)
FAMILIES = (
    Family(
        r"pandas\._libs\.tslibs\.offsets", _PANDAS + "_libs/tslibs/offsets.pyx", "constructor", arguments="plain value"
    ),
)
