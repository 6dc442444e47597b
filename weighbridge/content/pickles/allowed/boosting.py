"""XGBoost, LightGBM and CatBoost: a booster's state is the model in the library's own format, which is data."""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_XGBOOST = "https://github.com/dmlc/xgboost/blob/master/python-package/xgboost/"
_LIGHTGBM = "https://github.com/microsoft/LightGBM/blob/master/python-package/lightgbm/"
_CATBOOST = "https://github.com/catboost/catboost/blob/master/catboost/python-package/catboost/"

GROUPS = (
    Group("xgboost.core", "class", "Booster", _XGBOOST + "core.py (Booster.__setstate__)", objects=True),
    Group("xgboost.compat", "class", "XGBoostLabelEncoder", _XGBOOST + "compat.py", objects=True, versions="<2"),
    Group("lightgbm.basic", "class", "Booster", _LIGHTGBM + "basic.py (Booster.__setstate__)", objects=True),
    Group("lightgbm.compat", "class", "_LGBMLabelEncoder LGBMLabelEncoder", _LIGHTGBM + "compat.py", objects=True),
)
FAMILIES = (
    Family(r"xgboost\.sklearn", _XGBOOST + "sklearn.py", names=r"XGB\w+"),
    Family(r"lightgbm\.sklearn", _LIGHTGBM + "sklearn.py", names=r"LGBM\w+"),
    Family(r"catboost\.core", _CATBOOST + "core.py (_CatBoostBase.__setstate__)", names=r"CatBoost\w*"),
)
