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
    """Vectors of the vocabulary's words, read line by line: the file may be larger than memory.

    Args:
        path: Text file, in each line a word and ``dim`` numbers, separated by spaces.
        vocabulary: The words that are wanted.
        dim: Numbers of each vector.

    Returns:
        For the id of each word found its vector, (dim,) float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is malformed (it is named by its number), or no word is found.
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
            # Some words of the larger files hold spaces themselves.
            word, *numbers = line.rstrip(b"\r\n").rsplit(b" ", dim)
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
