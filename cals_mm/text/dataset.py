"""Base class of the text data sets, with three splits."""

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
        number: Index in the split.
    """

    ids: np.ndarray
    label: int
    number: int


class TextDataset(Dataset[EncodedSample]):
    """Base class of the text data sets; a subclass provides the texts.

    ``metainfo`` holds the classes and, once the texts are read, what prediction needs: the
    vocabulary, one word per line, and the number of words kept. MMEngine stores it in checkpoints.

    Args:
        split: ``'train'`` for the weights, ``'val'`` for the multipliers, ``'test'``.
        data_root: Folder of the data.
        vocabulary_size: Largest size of the vocabulary, which is fitted on the training texts.
        max_length: Number of words to keep, from the beginning of each text.
        cache_dir: Folder for the encoded texts. None means ``cals_mm_encoded`` in the data root, or
            ``work_dirs/encoded_texts`` if that cannot be written.
        lazy_init: Defer reading until :meth:`full_init`.

    Raises:
        ValueError: For an invalid argument.
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
        """Return everything the texts depend on, including a hash of their source."""
        raise NotImplementedError

    def read(self) -> Corpus:
        """Read the texts of all splits."""
        raise NotImplementedError

    def full_init(self) -> None:
        """Read and encode the texts, or load them from the cache, once."""
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
        """Number of words in each text, (N,) int64."""
        return self.texts.lengths

    @property
    def num_empty(self) -> int:
        """Number of empty texts in the split, which are kept."""
        return int((self.lengths == 0).sum())

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Name and label of a text."""
        return {"text_path": self._path(idx), "gt_label": int(self.texts.labels[idx])}

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of a text, in a list."""
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
    """Key of a data set in the cache that the three splits of a run share."""

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
