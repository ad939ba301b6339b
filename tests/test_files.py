"""Files are old or new whenever they are read, and nothing is left where writing fails."""

import ast
import errno
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from cals_mm import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_the_old_one_until_it_is_complete(tmp_path):
    file = tmp_path / "new" / "x.bin"
    files.write_bytes(file, b"old")
    with files.writing(file) as stream:
        stream.write(b"new")
        stream.flush()
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert names(file.parent) == ["x.bin"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failure_leaves_nothing(tmp_path, overwrite):
    file = tmp_path / "x.bin"
    if overwrite:
        file.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), files.writing(file, overwrite=overwrite) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == (["x.bin"] if overwrite else [])
    assert not overwrite or file.read_bytes() == b"old"


@contextmanager
def full_disk(size: int = 4096) -> Iterator[None]:
    """No file may grow beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def by_torch(file: Path) -> None:
    with files.writing(file) as stream:
        torch.save({"a": torch.zeros(100_000)}, stream)


def in_small_pieces(file: Path) -> None:
    with files.writing(file, overwrite=False) as stream:
        for _ in range(10_000):
            stream.write(b"ten bytes.")


WRITERS = {
    "bytes": lambda file: files.write_bytes(file, bytes(100_000)),
    "json": lambda file: files.write_json(file, list(range(10_000))),
    "torch": by_torch,
    "pieces": in_small_pieces,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_names_the_file_and_keeps_nothing(tmp_path, writer):
    file = tmp_path / "x.bin"
    with pytest.raises(OSError, match=r"x\.bin'$") as error, full_disk():
        WRITERS[writer](file)
    assert error.value.filename == str(file) and error.value.strerror
    assert names(tmp_path) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_cannot_be_written_names_the_file(tmp_path, writer):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/x\.bin'$"):
        WRITERS[writer](tmp_path / "file" / "x.bin")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "elsewhere"),
        OSError(errno.ENOSPC, "No space left on device", "elsewhere"),
        OSError("elsewhere is no image"),
        KeyError("elsewhere"),
    ],
)
def test_an_error_of_the_block_stays_its_own(tmp_path, error):
    with pytest.raises(type(error)) as caught, files.writing(tmp_path / "x") as _:
        raise error
    assert caught.value is error
    assert names(tmp_path) == []


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("linked", [True, False])
def test_a_pipe_is_written_to_and_stays_one(tmp_path, overwrite, linked):
    """As do devices: a file in place of /dev/null would break the machine."""
    pipe = file = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        file = tmp_path / "link"
        file.symlink_to(pipe)
    before = names(tmp_path)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with files.writing(file, overwrite=overwrite) as stream:
        stream.write(b"content")
    assert os.read(reader, 100) == b"content" and pipe.is_fifo() and names(tmp_path) == before
    with (
        pytest.raises(OSError, match=f"{file.name}'$"),
        files.writing(file, overwrite=overwrite) as stream,
    ):
        os.close(reader)
        stream.write(b"nobody reads it")
    assert pipe.is_fifo() and names(tmp_path) == before


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path, there):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "x.bin", tmp_path / "link.bin"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(target)
    files.write_bytes(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert names(tmp_path) == ["folder", "link.bin"] and names(target.parent) == ["x.bin"]


def refuse_links(*paths: object) -> None:
    raise PermissionError("no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_overwritten_where_that_is_refused(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", refuse_links)
    file = tmp_path / "x.bin"
    files.write_bytes(file, b"mine", overwrite=False)
    with pytest.raises(ValueError, match=r"x\.bin' exists and is not overwritten"):
        files.write_bytes(file, b"other", overwrite=False)
    late = tmp_path / "late.bin"
    with (
        pytest.raises(ValueError, match=r"late\.bin' exists"),
        files.writing(late, overwrite=False) as stream,
    ):
        stream.write(b"other")
        late.write_bytes(b"mine")  # another process is faster
    assert file.read_bytes() == late.read_bytes() == b"mine"
    assert names(tmp_path) == ["late.bin", "x.bin"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "x", "é\n")
        with files.new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask
    assert (tmp_path / "x").read_bytes() == "é\n".encode()


@pytest.mark.parametrize("text", ["caf\udce9", "\ud800", "é\udcff\n", "plain é 🌳"])
def test_text_that_is_not_unicode(tmp_path, text):
    """As names of files have it, whose bytes are not UTF-8."""
    files.write_text(tmp_path / "x", text)
    written = (tmp_path / "x").read_text(encoding="utf-8")
    assert ast.literal_eval(f"{chr(34) * 3}{written}{chr(34) * 3}") == text
    files.write_json(tmp_path / "x", {text: [text]})
    assert json.loads((tmp_path / "x").read_bytes()) == {text: [text]}


def test_json_is_plain(tmp_path):
    file = tmp_path / "metrics.json"
    file.write_text("old")
    values = {
        "a": np.float32(0.5),
        "b": torch.tensor([1, 2]),
        "c": float("nan"),
        1: (True, None, "x"),
    }
    files.write_json(file, values)
    assert json.loads(file.read_text()) == {
        "a": 0.5,
        "b": [1, 2],
        "c": None,
        "1": [True, None, "x"],
    }
    assert names(tmp_path) == ["metrics.json"]


def test_a_folder_has_its_name_only_when_it_is_complete(tmp_path):
    root = tmp_path / "set"
    with files.new_folder(root) as folder:
        (folder / "a").write_text("1")
        assert not root.exists()
    assert names(root) == ["a"]
    with pytest.raises(OSError), files.new_folder(root) as folder:
        (folder / "a").write_text("2")
    with pytest.raises(KeyboardInterrupt), files.new_folder(tmp_path / "other") as folder:
        raise KeyboardInterrupt
    assert names(tmp_path) == ["set"]
    assert (root / "a").read_text() == "1"


def test_probing_a_folder_leaves_only_the_folder(tmp_path):
    files.probe(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        files.probe(tmp_path / "file" / "b")
