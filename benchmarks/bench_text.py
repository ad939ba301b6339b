"""Text: time to encode all posts, words per second in training, and the loader's share of it.

    python benchmarks/bench_text.py --data-root data/20newsgroups --threads 1

Without ``--data-root`` the texts are docstrings of Python's standard library. Encoding includes
reading, cleaning and the vocabulary, and starts from an empty cache. Words are those of the texts,
without padding. The loader's share is the time that an iteration of the training script waits for
its batch, with no worker processes; "in order" is the same training with batches of texts of any
length. With one thread, times are processor time, which other processes on the machine do not
change much.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from _timing import table
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import MODELS

from cals_mm.text import LengthGroupedSampler, Newsgroups, StdlibDocstrings, TextDataset, pad_texts

Clock = Callable[[], float]
CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def encode(data_root: str | None, cache: str, clock: Clock) -> tuple[TextDataset, float]:
    """The training texts, and the seconds that reading and encoding all splits takes."""
    began = clock()
    dataset: TextDataset
    if data_root is None:
        dataset = StdlibDocstrings("train", cache_dir=cache)
    else:
        dataset = Newsgroups("train", data_root, remove=["headers"], cache_dir=cache)
    return dataset, clock() - began


def train(
    name: str, dataset: TextDataset, sampler: DefaultSampler, iterations: int, clock: Clock
) -> tuple[float, float, float]:
    """Words per second, the share of the time that the model waits for data, and s/iteration."""
    cfg = Config.fromfile(CONFIGS / f"cals/{name}_20newsgroups.py")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(
        dataset, cfg.train_dataloader.batch_size, sampler=sampler, collate_fn=pad_texts
    )
    waiting = words = 0.0
    warm_up = 3
    batches = iter(loader)
    for number in range(warm_up + iterations):
        if number == warm_up:
            waiting, words, began = 0.0, 0.0, clock()
        asked = clock()
        batch = next(batches)
        waiting += clock() - asked
        words += float((batch["inputs"] != 0).sum())
        loss = model(**batch, mode="loss")["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    total = clock() - began
    return words / total, waiting / total, total / iterations


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder of 20 Newsgroups; default: docstrings")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--iterations", type=int, default=40, help="timed iterations of each model")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as cache:
        dataset, seconds = encode(args.data_root, cache, clock)
        print(f"{dataset.DATA_NAME}: read and encoded in {seconds:.1f} s")
        rows = []
        for name in ("gpcnn", "meanmlp"):
            grouped = LengthGroupedSampler(dataset, group=32, seed=0)
            for order, sampler in (("by length", grouped), ("in order", DefaultSampler(dataset))):
                speed, share, iteration = train(name, dataset, sampler, args.iterations, clock)
                rows.append(
                    (name, order, f"{speed:,.0f}", f"{100 * share:.1f}", f"{1000 * iteration:.1f}")
                )
    table(("model", "batches", "words/s", "loader %", "iteration ms"), rows)


if __name__ == "__main__":
    main()
