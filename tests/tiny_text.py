"""Twenty newsgroups of a few posts in scikit-learn's own file, and runs of seconds on them."""

from __future__ import annotations

import codecs
import pickle
import random
from pathlib import Path
from typing import Any

from mmengine.config import Config
from sklearn.utils import Bunch

from cals_mm.runs import set_data_root
from cals_mm.text.newsgroups import CACHE_FILE, CLASSES

ROOT = Path(__file__).resolve().parents[1]
TRAIN_PER_GROUP, TEST_PER_GROUP = 6, 3
VAL_SIZE = 33
EMPTY = 4
"""Posts of each official split with nothing but a header."""
MARGIN = 0.02  # small, for the logits of so short a training are close together


def unique_word(subset: str, group: int, number: int) -> str:
    """A word that this post has and no other."""
    return f"only{subset}{group}x{number}"


def make_newsgroups(folder: Path, seed: int = 0) -> Path:
    """Write the file that ``fetch_20newsgroups`` keeps of what it has downloaded.

    Headers hold the name of the group, bodies some words of the group, a quote, words of all groups
    and one word that no other post has; lengths differ.
    """
    generator = random.Random(seed)
    cache = {}
    for subset, count in (("train", TRAIN_PER_GROUP), ("test", TEST_PER_GROUP)):
        data, target, names = [], [], []
        for group, name in enumerate(CLASSES):
            for number in range(count):
                own = [f"topic{group}w{generator.randrange(6)}" for _ in range(3)]
                common = [
                    f"common{generator.randrange(40)}" for _ in range(generator.randrange(30))
                ]
                body = " ".join([unique_word(subset, group, number), *own, *common])
                if group < EMPTY and number == 0:
                    body = ""
                quote = "> quotedword\n" if body else ""
                header = f"From: someone\nSubject: header{group}\n"
                data.append(f"{header}\n{quote}{body}\n")
                target.append(group)
                names.append(f"/data/20news-bydate-{subset}/{name}/{1000 * (count - 3) + number}")
        order = list(range(len(data)))
        generator.shuffle(order)
        cache[subset] = Bunch(
            data=[data[i] for i in order],
            target=[target[i] for i in order],
            filenames=[names[i] for i in order],
            target_names=list(CLASSES),
        )
    folder.mkdir(parents=True, exist_ok=True)
    compressed = codecs.encode(pickle.dumps(cache), "zlib_codec")
    (folder / CACHE_FILE).write_bytes(compressed)
    return folder


def tiny_text(root: Path, name: str = "cals/gpcnn_20newsgroups", steps: int = 2, **changes: Any):
    """One of the project's text configs, made small.

    Args:
        root: Folder of the posts (``root/posts``) and of ``work_dir``.
        name: Config under ``configs/``.
        steps: Epochs.
        changes: Options as for ``--cfg-options``, dots written as double underscores.
    """
    cfg = Config.fromfile(ROOT / f"configs/{name}.py")
    if not (root / "posts").exists():
        make_newsgroups(root / "posts")
    set_data_root(cfg, str(root / "posts"))
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        loader.batch_size = 16
        loader.dataset.update(val_size=VAL_SIZE, vocabulary_size=500, max_length=20)
    cfg.train_dataloader.sampler.update(group=16, pool=2)
    cfg.model.backbone.update(vocabulary_size=500, embedding_dim=8, channels=8)
    cfg.model.head.in_channels = 8
    if cfg.model.head.loss:
        cfg.model.head.loss.update(margin=MARGIN, rho_interval=2)
        cfg.custom_hooks[-1].draw = False
    cfg.test_evaluator[0].draw = False
    cfg.train_cfg.max_epochs = steps
    cfg.default_hooks.checkpoint.max_keep_ckpts = -1
    cfg.work_dir = str(root / "work")
    cfg.log_level = "WARNING"
    cfg.randomness = dict(seed=3)
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    return cfg
