"""Read and change configs: the head that predicts, its loss, and the training method."""

from .difference import config_difference
from .for_training import for_training
from .fused_resize import with_fused_resize
from .hold_out import counts_iterations, hold_out_training_data, shares_test_files
from .loss_site import LossSite, find_site, type_name
from .metric import (
    SCALED,
    append_metric,
    calibration_metric,
    measure_calibration,
    metrics_of,
    with_metric,
    with_output_names,
    with_scaled_metrics,
)
from .options import nested
from .suitable import suitable_methods
from .with_method import add_cals, with_method

__all__ = [
    "SCALED",
    "LossSite",
    "add_cals",
    "append_metric",
    "calibration_metric",
    "config_difference",
    "counts_iterations",
    "find_site",
    "for_training",
    "hold_out_training_data",
    "measure_calibration",
    "metrics_of",
    "nested",
    "shares_test_files",
    "suitable_methods",
    "type_name",
    "with_fused_resize",
    "with_method",
    "with_metric",
    "with_output_names",
    "with_scaled_metrics",
]
