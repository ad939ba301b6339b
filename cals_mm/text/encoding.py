"""Encode texts as word ids, once, and keep them in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cals_mm import files
from cals_mm.datasets.split_names import SPLITS, Split

from .vocabulary import Vocabulary

__all__ = ["Corpus", "EncodedCorpus", "EncodedTexts", "cache_folder", "encode", "encoded"]

_FORMAT = 1
"""Part of the cache key; increase it when tokens, vocabulary or file format change."""


class Corpus(NamedTuple):
    """Texts before they are encoded.

    Attributes:
        texts: N texts.
        labels: Class of each, (N,) int64.
        names: Unique name of each, without line breaks.
        splits: Split of each: train, val or test.
    """

    texts: list[str]
    labels: np.ndarray
    names: list[str]
    splits: list[str]


@dataclass(frozen=True)
class EncodedTexts:
    """The concatenated texts of one split.

    Attributes:
        ids: Word ids of all texts, (total,) int32.
        offsets: Start of each text, and the end, (N + 1,) int64.
        labels: Class of each text, (N,) int64.
        names: Name of each text.
    """

    ids: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    @property
    def lengths(self) -> np.ndarray:
        """Words of each text, (N,) int64."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class EncodedCorpus:
    """All splits, and the vocabulary, which is fitted on ``train`` only."""

    splits: dict[Split, EncodedTexts]
    vocabulary: Vocabulary


def encode(corpus: Corpus, vocabulary_size: int, max_length: int) -> EncodedCorpus:
    """Fit the vocabulary on the training texts and encode all texts with it.

    Args:
        corpus: The texts.
        vocabulary_size: Largest number of words.
        max_length: Number of words to keep, from the beginning of each text.

    Raises:
        ValueError: If a split is empty.
    """
    rows = {s: [i for i, split in enumerate(corpus.splits) if split == s] for s in SPLITS}
    for split, indices in rows.items():
        if not indices:
            raise ValueError(f"the {split} split has no text: use more texts or other split sizes")
    vocabulary = Vocabulary.fit((corpus.texts[i] for i in rows["train"]), vocabulary_size)
    splits = {}
    for split, indices in rows.items():
        ids = [vocabulary.encode(corpus.texts[i], max_length) for i in indices]
        splits[split] = EncodedTexts(
            ids=np.concatenate(ids),
            offsets=np.cumsum([0, *map(len, ids)], dtype=np.int64),
            labels=np.asarray(corpus.labels)[indices].astype(np.int64),
            names=tuple(corpus.names[i] for i in indices),
        )
    return EncodedCorpus(splits, vocabulary)


def encoded(
    read: Callable[[], Corpus],
    content: Mapping[str, object],
    vocabulary_size: int,
    max_length: int,
    folder: Path,
) -> EncodedCorpus:
    """Return the encoded texts from the cache; encode and cache them if necessary.

    Args:
        read: Reads the texts; called only if they are not cached.
        content: Everything the texts depend on, such as a hash of the source, and options; each
            value has its own file.
        vocabulary_size: Largest number of words.
        max_length: Number of words to keep of each text.
        folder: Folder of the cache.
    """
    key = {
        **content,
        "vocabulary_size": vocabulary_size,
        "max_length": max_length,
        "format": _FORMAT,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    file = folder / f"{digest[:32]}.npz"
    if file.is_file():
        return _load(file)
    result = encode(read(), vocabulary_size, max_length)
    _save(result, file)
    return result


def cache_folder(data_root: str | Path) -> Path:
    """Folder for encoded texts: in the data root, or in work_dirs if that is read-only."""
    elsewhere = Path("work_dirs", "encoded_texts")
    beside = Path(data_root) / "cals_mm_encoded"
    try:
        # Respect a read-only folder, even if root could write to it.
        if not beside.parent.stat().st_mode & 0o222:
            return elsewhere
        files.probe(beside)
    except OSError:
        return elsewhere
    return beside


def _save(corpus: EncodedCorpus, file: Path) -> None:
    arrays = {"vocabulary": _as_bytes(corpus.vocabulary.words)}
    for split, texts in corpus.splits.items():
        arrays[f"{split}_ids"] = texts.ids
        arrays[f"{split}_offsets"] = texts.offsets
        arrays[f"{split}_labels"] = texts.labels
        arrays[f"{split}_names"] = _as_bytes(texts.names)
    with files.writing(file) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _load(file: Path) -> EncodedCorpus:
    with np.load(file, allow_pickle=False) as arrays:
        splits = {
            split: EncodedTexts(
                ids=arrays[f"{split}_ids"],
                offsets=arrays[f"{split}_offsets"],
                labels=arrays[f"{split}_labels"],
                names=_as_strings(arrays[f"{split}_names"]),
            )
            for split in SPLITS
        }
        return EncodedCorpus(splits, Vocabulary(_as_strings(arrays["vocabulary"])))


def _as_bytes(strings: tuple[str, ...]) -> np.ndarray:
    """One line each, as an array of strings would use the size of the longest for all."""
    return np.frombuffer("\n".join(strings).encode(), dtype=np.uint8)


def _as_strings(data: np.ndarray) -> tuple[str, ...]:
    return tuple(data.tobytes().decode().split("\n")) if data.size else ()
