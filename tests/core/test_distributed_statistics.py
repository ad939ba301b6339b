"""Two processes learn from a validation what one learns."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from cals_mm.core import AdaptiveFocus, RegionLagrangian, UncertaintyThreshold
from cals_mm.core._reduce import leave_process_group

STATES: dict[str, Callable[[], nn.Module]] = {
    "focus": lambda: AdaptiveFocus(num_bins=3),
    "threshold": lambda: UncertaintyThreshold(),
    "regions": lambda: RegionLagrangian(4, margin=1.0, rho_interval=2),
}


def share(rank: int, world_size: int) -> list[tuple[Tensor, Tensor]]:
    """Images of one process, with void pixels of differing number."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for number in range(5):
        logits = 6 * torch.randn(1, 4, 8, 9, generator=generator)
        target = torch.randint(0, 4, (1, 8, 9), generator=generator)
        target[:, : number + 1, :4] = 255
        target[:, 5:, 4:] = 2
        if number % world_size == rank:
            batches.append((logits, target))
    return batches


def learn(rank: int, world_size: int, name: str) -> dict[str, Tensor]:
    state = STATES[name]().double()
    for _ in range(3):
        statistics = state.start_dual_epoch()
        for logits, target in share(rank, world_size):
            statistics.update(logits, target != 255, target)
        state.step_(statistics.all_reduce_())
    return state.state_dict()


def run(rank: int, world_size: int, root: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{root}/store", rank=rank, world_size=world_size
    )
    for name in STATES:
        torch.save(learn(rank, world_size, name), f"{root}/{name}_{rank}.pt")
    leave_process_group()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    mp.spawn(run, (2, str(tmp_path)), nprocs=2, join=True)
    for name, make in STATES.items():
        expected, start = learn(0, 1, name), make().double().state_dict()
        assert any(not torch.equal(start[key], value) for key, value in expected.items())
        for rank in range(2):
            state = torch.load(tmp_path / f"{name}_{rank}.pt")
            for key, value in expected.items():
                torch.testing.assert_close(state[key], value, rtol=1e-12, atol=0)
