"""20 Newsgroups, split at random as by the authors, or by date."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DATASETS

from cals_mm.datasets.missing_data import NEWSGROUPS, missing_data_error
from cals_mm.datasets.split_names import Split

from .dataset import TextDataset
from .encoding import Corpus

__all__ = ["CACHE_FILE", "PROTOCOLS", "Newsgroups", "split_posts"]

CACHE_FILE = "20news-bydate_py3.pkz"
"""Name of scikit-learn's file of all posts."""
Protocol = Literal["random", "bydate"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
SOURCE = "https://ndownloader.figshare.com/files/5975967"
"""Where scikit-learn downloads the posts from."""
REMOVABLE = ("headers", "footers", "quotes")
TEST_FRACTION = 0.2

CLASSES = (
    "alt.atheism",
    "comp.graphics",
    "comp.os.ms-windows.misc",
    "comp.sys.ibm.pc.hardware",
    "comp.sys.mac.hardware",
    "comp.windows.x",
    "misc.forsale",
    "rec.autos",
    "rec.motorcycles",
    "rec.sport.baseball",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.electronics",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.guns",
    "talk.politics.mideast",
    "talk.politics.misc",
    "talk.religion.misc",
)


@DATASETS.register_module()
class Newsgroups(TextDataset):
    """20 Newsgroups: posts of twenty discussion groups.

    Scikit-learn's file of posts is read from the data root, and downloaded to it if missing.

    Args:
        split: ``'train'`` for the weights, ``'val'`` for the multipliers, ``'test'``.
        data_root: Folder of ``20news-bydate_py3.pkz``.
        protocol: With ``'random'``, as by the authors of CALS, the test split is a random fifth of
            all posts. With ``'bydate'``, the official split, test posts are later than the others.
            In both, ``val_size`` of the other posts form the val split.
        val_size: Number of posts in the val split.
        split_seed: Seed of the random choices.
        remove: What to cut out of the posts: ``'headers'``, ``'footers'`` (signatures),
            ``'quotes'`` (of other posts). Headers reveal the group.
        **kwargs: Arguments of :class:`TextDataset`.

    Raises:
        ValueError: For an invalid argument, or if the posts are missing and cannot be downloaded.
        ModuleNotFoundError: If scikit-learn is not installed.
    """

    DATA_NAME = "20 Newsgroups"
    METAINFO = {"classes": CLASSES}

    def __init__(
        self,
        split: Split,
        data_root: str = "data/20newsgroups",
        protocol: Protocol = "random",
        val_size: int = 900,
        split_seed: int = 0,
        remove: Sequence[str] = REMOVABLE,
        **kwargs: Any,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol is {protocol!r}: choose from {', '.join(PROTOCOLS)}")
        unknown = [part for part in remove if part not in REMOVABLE]
        if isinstance(remove, str) or unknown:
            raise ValueError(f"remove is {remove!r}: give a list of {', '.join(REMOVABLE)}")
        self.protocol = protocol
        self.val_size = val_size
        self.split_seed = split_seed
        self.remove = tuple(part for part in REMOVABLE if part in remove)
        super().__init__(split, data_root, **kwargs)

    def content(self) -> dict[str, object]:
        """Hash the file of posts, and return the options that change texts or splits."""
        file = Path(self.data_root) / CACHE_FILE
        if not file.is_file():
            self._download()
        return {
            "file": hashlib.sha256(file.read_bytes()).hexdigest(),
            "cleaning": f"scikit-learn {metadata.version('scikit-learn')}",
            "remove": list(self.remove),
            "protocol": self.protocol,
            "val_size": self.val_size,
            "split_seed": self.split_seed,
        }

    def read(self) -> Corpus:
        """Read all posts, in the order of their names."""
        official = {subset: self._fetch(subset) for subset in ("train", "test")}
        posts = [
            ("/".join(Path(name).parts[-2:]), int(label), text, subset)
            for subset, bunch in official.items()
            for name, label, text in zip(bunch.filenames, bunch.target, bunch.data, strict=True)
        ]
        posts.sort()
        names, labels, texts, subsets = zip(*posts, strict=True)
        splits = split_posts(subsets, self.protocol, self.val_size, self.split_seed)
        return Corpus(list(texts), np.array(labels), list(names), splits)

    def _fetch(self, subset: str) -> Any:
        try:
            from sklearn.datasets import fetch_20newsgroups
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "20 Newsgroups needs scikit-learn: pip install scikit-learn", name=error.name
            ) from None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the second try
                return fetch_20newsgroups(
                    data_home=self.data_root,
                    subset=subset,
                    remove=self.remove,
                    shuffle=False,
                    n_retries=1,
                    delay=0.2,
                )
        except OSError as error:
            # No network, a refusing proxy, or a folder that cannot be written.
            raise self._missing() from error

    def _download(self) -> None:
        # Data are checked before the processes know each other.
        if max(get_world_size(), int(os.environ.get("WORLD_SIZE", 1))) > 1:
            raise ValueError(
                f"20 Newsgroups is not in {self.data_root!r} yet: run once in a single process, "
                "which downloads it, or give another folder with --data-root"
            )
        # Importing scikit-learn takes a second, so the network is tried before.
        try:
            urlopen(Request(SOURCE, method="HEAD"), timeout=10).close()
        except HTTPError:
            pass  # an answer, though not to this request
        except OSError as error:
            raise self._missing() from error
        print_log(
            f"20 Newsgroups is downloaded to {self.data_root} (14 MB)",
            logger="current" if MMLogger._instance_dict else None,
        )
        self._fetch("train")

    def _missing(self) -> ValueError:
        file = Path(self.data_root) / CACHE_FILE
        return missing_data_error(self.DATA_NAME, file, self.data_root, NEWSGROUPS)


def split_posts(
    subsets: Sequence[str], protocol: Protocol, val_size: int, split_seed: int = 0
) -> list[str]:
    """Choose the split of each post.

    Args:
        subsets: ``'train'`` or ``'test'``, the official split of each post.
        protocol: ``'random'`` or ``'bydate'``.
        val_size: Number of posts in the val split.
        split_seed: Seed of the random choices.

    Returns:
        ``'train'``, ``'val'`` or ``'test'`` for each post.

    Raises:
        ValueError: If ``val_size`` leaves val or train empty.
    """
    order = np.random.default_rng(split_seed).permutation(len(subsets))
    if protocol == "random":
        num_test = round(TEST_FRACTION * len(subsets))
        test, rest = order[:num_test], order[num_test:]
    else:
        official = np.array(subsets)[order]
        test, rest = order[official == "test"], order[official == "train"]
    if not 0 < val_size < len(rest):
        raise ValueError(f"val_size is {val_size}: give a number from 1 to {len(rest) - 1}")
    splits = np.full(len(subsets), "train", dtype=object)
    splits[test] = "test"
    splits[rest[:val_size]] = "val"
    return splits.tolist()
