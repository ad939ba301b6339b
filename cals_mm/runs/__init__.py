"""What the scripts in `tools/` share: arguments, checks before a run, and error handling.

Importing ``mmengine.runner`` takes about a second, and missing data must be told before that. So no
module here imports it at the top.
"""

from cals_mm.frameworks.checkpoints import check_checkpoint, find_last_checkpoint, is_remote

from .amp import note_of_slow_precision, use_mixed_precision
from .arguments import add_common_arguments, add_launcher_argument
from .check_data import check_data
from .config_file import check_test_split, check_training, load_config
from .conformal import fit_sets, fit_threshold, sets_reached, threshold_reached
from .corruption import Corruption, corrupt_test_images
from .data_root import set_data_root
from .devices import prepare_devices, rank
from .errors import on_interrupt, run
from .glove import use_glove
from .held_out import held_out_halves, held_out_logits, held_out_runner, refuse_test_files
from .pretrained import train_demo_from_scratch
from .runner import build_runner, data_explained
from .scaling import Scaling, calibration_test, held_out_temperature, scale_model_
from .screen import quiet_opencv
from .split import Prediction, batch_predictions, split_predictions, trained_runner
from .threads import choose_threads, cores, use_threads
from .work_dir import (
    check_writable,
    default_work_dir,
    prepare_work_dir,
    refuse_to_overwrite,
    written_by,
)

__all__ = [
    "Corruption",
    "Prediction",
    "Scaling",
    "add_common_arguments",
    "add_launcher_argument",
    "batch_predictions",
    "build_runner",
    "calibration_test",
    "check_checkpoint",
    "check_data",
    "check_test_split",
    "check_training",
    "check_writable",
    "choose_threads",
    "cores",
    "corrupt_test_images",
    "data_explained",
    "default_work_dir",
    "find_last_checkpoint",
    "fit_sets",
    "fit_threshold",
    "held_out_halves",
    "held_out_logits",
    "held_out_runner",
    "held_out_temperature",
    "is_remote",
    "load_config",
    "note_of_slow_precision",
    "on_interrupt",
    "prepare_devices",
    "prepare_work_dir",
    "quiet_opencv",
    "rank",
    "refuse_test_files",
    "refuse_to_overwrite",
    "run",
    "scale_model_",
    "set_data_root",
    "sets_reached",
    "split_predictions",
    "threshold_reached",
    "train_demo_from_scratch",
    "trained_runner",
    "use_glove",
    "use_mixed_precision",
    "use_threads",
    "written_by",
]
