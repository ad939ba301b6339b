import pytest
import torch

from cals_mm.core import suggest_margin


def overconfident(scale: float, samples: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are ``scale`` times those that the labels were drawn from."""
    torch.manual_seed(0)
    calibrated = 2 * torch.randn(samples, 5)
    target = torch.distributions.Categorical(logits=calibrated).sample()
    return scale * calibrated, target


def test_margin_does_not_depend_on_how_overconfident_the_model_is() -> None:
    suggestions = [suggest_margin(*overconfident(scale)) for scale in (1.5, 2.0, 5.0)]
    for suggestion in suggestions:
        assert suggestion.overconfident
        assert suggestion.gap > 0.01
        assert suggestion.margin == pytest.approx(suggestions[0].margin, rel=1e-3)
    assert [s.temperature for s in suggestions] == pytest.approx([1.5, 2.0, 5.0], rel=0.02)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_says_when_there_is_nothing_to_mend(scale: float) -> None:
    suggestion = suggest_margin(*overconfident(scale))
    assert not suggestion.overconfident
    assert suggestion.gap < 0.01


def test_a_smaller_quantile_gives_a_smaller_margin() -> None:
    data = overconfident(2.0)
    margins = [suggest_margin(*data, quantile=q).margin for q in (0.1, 0.5, 0.9)]
    assert margins == sorted(margins)
    with pytest.raises(ValueError, match="quantile .* 1.5"):
        suggest_margin(*data, quantile=1.5)
