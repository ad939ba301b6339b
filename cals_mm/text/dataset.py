"""A data set of encoded texts of which one of three splits is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import MMLogger, print_log
from torch.utils.data import Dataset

from cals_mm.datasets.split_names import Split, check_split

from .encoding import Corpus, EncodedCorpus, EncodedTexts, cache_folder, encoded

__all__ = ["EncodedSample", "TextDataset"]


class EncodedSample(NamedTuple):
    """One text.

    Attributes:
        ids: Word ids, (L,) int32; L may be 0.
        label: Class.
        number: Its number in the split.
    """

    ids: np.ndarray
    label: int
    number: int


class TextDataset(Dataset[EncodedSample]):
    """Base of the text data sets: a subclass says where texts come from.

    ``metainfo`` holds the classes and, once the texts are read, what a prediction needs: the
    vocabulary, one word a line, and the number of words kept. MMEngine puts it into checkpoints.

    Args:
        split: ``'train'`` for the weights, ``'val'`` for the multipliers, ``'test'``.
        data_root: Folder of the data.
        vocabulary_size: Largest number of words with an id, fitted on the training texts.
        max_length: Words that are kept of each text, the first ones.
        cache_dir: Folder for the encoded texts. None: ``cals_mm_encoded`` in the data root, or
            ``work_dirs/encoded_texts`` where that cannot be written.
        lazy_init: Put off reading until :meth:`full_init`.

    Raises:
        ValueError: An argument is not valid.
    """

    DATA_NAME: str
    METAINFO: dict[str, Any]

    def __init__(
        self,
        split: Split,
        data_root: str = "",
        vocabulary_size: int = 20_000,
        max_length: int = 100,
        cache_dir: str | None = None,
        lazy_init: bool = False,
    ) -> None:
        check_split(split)
        for name, value in (("vocabulary_size", vocabulary_size), ("max_length", max_length)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}: give a number of words, at least 1")
        self.split = split
        self.data_root = os.path.expanduser(data_root)
        self.vocabulary_size = vocabulary_size
        self.max_length = max_length
        self.cache_dir = cache_dir
        self.metainfo: dict[str, Any] = dict(self.METAINFO)
        self._texts: EncodedTexts | None = None
        if not lazy_init:
            self.full_init()

    def content(self) -> Mapping[str, object]:
        """Name whatever the texts depend on, a hash of their source among it."""
        raise NotImplementedError

    def read(self) -> Corpus:
        """Read the texts of all splits."""
        raise NotImplementedError

    def full_init(self) -> None:
        """Read and encode the texts, or take them from the cache; once."""
        if self._texts is not None:
            return
        corpus = _encoded_once(_Source(self))
        self._texts = texts = corpus.splits[self.split]
        self.metainfo["vocabulary"] = "\n".join(corpus.vocabulary.words)
        self.metainfo["max_length"] = self.max_length
        print_log(
            f"{self.DATA_NAME}, {self.split}: {len(texts.labels)} texts, {self.num_empty} of them "
            f"without a word; vocabulary of {len(corpus.vocabulary)} words",
            logger="current" if MMLogger._instance_dict else None,
        )

    @property
    def texts(self) -> EncodedTexts:
        """The encoded texts of the split."""
        self.full_init()
        assert self._texts is not None
        return self._texts

    @property
    def lengths(self) -> np.ndarray:
        """Words of each text, (N,) int64."""
        return self.texts.lengths

    @property
    def num_empty(self) -> int:
        """Texts of the split without a word. They are kept: the model knows the classes' shares."""
        return int((self.lengths == 0).sum())

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Name and label of a text."""
        return {"text_path": self._path(idx), "gt_label": int(self.texts.labels[idx])}

    def get_cat_ids(self, idx: int) -> list[int]:
        """Its label, in a list."""
        return [int(self.texts.labels[idx])]

    def _path(self, idx: int) -> str:
        return os.path.join(self.data_root, self.texts.names[idx])

    def __getitem__(self, idx: int) -> EncodedSample:
        texts = self.texts
        ids = texts.ids[texts.offsets[idx] : texts.offsets[idx + 1]]
        return EncodedSample(ids, int(texts.labels[idx]), idx)

    def __len__(self) -> int:
        return len(self.texts.labels)


class _Source:
    """A data set as a key of the memory that the three splits of a run share."""

    def __init__(self, dataset: TextDataset) -> None:
        self.dataset = dataset
        folder = dataset.cache_dir
        self.folder = Path(folder) if folder else cache_folder(dataset.data_root)
        self.content = dict(dataset.content())
        options = (dataset.vocabulary_size, dataset.max_length, str(self.folder.resolve()))
        self._key = (tuple(sorted((k, str(v)) for k, v in self.content.items())), options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _encoded_once(source: _Source) -> EncodedCorpus:
    dataset = source.dataset
    return encoded(
        dataset.read, source.content, dataset.vocabulary_size, dataset.max_length, source.folder
    )
