"""Check the data of a config by paths and names, before model and log are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from cals_mm.config import find_site, type_name
from cals_mm.datasets.expected_files import find_missing_data
from cals_mm.frameworks.data_set_names import reads_files_only

from .config_file import import_modules
from .data_root import LOADERS, data_sets, explain_missing_data

__all__ = ["check_data"]

# It downloads its file, so only building it tells. Texts are kept, so building it again is quick.
BUILT = ("Newsgroups",)


def check_data(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Reject a config whose data are not there or do not fit.

    Folders and lists are looked for under the names in the config, for data sets of this package
    and of the frameworks; of others nothing is expected. Only when they are there, the slow import
    of the frameworks follows.

    Args:
        cfg: The config.
        loaders: Names of the loaders that the run needs.

    Raises:
        FileNotFoundError: If a folder or a list of a framework's data set is missing.
        ImportError: If a module of the config's ``custom_imports`` cannot be imported.
        ValueError: If data of this package are missing, a split is unknown, or a data set has more
            classes than the head has outputs.
    """
    found = [dataset for _, dataset in data_sets(cfg, loaders)]
    for dataset in found:
        missing = find_missing_data(type_name(dataset), dataset)
        if missing:
            raise missing
    explanation = explain_missing_data(cfg, loaders, reads_files_only)
    if explanation:
        raise FileNotFoundError(explanation)
    import_modules(cfg)
    for dataset in found:
        if type_name(dataset) in BUILT:
            DATASETS.build(dict(dataset))
    _check_classes(cfg, found)


def _check_classes(cfg: Config, found: list[Any]) -> None:
    """Refuse labels that the head has no output for, as far as the names of the classes tell."""
    try:
        outputs = find_site(cfg.model).num_classes
    except ValueError:
        return  # no softmax over classes, or no head known
    for dataset in found:
        names = _class_names(dataset, cfg.get("default_scope"))
        if names is not None and len(names) > outputs:
            raise ValueError(
                f"the data set {type_name(dataset)} has {len(names)} classes but the head "
                f"{outputs} outputs; set num_classes (and out_channels) of the head and its loss "
                "to the data set's"
            )


def _class_names(dataset: Mapping[str, Any], scope: str | None) -> Any:
    """Names of the classes in the config or in the data set's class; None if they say none."""
    if isinstance(dataset.get("classes"), (list, tuple)):  # as of mmpretrain
        return dataset["classes"]
    given = (dataset.get("metainfo") or {}).get("classes")
    if given is not None:
        return given
    with DATASETS.switch_scope_and_registry(scope) as registry:
        kind = dataset.get("type")
        found = registry.get(kind) if isinstance(kind, str) else kind
    return (getattr(found, "METAINFO", None) or {}).get("classes")
