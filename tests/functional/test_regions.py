import pytest
import torch
from torch import Tensor

from cals_mm.functional._regions import boundary_pixels


def by_pixel(image: Tensor, size: int, ignored: int | None) -> Tensor:
    """Every pixel against every pixel of its neighbourhood."""
    height, width = image.shape
    reach = size // 2
    result = torch.zeros_like(image, dtype=torch.bool)
    for y in range(height):
        for x in range(width):
            window = image[
                max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1
            ].flatten()
            classes = set(window.tolist()) - {ignored}
            result[y, x] = image[y, x] != ignored and len(classes) > 1
    return result


@pytest.mark.parametrize("ignored", [255, None, 1])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_equals_the_search_pixel_by_pixel(size: int, ignored: int | None) -> None:
    generator = torch.Generator().manual_seed(size)
    target = torch.randint(0, 4, (3, 3, 4), generator=generator)
    target[target == 3] = 255
    target = target.repeat_interleave(3, 1).repeat_interleave(4, 2)
    found = boundary_pixels(target, size, ignored)
    expected = torch.stack([by_pixel(image, size, ignored) for image in target])
    assert torch.equal(found, expected)
    assert found.any() and not found.all()


def test_ignored_pixels_make_no_boundary() -> None:
    target = torch.full((1, 5, 6), 7)
    target[:, 2, 3] = 255
    target[:, 0] = 255
    assert not boundary_pixels(target, 3, 255).any()
    assert boundary_pixels(target, 3, None).any()


def test_small_images_and_large_labels() -> None:
    assert not boundary_pixels(torch.zeros(2, 1, 1, dtype=torch.long), 5).any()
    far = 2**60
    target = torch.tensor([[[far, far + 1, far + 1, far + 1]]])  # equal in float64
    assert boundary_pixels(target).tolist() == [[[True, True, False, False]]]


def test_volumes_have_26_neighbours() -> None:
    target = torch.zeros(1, 4, 4, 4, dtype=torch.long)
    target[0, 0, 0, 0] = 1
    assert boundary_pixels(target).sum() == 8


@pytest.mark.parametrize("size", [1, 2, 4, 3.5, True])
def test_sizes_without_a_middle_are_named(size) -> None:
    with pytest.raises(ValueError, match=f"odd and at least 3, got {size}"):
        boundary_pixels(torch.zeros(1, 3, 3, dtype=torch.long), size)
    with pytest.raises(ValueError, match="have no neighbours"):
        boundary_pixels(torch.zeros(3, dtype=torch.long))
