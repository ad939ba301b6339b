"""What cannot be written ends in one line with the file and the option that gives another."""

import errno
from pathlib import Path

import pytest
import torch

from cals_mm import files, runs
from cals_mm.posthoc.checkpoint import save_new
from cals_mm.runs.errors import one_line
from tests.test_files import full_disk, names

WRITERS = {
    "--out": lambda path: save_new({"state_dict": {"a": torch.zeros(9999)}}, str(path)),
    "--json": lambda path: files.write_json(path, list(range(9999))),
    "--dump": lambda path: files.write_text(path, "x" * 9999, overwrite=False),
}


@pytest.mark.parametrize("option", WRITERS)
def test_a_full_disk(tmp_path: Path, option: str) -> None:
    file = tmp_path / "x.pth"
    with pytest.raises(ValueError) as error, full_disk(), runs.written_by(option):
        WRITERS[option](file)
    line = one_line(error.value)
    assert str(file) in line and option in line and "partial" not in line
    assert names(tmp_path) == []


@pytest.mark.parametrize("option", WRITERS)
def test_a_read_only_folder(option: str) -> None:
    with pytest.raises(ValueError, match=f"cannot write to '/proc/x'.*by {option}"):
        runs.check_writable("/proc/x", option)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("file", [None, "work/epoch_1.pth"])
def test_a_disk_that_fills_up_while_training(number: int, file: str | None) -> None:
    line = one_line(OSError(number, "No space left on device", file))
    assert "--work-dir" in line and "No space left" in line and (file or "the disk") in line
