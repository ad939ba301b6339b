"""Resampled figures are made once for each test, and again if the test is."""

import os

import pytest
import torch

from cals_mm.benchmark.reporting import resampled
from cals_mm.benchmark.reporting.bootstrap import resampled_image_values, resampled_values
from cals_mm.benchmark.reporting.resampled import RESAMPLED, resampled_figures
from cals_mm.functional import image_sums

DRAWS = 20


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(resampled, "DRAWS", DRAWS)


def leave_logits(file, seed, age=0):
    """Logits of single samples, as a test writes them, ``age`` seconds ago."""
    generator = torch.Generator().manual_seed(seed)
    content = {
        "logits": 3 * torch.randn(50, 4, generator=generator),
        "target": torch.randint(4, (50,), generator=generator),
    }
    torch.save(content, file)
    os.utime(file, ns=(file.stat().st_mtime_ns - age * 10**9,) * 2)
    return content


def leave_images(file, seed, scale):
    """Sums of single images, as a test writes them."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(6, 4, 5, 5, generator=generator)
    target = torch.randint(4, (6, 5, 5), generator=generator)
    images = [image_sums(each, labels) for each, labels in zip(logits, target, strict=True)]
    sums = {name: torch.stack([image[name] for image in images]) for name in images[0]}
    torch.save(sums, file)
    return sums


def test_of_logits(tmp_path):
    file = tmp_path / "predictions.pt"
    content = leave_logits(file, seed=0)
    found = resampled_figures(tmp_path, ((file, file),), 2.0)
    logits, target = content.values()
    plain, scaled = (resampled_values(part, target, DRAWS) for part in (logits, logits / 2))
    torch.testing.assert_close(found, torch.cat([plain, scaled], 1).float(), rtol=0, atol=0)


def test_of_images_the_mean_over_several_tests(tmp_path):
    pairs, single = [], []
    for seed in (0, 1):
        pair = tmp_path / f"image-sums-{seed}.pt", tmp_path / f"image-sums-scaled-{seed}.pt"
        sums = [leave_images(file, seed, scale) for file, scale in zip(pair, (3, 2), strict=True)]
        single.append(resampled_image_values(*sums, DRAWS))
        pairs.append(pair)
    found = resampled_figures(tmp_path, tuple(pairs), 1.5)
    assert not torch.equal(*single)
    torch.testing.assert_close(found, ((single[0] + single[1]) / 2).float(), rtol=1e-6, atol=0)


def test_what_a_test_kept_is_not_needed_again(tmp_path):
    file = tmp_path / "predictions.pt"
    assert resampled_figures(tmp_path, ((file, file),), 2.0) is None
    leave_logits(file, seed=0)
    first = resampled_figures(tmp_path, ((file, file),), 2.0)
    file.unlink()
    assert torch.equal(resampled_figures(tmp_path, ((file, file),), 2.0), first)
    other = tmp_path / "predictions-blur-3.pt"
    assert resampled_figures(tmp_path, ((other, other),), 2.0) is None, "figures of other files"


def test_a_newer_test_is_resampled_again(tmp_path):
    file = tmp_path / "predictions.pt"
    leave_logits(file, seed=0, age=10)
    first = resampled_figures(tmp_path, ((file, file),), 2.0)
    made = (tmp_path / RESAMPLED).stat().st_mtime_ns
    leave_logits(file, seed=0, age=9)
    assert torch.equal(resampled_figures(tmp_path, ((file, file),), 2.0), first)
    assert (tmp_path / RESAMPLED).stat().st_mtime_ns == made, "read, not made"
    leave_logits(file, seed=1, age=-10)
    assert not torch.equal(resampled_figures(tmp_path, ((file, file),), 2.0), first)
