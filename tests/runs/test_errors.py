"""Which process tells of an error."""

import pytest
import torch.distributed as dist

from cals_mm import runs


def fail(argv):
    raise FileNotFoundError("no such file: 'img_00017.png'")


@pytest.mark.parametrize(
    ("rank", "together", "said"),
    [
        (0, False, "error: no such file: 'img_00017.png'\n"),
        (0, True, "error: no such file: 'img_00017.png'\n"),
        (2, False, ""),
        (2, True, "process 2: error: no such file: 'img_00017.png'\n"),
    ],
)
def test_a_process_that_meets_a_bad_file_says_so(monkeypatch, capsys, rank, together, said):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setattr(dist, "is_initialized", lambda: together)
    with pytest.raises(SystemExit) as end:
        runs.run(fail)
    assert end.value.code == 2
    assert capsys.readouterr().err == said
