"""Several processes give the values of one, and count repeated samples once."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator

from cals_mm.core._reduce import leave_process_group
from cals_mm.metrics import CalibrationMetric

from .test_calibration_metric import image, scores


def filled_up(size, rank, world_size):
    return list(DefaultSampler(range(size), shuffle=True, seed=3))


def as_they_are(size, rank, world_size):
    return list(DefaultSampler(range(size), shuffle=True, seed=3, round_up=False))


def uneven(size, rank, world_size):
    """All but one for each other process to the first."""
    first = size - world_size + 1
    return list(range(first)) if rank == 0 else [first + rank - 1]


CASES = [
    (7, {}, "images", filled_up),
    (7, {"aggregate": "image"}, "images", filled_up),
    (2, {}, "images", filled_up),
    (23, {}, "scores", filled_up),
    (7, {}, "images", as_they_are),
    (23, {}, "scores", as_they_are),
    (7, {}, "images", uneven),
    (23, {}, "scores", uneven),
]


def run(rank, world_size, port, path):
    torch.set_num_threads(1)
    if world_size > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=world_size)
    results = []
    for size, arguments, kind, sampled in CASES:
        make = image if kind == "images" else scores
        order = sampled(size, rank, world_size)
        evaluator = Evaluator(CalibrationMetric(draw=False, **arguments))
        batch = 3 if kind == "scores" else 2
        for start in range(0, len(order), batch):
            samples = [make(index) for index in order[start : start + batch]]
            if kind == "images":  # of different sizes
                samples = [make(i, height=8 + i) for i in order[start : start + batch]]
            evaluator.process(samples)
        results.append(evaluator.evaluate(size))
    torch.save(results, f"{path}/{world_size}-{rank}.pth")
    if world_size > 1:
        leave_process_group()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    path = tmp_path_factory.mktemp("one")
    run(0, 1, 0, path)
    return torch.load(path / "1-0.pth")


@pytest.mark.parametrize("world_size", [2, 3])
def test_several_processes_give_what_one_gives(world_size, one, tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    mp.spawn(run, (world_size, port, str(tmp_path)), nprocs=world_size)
    for rank in range(world_size):
        results = torch.load(tmp_path / f"{world_size}-{rank}.pth")
        for ours, expected in zip(results, one, strict=True):
            assert ours == pytest.approx(expected, abs=1e-9, rel=1e-9)
