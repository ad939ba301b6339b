"""20 Newsgroups: protocols, cleaning, vocabulary, cache, missing data."""

import os
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pytest

from cals_mm.text import Newsgroups
from cals_mm.text.dataset import _encoded_once
from cals_mm.text.encoding import cache_folder
from cals_mm.text.newsgroups import CACHE_FILE
from cals_mm.text.vocabulary import UNKNOWN
from tests.tiny_text import (
    EMPTY,
    TEST_PER_GROUP,
    TRAIN_PER_GROUP,
    VAL_SIZE,
    make_newsgroups,
)

SPLITS = ("train", "val", "test")
REAL = os.environ.get("CALS_MM_DATA")


@pytest.fixture
def posts(tmp_path) -> Path:
    _encoded_once.cache_clear()
    return make_newsgroups(tmp_path / "posts")


def splits(posts: Path, **options) -> dict[str, Newsgroups]:
    options = {"val_size": VAL_SIZE, **options}
    return {split: Newsgroups(split, str(posts), **options) for split in SPLITS}


def words(dataset: Newsgroups) -> set[str]:
    return set(dataset.metainfo["vocabulary"].split("\n"))


def names(dataset: Newsgroups) -> set[str]:
    return set(dataset.texts.names)


@pytest.mark.parametrize("protocol", ["random", "bydate"])
def test_three_splits_share_no_post_and_lose_none(posts, protocol):
    parts = splits(posts, protocol=protocol)
    total = 20 * (TRAIN_PER_GROUP + TEST_PER_GROUP)
    num_test = round(0.2 * total) if protocol == "random" else 20 * TEST_PER_GROUP
    sizes = [len(parts[split]) for split in SPLITS]
    assert sizes == [total - num_test - VAL_SIZE, VAL_SIZE, num_test]
    assert len(set.union(*map(names, parts.values()))) == total


def test_by_date_tests_on_the_official_test_posts(posts):
    parts = splits(posts, protocol="bydate")
    # The numbers of the posts of the tiny set tell the official split.
    assert all(int(name.rsplit("/")[-1]) < 1000 for name in names(parts["test"]))
    for split in ("train", "val"):
        assert all(int(name.rsplit("/")[-1]) >= 1000 for name in names(parts[split]))
    mixed = {int(n.rsplit("/")[-1]) >= 1000 for n in names(splits(posts)["test"])}
    assert mixed == {True, False}


def test_splits_follow_from_the_seed_alone(posts, tmp_path):
    again = make_newsgroups(tmp_path / "again")
    first, second = splits(posts)["val"], splits(again)["val"]
    assert first.texts.names == second.texts.names
    assert np.array_equal(first.texts.ids, second.texts.ids)
    assert names(splits(posts, split_seed=1)["val"]) != names(first)


@pytest.mark.parametrize("protocol", ["random", "bydate"])
def test_nothing_of_val_or_test_reaches_the_vocabulary(posts, protocol):
    """Every post has a word that no other has: those of train are known and no others."""
    parts = splits(posts, protocol=protocol)
    known = {word for word in words(parts["train"]) if word.startswith("only")}
    expected = set()
    for index in range(len(parts["train"])):
        group = parts["train"].get_cat_ids(index)[0]
        number = int(parts["train"].texts.names[index].rsplit("/")[-1])
        subset, number = ("train", number - 3000) if number >= 1000 else ("test", number)
        if not (group < EMPTY and number == 0):
            expected.add(f"only{subset}{group}x{number}")
    assert known == expected
    assert words(parts["val"]) == words(parts["test"]) == words(parts["train"])
    # A post begins with its own word, which is unknown where it is not one of train.
    for split in ("val", "test"):
        for sample in parts[split]:
            assert not len(sample.ids) or sample.ids[0] == UNKNOWN


def test_vocabulary_size_and_length_are_options(posts):
    parts = splits(posts, vocabulary_size=30, max_length=7)
    assert len(words(parts["train"])) == 30
    assert all(part.lengths.max() == 7 for part in parts.values())
    assert max(part.texts.ids.max() for part in parts.values()) <= 31


def test_headers_and_quotes_go_by_option(posts):
    kept = words(splits(posts, remove=[])["train"])
    assert "subject" in kept and "quotedword" in kept
    no_header = words(splits(posts, remove=["headers"])["train"])
    assert "subject" not in no_header and "quotedword" in no_header
    assert "quotedword" not in words(splits(posts, remove=["headers", "quotes"])["train"])


def test_empty_posts_are_kept_and_counted(posts):
    parts = splits(posts)
    assert sum(part.num_empty for part in parts.values()) == 2 * EMPTY
    assert splits(posts, remove=[])["train"].num_empty == 0
    split = next(s for s in SPLITS if parts[s].num_empty)
    empty = int(np.flatnonzero(parts[split].lengths == 0)[0])
    assert parts[split][empty].ids.size == 0


