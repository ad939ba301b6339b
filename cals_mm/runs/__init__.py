"""What the scripts under `tools/` share: arguments, checks before a run, the error boundary."""

from cals_mm.frameworks.checkpoints import check_checkpoint, find_last_checkpoint, is_remote

from .arguments import add_common_arguments, add_launcher_argument
from .config_file import check_test_split, load_config
from .data_root import set_data_root
from .devices import prepare_devices, rank
from .errors import run
from .glove import use_glove
from .held_out import held_out_logits, held_out_runner
from .precision import use_mixed_precision
from .pretrained import train_demo_from_scratch
from .runner import build_runner, data_explained
from .split import Prediction, batch_predictions, split_predictions, trained_runner
from .work_dir import check_writable, default_work_dir, prepare_work_dir, refuse_to_overwrite

__all__ = [
    "Prediction",
    "add_common_arguments",
    "add_launcher_argument",
    "batch_predictions",
    "build_runner",
    "check_checkpoint",
    "check_test_split",
    "check_writable",
    "data_explained",
    "default_work_dir",
    "find_last_checkpoint",
    "held_out_logits",
    "held_out_runner",
    "is_remote",
    "load_config",
    "prepare_devices",
    "prepare_work_dir",
    "rank",
    "refuse_to_overwrite",
    "run",
    "set_data_root",
    "split_predictions",
    "train_demo_from_scratch",
    "trained_runner",
    "use_glove",
    "use_mixed_precision",
]
