"""Words and their ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["PADDING", "SPECIAL", "UNKNOWN", "Vocabulary", "tokenise"]

PADDING = 0
"""Id that fills batches after the end of a text."""
UNKNOWN = 1
"""Id of every word that is not in the vocabulary."""
SPECIAL = 2
"""Number of special ids; the first word has this id."""

_WORD = re.compile(r"[^\W_]+")


def tokenise(text: str) -> list[str]:
    """Words of a text: runs of letters and digits, in lower case.

    Example:
        >>> tokenise("Don't panic (42)!")
        ['don', 't', 'panic', '42']
    """
    return _WORD.findall(text.lower())


class Vocabulary:
    """The words that have an id.

    Args:
        words: Distinct words; the first has the id ``SPECIAL``.

    Example:
        >>> vocabulary = Vocabulary.fit(["a b a", "b a c"], size=2)
        >>> vocabulary.words, vocabulary.encode("a, c?").tolist()
        (('a', 'b'), [2, 1])
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words, SPECIAL)}

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> Vocabulary:
        """Select the most frequent words, in alphabetical order if equally frequent.

        Args:
            texts: Training texts.
            size: Largest number of words.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tokenise(text))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(ordered[:size])

    def encode(self, text: str, max_length: int | None = None) -> np.ndarray:
        """Ids of the first ``max_length`` words, or of all, (L,) int32."""
        words = tokenise(text)[:max_length]
        return np.fromiter((self._ids.get(w, UNKNOWN) for w in words), np.int32, len(words))

    def id_of(self, word: str) -> int:
        """Id of a word, ``UNKNOWN`` if it has none."""
        return self._ids.get(word, UNKNOWN)

    def __len__(self) -> int:
        return len(self.words)
