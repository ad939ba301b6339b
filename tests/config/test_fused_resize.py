"""The hook that lets segmentation heads compute their losses before resizing, in a config."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from cals_mm.config import with_fused_resize
from cals_mm.methods import METHODS


@pytest.mark.parametrize(
    "hooks, expected",
    [
        ([], ["FusedResizeHook"]),
        ([{"type": "EMAHook"}], ["EMAHook", "FusedResizeHook"]),
        ([{"type": "FusedResizeHook"}], ["FusedResizeHook"]),
        ([{"type": "CALSMultiplierHook"}], ["CALSMultiplierHook"]),
        (
            [{"type": "CALSMultiplierHook", "fused_resize": False}],
            ["CALSMultiplierHook", "FusedResizeHook"],
        ),
    ],
)
def test_the_hook_is_there_once(hooks, expected):
    cfg = Config(dict(model=dict(type="EncoderDecoder"), custom_hooks=hooks))
    before = cfg.to_dict()
    new = with_fused_resize(cfg)
    assert [hook["type"] for hook in new.custom_hooks] == expected
    assert new.custom_imports.imports == ["cals_mm"]
    assert cfg.to_dict() == before


def test_a_dictionary_is_no_config():
    with pytest.raises(TypeError, match="must be an mmengine Config, got dict"):
        with_fused_resize({})


def test_methods_that_do_without_resized_logits():
    names = [name for name, method in METHODS.items() if method.resizes]
    assert {"cals", "cals_hr", "mbls", "label_smoothing"} <= set(names)
    assert not {"ce", "focal", "brier", "cals_sample"} & set(names)
