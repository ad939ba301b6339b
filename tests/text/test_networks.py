"""The networks over words train with the core alone: torch, and nothing of OpenMMLab."""

import pytest
import torch
from torch import nn

from cals_mm.core import AugmentedLagrangian, CalibrationMeter
from cals_mm.functional import cals_loss
from cals_mm.text import GlobalPoolingCNN, MeanPoolingMLP


@pytest.mark.parametrize("network", [GlobalPoolingCNN, MeanPoolingMLP])
def test_training_with_multipliers(network):
    torch.manual_seed(0)
    model = nn.Sequential(network(20, embedding_dim=16, channels=16), nn.Linear(16, 2))
    target = torch.arange(40) % 2
    # The first word tells the class; the end of each text is padding.
    texts = torch.cat(
        [2 + 9 * target[:, None] + torch.randint(9, (40, 1)), torch.zeros(40, 3).long()], 1
    )
    lagrangian = AugmentedLagrangian(num_classes=2, margin=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        logits = model(texts)
        multipliers, rho = lagrangian.multipliers, lagrangian.rho
        loss = cals_loss(logits, target, multipliers, rho, margin=0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        statistics = lagrangian.start_dual_epoch()
        statistics.update(logits.detach())
        lagrangian.step_(statistics)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert int(lagrangian.num_updates) == 20
    assert (lagrangian.multipliers > 1e-6).all(), "logits beyond the margin have raised them"
    meter = CalibrationMeter()
    meter.update(model(texts).detach(), target)
    assert meter.compute()["accuracy"] > 90
