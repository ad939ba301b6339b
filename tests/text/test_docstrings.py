"""Docstrings of the standard library: real, different, and the same in every run."""

import numpy as np
import pytest

from cals_mm.text import StdlibDocstrings
from cals_mm.text import docstrings as module
from cals_mm.text.dataset import _encoded_once
from cals_mm.text.docstrings import MIN_WORDS, SUBJECTS


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> dict[str, StdlibDocstrings]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return {s: StdlibDocstrings(s, cache_dir=cache) for s in ("train", "val", "test")}


def test_every_subject_is_in_every_split(parts):
    for part in parts.values():
        counts = np.bincount(part.texts.labels, minlength=len(SUBJECTS))
        assert len(counts) == len(SUBJECTS) == len(part.metainfo["classes"])
        assert counts.min() >= 10, counts
    assert len(parts["train"]) > 1500
    assert len(parts["val"]) < len(parts["test"]) < len(parts["train"])


def test_no_docstring_is_in_two_splits(parts):
    names = [name for part in parts.values() for name in part.texts.names]
    assert len(set(names)) == len(names)
    assert all(part.lengths.min() >= MIN_WORDS for part in parts.values())


def test_reading_again_gives_the_same(parts):
    first, second = (parts["train"].read() for _ in range(2))
    assert first.texts == second.texts
    assert first.splits == second.splits
    assert len(set(first.texts)) == len(first.texts), "equal docstrings count once"


def test_no_module_has_two_subjects():
    modules = [name for names in SUBJECTS.values() for name in names]
    assert len(set(modules)) == len(modules)


def test_a_python_without_sources_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(tmp_path))
    module._hash_of_sources.cache_clear()
    try:
        with pytest.raises(ValueError, match="no source files of the standard library"):
            StdlibDocstrings("train", cache_dir=str(tmp_path))
    finally:
        module._hash_of_sources.cache_clear()
        _encoded_once.cache_clear()
