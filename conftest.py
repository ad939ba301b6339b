"""Which modules have no examples to run: those whose package is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("triton") else ["cals_mm/functional/backends/triton_kernels.py"]
