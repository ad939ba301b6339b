"""Which modules have no examples to run, and formatting that is done once for each config."""

from functools import cache
from importlib.util import find_spec
from typing import Any

collect_ignore = [] if find_spec("triton") else ["cals_mm/functional/backends/triton_kernels.py"]


def _format_configs_once() -> None:
    """Remember what yapf made of a text.

    MMEngine formats the same config about five times a run, which takes up to
    two seconds each time.
    """
    if not (find_spec("yapf") and find_spec("mmengine")):
        return
    import mmengine.config.config
    import yapf.yapflib.yapf_api

    format_code = yapf.yapflib.yapf_api.FormatCode

    @cache
    def formatted(text: str, options: str) -> Any:
        return format_code(text, **eval(options))

    def format_once(text: str, **options: Any) -> Any:
        return formatted(text, repr(options))

    yapf.yapflib.yapf_api.FormatCode = format_once
    if hasattr(mmengine.config.config, "FormatCode"):  # imported at the top before 0.11
        mmengine.config.config.FormatCode = format_once


_format_configs_once()
