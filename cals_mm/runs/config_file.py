"""Read and check a config file; errors in it are reported in one line."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.utils import import_modules_from_strings

from cals_mm.config import shares_test_files, type_name
from cals_mm.frameworks.shared_files import test_data_error
from cals_mm.packaged import config_file, leave_scope

__all__ = ["check_test_split", "check_training", "import_modules", "load_config"]

SUFFIXES = (".py", ".json", ".yaml", ".yml")


def load_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Its ``custom_imports`` are imported by :func:`import_modules`.

    Args:
        path: Config file, relative to the working directory, or the name of a packaged config.
        options: Changes, with dotted keys.

    Raises:
        FileNotFoundError: If the file, or one of its base files, does not exist.
        ValueError: If it is not a config file or cannot be executed.
    """
    file = config_file(path)
    if file.suffix not in SUFFIXES:
        raise ValueError(f"config file {path!r} must end in one of {', '.join(SUFFIXES)}")
    try:
        # The frameworks take seconds to import: later, when the data are there.
        cfg = Config.fromfile(str(file), import_custom_modules=False)
    except ImportError as error:
        explanation = _explain_scope(file, error)
        if explanation is None:
            raise  # already names the missing package
        raise ValueError(explanation) from error
    except OSError:
        raise  # already names the missing file
    except Exception as error:
        # A config is a program and may raise any exception.
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ValueError(
            f"config file {path!r} cannot be read{where}: {type(error).__name__}: {error}"
        ) from error
    leave_scope(cfg._cfg_dict)
    if options:
        cfg.merge_from_dict(dict(options))
    if not isinstance(cfg.get("model"), ConfigDict):
        raise ValueError(f"config file {path!r} has no model; give the config of a training run")
    return cfg


def import_modules(cfg: Config) -> None:
    """Import the modules in ``custom_imports``, as ``Config.fromfile`` does.

    Raises:
        ImportError: If one cannot be imported; the message names it.
    """
    if cfg.get("custom_imports"):
        import_modules_from_strings(**cfg.custom_imports)


def _explain_scope(file: Path, error: ImportError) -> str | None:
    """Explain a failing ``_base_ = 'mmseg::...'`` if the framework has another distribution name.

    MMEngine asks to install mmsegmentation then, which would replace the installed framework.
    """
    for package, name in (("mmseg", "mmsegmentation"), ("mmpretrain", "mmpretrain")):
        missing = error.name or str(error).split(" ", 1)[0]
        found = importlib.util.find_spec(package)
        if missing not in (package, name) or found is None or found.origin is None:
            continue
        folder = Path(found.origin).parent / ".mim" / "configs"
        return (
            f"config file {str(file)!r}: _base_ = '{package}::...' looks for the distribution "
            f"{name}, but {package} is installed under another name, and installing {name} beside "
            f"it would break it; write the path of the file instead: _base_ = '{folder}/...'"
        )
    return None


def check_training(cfg: Config) -> None:
    """Reject configs that MMEngine would reject later, or with a long traceback.

    Raises:
        ValueError: If something is missing, or not possible on this machine.
    """
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}, so nothing can be trained; set it")
    for split in ("val", "test"):
        keys = [f"{split}_{part}" for part in ("dataloader", "cfg", "evaluator")]
        there = [key for key in keys if cfg.get(key) is not None]
        missing = [key for key in keys if key not in there]
        if there and missing:
            cure = f"{split}_cfg = dict()" if missing[0].endswith("cfg") else f"{missing[0]} = ..."
            raise ValueError(
                f"the config has {' and '.join(there)} but no {' and no '.join(missing)}: add "
                f"{cure}, or set all three to None"
            )
    wrapper = cfg.optim_wrapper
    amp = isinstance(wrapper, dict) and type_name(wrapper) == "AmpOptimWrapper"
    if amp and get_device() == "cpu":
        raise ValueError(
            "the config's AmpOptimWrapper needs a GPU: pass --amp, which trains in bfloat16 on a "
            "CPU, or set optim_wrapper.type='OptimWrapper'"
        )

    for hook in cfg.get("custom_hooks") or []:
        learns = type_name(hook) == "CALSMultiplierHook" and not hook.get("allow_test_data")
        if learns and shares_test_files(cfg):
            raise test_data_error("all")


def check_test_split(cfg: Config) -> None:
    """Reject a config without a test split.

    Raises:
        ValueError: If it has none.
    """
    for key in ("test_dataloader", "test_evaluator", "test_cfg"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}, so there is nothing to test; set it")
