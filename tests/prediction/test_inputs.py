from concurrent.futures import ThreadPoolExecutor

import pytest

from cals_mm.prediction import ahead, find_inputs


@pytest.fixture
def folder(tmp_path):
    for name in (
        "frame10.jpg",
        "frame9.JPG",
        "deep/1.png",
        "notes.md",
        ".hidden.png",
        ".git/2.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(*args, **kwargs):
    return [item.name for item in find_inputs([str(arg) for arg in args], **kwargs)]


def test_a_folder_stands_for_its_images_in_the_order_of_frames(folder):
    assert names(folder) == ["deep/1", "frame9", "frame10"]


def test_globs_files_and_folders_add_up_without_repetitions(folder):
    assert names(folder / "frame*", folder / "frame9.JPG", folder / "deep") == [
        "frame9",
        "frame10",
        "deep/1",
    ]
    assert names(folder / "**" / "*.png") == ["1"]
    assert names(folder / "notes.md") == ["notes"], "a named file counts whatever its suffix"


def test_equal_stems_keep_their_suffix(folder):
    (folder / "frame9.png").touch()
    assert names(folder / "frame*") == ["frame9.JPG", "frame9.png", "frame10"]


def test_results_are_no_inputs(folder):
    assert names(folder, exclude=str(folder / "deep")) == ["frame9", "frame10"]
    with pytest.raises(FileNotFoundError, match="lie in the folder of the results, .*; choose"):
        find_inputs([str(folder)], exclude=str(folder))
    named = folder / "frame9.JPG"
    assert names(named, exclude=str(folder)) == ["frame9"], "a named file is always meant"


def test_a_file_spelled_in_two_ways_is_one(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("deep", "./deep/1.png", folder / "deep" / ".." / "deep" / "1.png") == ["1"]


@pytest.mark.parametrize("pattern", ["nothing*.png", "missing.png", "empty"])
def test_a_pattern_without_files_is_named(folder, pattern):
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"{pattern.replace('*', '.')}.* names no file"):
        find_inputs([str(folder / pattern)])


def test_no_more_items_than_the_depth_are_waited_for():
    taken, given = [], []
    with ThreadPoolExecutor(2) as pool:
        for result in ahead(pool, lambda x: 2 * x, (taken.append(i) or i for i in range(50)), 3):
            given.append(result)
            assert len(taken) - len(given) <= 3
    assert given == list(range(0, 100, 2))


def test_an_exception_is_raised_where_its_result_is_due():
    with ThreadPoolExecutor(2) as pool:
        results = ahead(pool, lambda x: 1 / x, [1, 2, 0, 4])
        assert [next(results), next(results)] == [1, 0.5]
        with pytest.raises(ZeroDivisionError):
            next(results)
