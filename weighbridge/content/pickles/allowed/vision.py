"""Vision models that are pickled whole: ultralytics' YOLO, timm, torchvision. Each is a `torch.nn.Module` (torch).

YOLOv5 and its children name modules of a working copy (`models.yolo`), which may be anybody's: they are not here.
"""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_ULTRALYTICS = "https://github.com/ultralytics/ultralytics/blob/main/ultralytics/"
_TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/timm/"
_TORCHVISION = "https://github.com/pytorch/vision/blob/main/torchvision/"

GROUPS = (
    Group(
        "ultralytics.utils ultralytics.yolo.utils",
        "class",
        "IterableSimpleNamespace",
        _ULTRALYTICS + "utils/__init__.py",
        objects=True,
    ),
    Group(
        "torchvision.transforms.functional",
        "enum",
        "InterpolationMode",
        _TORCHVISION + "transforms/functional.py",
        objects=True,
    ),
)
FAMILIES = (
    Family(r"ultralytics\.nn\.(tasks|modules(\.\w+)?)", _ULTRALYTICS + "nn/tasks.py"),
    Family(r"ultralytics\.utils\.(tal|loss)", _ULTRALYTICS + "utils/loss.py"),
    Family(r"timm\.(models|layers)(\.\w+)+", _TIMM + "models/"),
    Family(r"torchvision\.(models|ops)(\.\w+)+", _TORCHVISION + "models/"),
    Family(r"torchvision\.transforms\.transforms", _TORCHVISION + "transforms/transforms.py"),
)
