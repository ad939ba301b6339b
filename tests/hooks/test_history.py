"""The history of the multipliers names every class, and a log that fails stops nothing."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger

from cals_mm import CALSLoss
from cals_mm.hooks.multiplier_history import MultiplierHistory
from tests.visualization.test_pictures import assert_picture


class Recorder:
    """A visualizer that keeps what it is given, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.scalars: dict[str, float] = {}
        self.error = error

    def add_scalars(self, scalars: dict, step: int) -> None:
        self._fail()
        self.scalars = scalars

    def add_image(self, name: str, image: object, step: int) -> None:
        self._fail()
        assert_picture(image)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def run_of(visualizer: Recorder, classes: tuple) -> SimpleNamespace:
    dataset = SimpleNamespace(metainfo={"classes": classes})
    return SimpleNamespace(
        iter=7,
        logger=MMLogger.get_instance("history"),
        visualizer=visualizer,
        val_dataloader=SimpleNamespace(dataset=dataset),
    )


def loss_of_three() -> CALSLoss:
    loss = CALSLoss(3)
    loss.state.multipliers.copy_(torch.tensor([1.0, 2.0, 3.0]))
    return loss


@pytest.mark.parametrize(
    "classes",
    [("thing", "sky", "thing"), ("", "", ""), ("$x$", "a/b", "_"), (0, 1, 1), ("two", "names")],
)
def test_every_class_has_a_curve(classes: tuple) -> None:
    recorder = Recorder()
    run, history = run_of(recorder, classes), MultiplierHistory()
    history.append(run, loss_of_three())
    each = [v for k, v in recorder.scalars.items() if k.startswith("cals/lambda/")]
    assert each == [1.0, 2.0, 3.0]
    history.draw(run, loss_of_three())


@pytest.mark.parametrize("error", [ValueError("$"), OSError(28, "full"), RuntimeError("a\nb")])
def test_a_log_that_fails_stops_nothing(error: Exception, monkeypatch) -> None:
    run, history = run_of(Recorder(error), ("a", "b", "c")), MultiplierHistory()
    lines: list[str] = []
    monkeypatch.setattr(run.logger, "log", lambda level, text, *rest: lines.append(text))
    history.append(run, loss_of_three())
    history.draw(run, loss_of_three())
    assert len(lines) == 2 and all("failed, and the run goes on" in line for line in lines)
    checkpoint: dict = {}
    history.save(checkpoint)
    assert checkpoint["cals_history"]["multipliers"].tolist() == [[1.0, 2.0, 3.0]]
