"""Class- and region-adaptive constraints on logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ._regions import boundary_pixels
from ._samples import Samples
from ._window_loss import Rows, WindowTerm, row_tiles
from ._windows import MEAN, LabelWindows

__all__ = ["REGIONS", "CRaCProblem", "region_penalty", "region_sums"]

REGIONS = ("interior", "boundary")


class CRaCProblem:
    r"""Images with windows and regions, under the constraints :math:`h_k = |s \tau_k - z_k|`.

    :math:`\tau` are the shares of the labels in the 3 x 3 window of a pixel; s is the margin in the
    interior, where the window contains one label, and 1 at the boundary, where it contains several.

    Args:
        samples: Images (N, K, H, W) with labels.
        margin: m, in logit units.
        padding: 'labelled' or 'zeros', see :class:`LabelWindows`.
    """

    def __init__(self, samples: Samples, margin: float, padding: str) -> None:
        logits, target, valid = samples
        self.samples = samples
        self.windows = LabelWindows(target, valid, logits.shape[1], MEAN, padding, logits.dtype)
        self.boundary = _boundary(target, valid, padding)
        self.size = torch.where(self.boundary, 1.0, margin).to(logits.dtype)

    def signed(self, place: Rows, logits: Tensor, shares: Tensor) -> Tensor:
        """Compute z - s tau for some rows, overwriting the shares."""
        shares.mul_(self.size[place.image, place.rows])
        return torch.sub(logits, shares, out=shares)


def region_penalty(problem: CRaCProblem, multipliers: Tensor, rho: Tensor) -> WindowTerm:
    r"""Penalty of each pixel, :math:`\sum_k \lambda_{rk} h_k + \rho_{rk} h_k^2 / 2`.

    Args:
        problem: Images and regions.
        multipliers: (2, K), for the interior and the boundary.
        rho: (2, K).

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364).
    """
    dtype, device = problem.samples.logits.dtype, problem.samples.logits.device
    lam, rho = (each.detach().to(device, dtype)[:, :, None, None] for each in (multipliers, rho))

    def term(
        place: Rows,
        logits: Tensor,
        shares: Tensor,
        weight: Tensor,
        gradient: Tensor | None,
        spare: Sequence[Tensor],
    ) -> Tensor:
        boundary = problem.boundary[place.image, place.rows]
        difference = problem.signed(place, logits, shares)
        violation, half, slope = spare
        torch.abs(difference, out=violation)
        torch.where(boundary, rho[1] / 2, rho[0] / 2, out=half).mul_(violation)
        torch.where(boundary, lam[1], lam[0], out=slope).add_(half)
        each = violation.mul_(slope).sum(0)
        if gradient is not None:
            gradient += slope.add_(half).mul_(difference.sign_()).mul_(weight)
        return (each * weight).sum(dtype=torch.float64)

    return term


def region_sums(
    problem: CRaCProblem, multipliers: Tensor, rho: Tensor, lambda_max: float = 1e6
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the pixels of each region of the clipped derivative and of the violation.

    Args:
        problem: Images and regions.
        multipliers: (2, K), for the interior and the boundary.
        rho: (2, K).
        lambda_max: Upper clip of each derivative lambda + rho h.

    Returns:
        Number of pixels (2,) int64, and sums of the derivative and of h, (2, K) float64. Sums are
        not finite if logits are not.
    """
    logits, _, valid = problem.samples
    lam, rho = (each.detach().to(logits)[:, :, None, None] for each in (multipliers, rho))
    count = torch.zeros(2, dtype=torch.int64, device=logits.device)
    derivative = torch.zeros(2, logits.shape[1], dtype=torch.float64, device=logits.device)
    total = torch.zeros_like(derivative)
    for place in row_tiles(logits):
        z = logits[place.image, :, place.rows]
        boundary = problem.boundary[place.image, place.rows]
        counts = torch.ones_like(boundary) if valid is None else valid[place.image, place.rows]
        z = z.masked_fill(~counts, 0)
        shares = problem.windows.shares(place.image, place.rows)
        violation = problem.signed(place, z, shares).abs_()
        for number, region in enumerate((counts & ~boundary, counts & boundary)):
            slope = torch.addcmul(lam[number], rho[number], violation).clamp_(max=lambda_max)
            count[number] += region.sum()
            derivative[number] += (slope * region).sum((1, 2), dtype=torch.float64)
            total[number] += (violation * region).sum((1, 2), dtype=torch.float64)
    return count, derivative, total


def _boundary(target: Tensor, valid: Tensor | None, padding: str) -> Tensor:
    """Pixels whose window contains several labels, (N, H, W) bool; never void pixels."""
    nothing = torch.iinfo(target.dtype).min
    code = target if valid is None else target.masked_fill(~valid, nothing)
    if padding != "zeros":
        return boundary_pixels(code, ignore_index=nothing)
    return boundary_pixels(F.pad(code, (1,) * 4), ignore_index=nothing)[:, 1:-1, 1:-1]
