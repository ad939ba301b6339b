"""What is learned keeps its digits, in whatever precision the network is."""

import pytest
import torch
from torch import nn

pytest.importorskip("mmengine", reason="MMEngine is not installed")
from cals_mm import AdaFocalLoss, AvUCLoss, CALSLoss, SampleCALSLoss
from cals_mm.core import RegionLagrangian

STATES = {
    "CALS": lambda: CALSLoss(2, margin=10.0),
    "auto margin": lambda: CALSLoss(2, margin="auto"),
    "heuristic": lambda: CALSLoss(2, rule="heuristic"),
    "regions": lambda: RegionLagrangian(2),
    "focus": lambda: AdaFocalLoss(),
    "threshold": lambda: AvUCLoss(threshold=0.7),
    "samples": lambda: SampleCALSLoss(2, num_samples=5),
}
CASTS = {
    "half": lambda module: module.half(),
    "bfloat16": lambda module: module.bfloat16(),
    "to": lambda module: module.to(torch.bfloat16),
    "to device and dtype": lambda module: module.to("cpu", torch.float16),
    "type": lambda module: module.type(torch.half),
    "there and back": lambda module: module.half().float(),
}


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v for k, v in module.state_dict().items() if "class_weight" not in k}


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("kind", STATES)
def test_no_cast_changes_a_digit(kind, cast):
    module = nn.ModuleDict({"head": nn.Linear(2, 2), "loss": STATES[kind]()})
    for value in module["loss"].state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 512)
    before = {k: v.clone() for k, v in state(module["loss"]).items()}
    CASTS[cast](module)
    after = state(module["loss"])
    assert all(after[k].dtype == v.dtype and torch.equal(after[k], v) for k, v in before.items())
    assert cast == "there and back" or module["head"].weight.dtype != torch.float32


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_no_default_dtype_makes_them_narrow(kind, dtype):
    wide = state(STATES[kind]())
    torch.set_default_dtype(dtype)
    try:
        made = state(STATES[kind]())
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(made[k], v) and made[k].dtype == v.dtype for k, v in wide.items())


def test_wider_is_welcome():
    assert CALSLoss(2).double().state.multipliers.dtype == torch.float64


def narrowed(state: torch.nn.Module, dtype: torch.dtype) -> None:
    """As FSDP's buffer_dtype does it."""
    for buffer in state.buffers():
        if buffer.is_floating_point():
            buffer.data = buffer.data.to(dtype)


@pytest.mark.parametrize("change", [*CASTS, "in place"])
@pytest.mark.parametrize("violation, updates", [(0.2, 400), (0.02, 300)])
def test_small_steps_add_up(change, violation, updates):
    loss = CALSLoss(num_classes=2, margin=10.0)
    if change == "in place":
        narrowed(loss, torch.bfloat16)
    else:
        CASTS[change](loss)
    value, rho, before = 1e-6, 1.0, 0.0
    logits = torch.tensor([[10 * (1 + violation), 0.0]])
    for update in range(1, updates + 1):
        value += rho * violation
        if update >= 2 and update % 10 == 0 and violation > 0.9 * before:
            rho = min(rho * 1.2, 10.0)
        before = violation
        statistics = loss.state.start_dual_epoch()
        statistics.update(logits)
        loss.state.step_(statistics)
    assert loss.state.multipliers[1].item() == pytest.approx(value, rel=1e-4)
    assert loss.state.rho[1].item() == pytest.approx(rho, rel=1e-5)


@pytest.mark.parametrize("kind", ["CALS", "auto margin", "heuristic", "focus", "threshold"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_update_widens_what_was_narrowed_in_place(kind, dtype):
    learned = STATES[kind]().state
    before = {k: v.dtype for k, v in learned.state_dict().items()}
    narrowed(learned, dtype)
    statistics = learned.start_dual_epoch()
    statistics.update(torch.randn(9, 2), None, torch.arange(9) % 2)
    learned.step_(statistics)
    assert {k: v.dtype for k, v in learned.state_dict().items()} == before


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_assigned_checkpoint_is_widened(kind, dtype):
    module = STATES[kind]()
    before = {k: v.dtype for k, v in state(module).items()}
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state(module).items()}
    module.load_state_dict(given, strict=False, assign=True)
    after = state(module)
    assert {k: v.dtype for k, v in after.items()} == before
    assert all(torch.equal(after[k], v.to(before[k])) for k, v in given.items())


def test_a_large_violation_does_not_overflow():
    loss = CALSLoss(num_classes=2, margin=10.0).half()
    statistics = loss.state.start_dual_epoch()
    statistics.update(torch.tensor([[2e6, 0.0]]))
    loss.state.step_(statistics)
    assert loss.state.multipliers[1].item() == pytest.approx(2e5, rel=1e-4)


def test_buffers_move_and_are_made_real():
    loss = CALSLoss(2, margin="auto")
    assert loss.to("meta").state.multipliers.device.type == "meta"
    assert loss.to_empty(device="cpu").half().state.rho.dtype == torch.float32
