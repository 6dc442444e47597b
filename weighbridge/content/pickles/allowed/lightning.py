"""PyTorch Lightning's checkpoints and what people keep in their hyper-parameters: OmegaConf, pyannote's tasks."""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_LIGHTNING = "https://github.com/Lightning-AI/pytorch-lightning/blob/master/src/lightning/"
_OMEGACONF = "https://github.com/omry/omegaconf/blob/master/omegaconf/"
_PYANNOTE = "https://github.com/pyannote/pyannote-audio/blob/develop/src/pyannote/audio/core/"
_CALLBACKS = "pytorch_lightning.callbacks lightning.pytorch.callbacks"

GROUPS = (
    Group(
        "pytorch_lightning.utilities.parsing lightning.pytorch.utilities.parsing lightning_fabric.utilities.data "
        "lightning.fabric.utilities.data",
        "class",
        "AttributeDict",
        _LIGHTNING + "fabric/utilities/data.py",
        items=True,
    ),
    Group(
        " ".join(
            f"{root}.{module}"
            for root in _CALLBACKS.split()
            for module in ("model_checkpoint", "early_stopping", "lr_monitor", "timer")
        ),
        "value",
        "ModelCheckpoint EarlyStopping LearningRateMonitor Timer",
        _LIGHTNING + "pytorch/callbacks/callback.py (state_key)",
        versions="<1.5: checkpoints have callbacks' classes as keys",
    ),
    Group("omegaconf.base", "class", "Metadata ContainerMetadata", _OMEGACONF + "base.py", objects=True),
    Group("omegaconf.dictconfig", "class", "DictConfig", _OMEGACONF + "basecontainer.py", objects=True),
    Group("omegaconf.listconfig", "class", "ListConfig", _OMEGACONF + "basecontainer.py", objects=True),
    Group("omegaconf.base", "enum", "SCMode ListMergeMode", _OMEGACONF + "base.py", objects=True),
    Group("pyannote.audio.core.task", "class", "Specifications", _PYANNOTE + "task.py", objects=True),
    Group("pyannote.audio.core.task", "enum", "Problem Resolution", _PYANNOTE + "task.py", objects=True),
    Group("pyannote.audio.core.model", "class", "Introspection", _PYANNOTE + "model.py", objects=True),
)
FAMILIES = (Family(r"omegaconf\.nodes", _OMEGACONF + "nodes.py", names=r"[A-Z]\w+Node"),)
