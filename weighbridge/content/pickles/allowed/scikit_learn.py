"""scikit-learn and imbalanced-learn: estimators whose state is data, and the functions that they keep.

`BaseEstimator.__setstate__` compares versions and fills the instance's dictionary; the compiled classes (trees, losses,
distances) copy arrays. An estimator that calls a function which it keeps does so when somebody fits it or predicts.
`sklearn.datasets` downloads, `sklearn.externals` and `sklearn.utils` hold all kinds of functions: they are not here.
"""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_SKLEARN = "https://github.com/scikit-learn/scikit-learn/blob/main/sklearn/"
_IMBLEARN = "https://github.com/scikit-learn-contrib/imbalanced-learn/blob/master/imblearn/"
_BESIDES = ("datasets", "externals", "utils", "callback", "experimental", "_build_utils", "tests", "conftest")

GROUPS = (
    Group("sklearn.tree._tree", "constructor", "Tree", _SKLEARN + "tree/_tree.pyx", objects=True),
    Group(
        "sklearn.neighbors._quad_tree", "constructor", "_QuadTree", _SKLEARN + "neighbors/_quad_tree.pyx", objects=True
    ),
    Group(
        "sklearn.neighbors._kd_tree sklearn.neighbors._ball_tree sklearn.neighbors.kd_tree sklearn.neighbors.ball_tree "
        "sklearn.metrics._dist_metrics sklearn.neighbors._dist_metrics sklearn.neighbors.dist_metrics",
        "function",
        "newObj",
        _SKLEARN + "metrics/_dist_metrics.pyx.tp",
        "class first",
        objects=True,
    ),
    Group(
        "sklearn.impute._iterative",
        "constructor",
        "_ImputerTriplet",
        _SKLEARN + "impute/_iterative.py",
        objects=True,
    ),
    Group(
        "sklearn.utils sklearn.utils._bunch",
        "class",
        "Bunch",
        _SKLEARN + "utils/_bunch.py",
        items=True,
        objects=True,
    ),
)
FAMILIES = (
    Family(r"sklearn\._loss\._loss", _SKLEARN + "_loss/_loss.pyx.tp", "constructor", r"Cy\w+", arguments="data"),
    Family(
        r"sklearn\.linear_model\._?sgd_fast",
        _SKLEARN + "linear_model/_sgd_fast.pyx.tp",
        "constructor",
        arguments="data",
    ),
    Family(r"sklearn\.utils\._metadata_requests", _SKLEARN + "utils/_metadata_requests.py"),
    Family(
        r"sklearn\.(metrics\._(classification|regression|ranking)|feature_selection\._univariate_selection"
        r"|metrics\.pairwise|cluster\._kmeans)",
        _SKLEARN + "metrics/_scorer.py",
        "value",
        r"_?[a-z][a-z0-9_]*",
    ),
    Family(r"sklearn(\.\w+)+", _SKLEARN + "base.py", besides=tuple(f"sklearn.{name}" for name in _BESIDES)),
    Family(
        r"imblearn(\.\w+)+",
        _IMBLEARN + "base.py",
        besides=tuple(f"imblearn.{name}" for name in (*_BESIDES, "keras", "tensorflow")),
    ),
)
