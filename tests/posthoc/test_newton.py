import math

import torch
from torch import Tensor

from cals_mm.posthoc.newton import newton_minimise


def barrier(point: Tensor) -> tuple[float, Tensor, Tensor]:
    """100 x - log x per coordinate: minimum at 0.01, defined for x > 0 only."""
    if not (point > 0).all():
        return math.inf, point, point.diag()
    return float((100 * point - point.log()).sum()), 100 - 1 / point, (point**-2).diag()


def test_stays_in_the_domain_and_lowers_the_value_at_every_step() -> None:
    seen = []

    def watched(point: Tensor) -> tuple[float, Tensor, Tensor]:
        seen.append(barrier(point)[0])
        return barrier(point)

    # Far from the minimum: the full Newton step leaves the domain.
    found = newton_minimise(watched, torch.tensor([1.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found, torch.full_like(found, 0.01), rtol=1e-4, atol=0)
    assert math.inf in seen
    assert barrier(found)[0] == min(seen)


def test_where_rounding_hides_the_gain_it_ends() -> None:
    start = torch.tensor([0.01], dtype=torch.float64)
    huge = 1e20

    def hidden(point: Tensor) -> tuple[float, Tensor, Tensor]:
        value, gradient, hessian = barrier(point)
        return value + huge, gradient + 1e-3, hessian * 1e-3

    assert torch.isfinite(newton_minimise(hidden, start)).all()
