"""Word vectors from a GloVe text file."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from tqdm import tqdm

from .vocabulary import UNKNOWN, Vocabulary

__all__ = ["read_glove"]


def read_glove(path: str | Path, vocabulary: Vocabulary, dim: int) -> dict[int, np.ndarray]:
    """Read the vectors of the vocabulary's words line by line, as the file may exceed the memory.

    Args:
        path: Text file with a word and ``dim`` numbers per line, separated by spaces.
        vocabulary: The words to look for.
        dim: Size of each vector.

    Returns:
        The vector, (dim,) float32, for the id of each word found.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line is malformed, or no word is found.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"GloVe file {str(path)!r} does not exist; unpack glove.6B.zip")
    vectors: dict[int, np.ndarray] = {}
    bar = tqdm(
        total=file.stat().st_size,
        desc=f"read {file.name}",
        unit="B",
        unit_scale=True,
        disable=not is_main_process(),
    )
    with bar, file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            bar.update(len(line))
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            # Some words in the larger files contain spaces.
            word, *numbers = line.rstrip().rsplit(b" ", dim)
            if len(numbers) != dim or (number == 1 and b" " in word):
                raise ValueError(
                    f"{path}, line {number} has {line.count(b' ')} numbers: expected a word and "
                    f"{dim}, the embedding_dim of model.backbone"
                )
            index = vocabulary.id_of(word.decode("utf-8", "replace"))
            if index == UNKNOWN:
                continue
            try:
                with np.errstate(over="ignore"):
                    vector = np.array([float(n) for n in numbers], dtype=np.float32)
            except ValueError:
                vector = np.full(dim, np.nan, dtype=np.float32)
            if not np.isfinite(vector).all():
                raise ValueError(
                    f"{path}, line {number} is malformed: expected a word and {dim} finite numbers"
                )
            vectors[index] = vector
    if not vectors:
        raise ValueError(f"{path} has none of the {len(vocabulary)} words of the vocabulary")
    return vectors