# --- cache ----------------------------------------------------------------------------------


def files(posts: Path) -> set[Path]:
    _encoded_once.cache_clear()
    return set((posts / "cals_mm_encoded").iterdir())


def test_cached_texts_equal_fresh_ones_and_are_not_made_again(posts, monkeypatch):
    fresh = splits(posts)
    assert len(files(posts)) == 1
    monkeypatch.setattr(Newsgroups, "read", lambda self: pytest.fail("encoded again"))
    for split, dataset in splits(posts).items():
        assert dataset.metainfo == fresh[split].metainfo
        assert dataset.texts.names == fresh[split].texts.names
        for key in ("ids", "offsets", "labels"):
            one, other = getattr(dataset.texts, key), getattr(fresh[split].texts, key)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "change",
    [
        dict(vocabulary_size=50),
        dict(max_length=5),
        dict(protocol="bydate"),
        dict(remove=[]),
        dict(split_seed=1),
        dict(val_size=20),
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_option_is_another_file(posts, change):
    splits(posts)
    before = files(posts)
    splits(posts, **change)
    assert len(files(posts) - before) == 1
    assert before <= files(posts)


def test_other_posts_are_another_file(posts):
    splits(posts)
    before = files(posts)
    make_newsgroups(posts, seed=1)
    splits(posts)
    assert len(files(posts) - before) == 1


def test_a_write_that_fails_leaves_nothing(posts, monkeypatch):
    def fail(stream, **arrays):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        splits(posts)
    assert not files(posts)


def test_read_only_data_stay_as_they_are(posts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    posts.chmod(0o555)
    try:
        splits(posts)
        assert [path.name for path in posts.iterdir()] == [CACHE_FILE]
        assert len(list((tmp_path / "work_dirs/encoded_texts").iterdir())) == 1
        assert cache_folder(posts) == Path("work_dirs/encoded_texts")
    finally:
        posts.chmod(0o755)


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["urlopen", "_fetch_remote"])
def test_without_the_posts_and_a_network_the_error_is_one_line(fails, tmp_path, monkeypatch):
    import sklearn.datasets._twenty_newsgroups as source

    import cals_mm.text.newsgroups as module

    def refusing(request, **kwargs):
        raise HTTPError(request.full_url, 403, "forbidden", None, None)

    def offline(*args, **kwargs):
        raise URLError("no network")

    # The server's refusal of a HEAD request decides nothing; scikit-learn's download does.
    monkeypatch.setattr(module, "urlopen", offline if fails == "urlopen" else refusing)
    reached = []
    monkeypatch.setattr(source, "_fetch_remote", lambda *_, **__: reached.append(1) or offline())
    with pytest.raises(ValueError, match=r"no 20 Newsgroups data at .*20news-bydate_py3.pkz") as e:
        Newsgroups("train", str(tmp_path))
    assert bool(reached) == (fails == "_fetch_remote")
    assert "\n" not in str(e.value)
    assert "--data-root" in str(e.value)


def test_several_processes_do_not_download(tmp_path, monkeypatch):
    """The data are checked before the processes know each other."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="run once in a single process, which downloads it"):
        Newsgroups("train", str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(split="dev"), "split is 'dev': choose from train, val, test"),
        (dict(protocol="date"), "protocol is 'date': choose from random, bydate"),
        (dict(remove="headers"), "remove is 'headers': give a list"),
        (dict(remove=["header"]), r"remove is \['header'\]: give a list"),
        (dict(vocabulary_size=0), "vocabulary_size is 0"),
        (dict(max_length=1.5), "max_length is 1.5"),
        (dict(val_size=0), "val_size is 0: give a number from 1"),
        (dict(val_size=1000), "val_size is 1000: give a number from 1"),
    ],
)
def test_wrong_options(posts, options, message):
    with pytest.raises(ValueError, match=message):
        Newsgroups(**{"split": "train", "data_root": str(posts), **options})


# --- the real posts -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="CALS_MM_DATA names no folder that holds 20newsgroups/")
@pytest.mark.parametrize(
    ("protocol", "sizes"), [("random", [14177, 900, 3769]), ("bydate", [10414, 900, 7532])]
)
def test_the_real_posts(protocol, sizes, tmp_path):
    root = Path(str(REAL), "20newsgroups")
    if not (root / CACHE_FILE).is_file():
        pytest.skip(f"{root} holds no {CACHE_FILE}")
    parts = [
        Newsgroups(split, str(root), protocol, cache_dir=str(tmp_path), max_length=50)
        for split in SPLITS
    ]
    assert [len(part) for part in parts] == sizes
    assert len(set.union(*map(names, parts))) == 18846
    assert len(words(parts[0])) == 20_000
    for part in parts:
        assert set(part.texts.labels) == set(range(20))
        assert 0 < part.num_empty < 0.05 * len(part)
