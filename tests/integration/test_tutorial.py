"""The notebook docs/tutorial.ipynb runs as it stands."""

from __future__ import annotations

import json
import math

import pytest

from tests.pages import ROOT

nbformat = pytest.importorskip("nbformat", reason="the extra 'docs' is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra 'docs' is not installed")
pytest.importorskip("ipykernel", reason="the extra 'docs' is not installed")
pytest.importorskip("mmseg", reason="mmsegmentation is not installed")

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def test_it_is_committed_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_it_trains_measures_calibrates_and_predicts(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads that wait for busy cores take minutes
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    folder = tmp_path / "tutorial"
    metrics = [json.loads((folder / f"{name}.json").read_text()) for name in ("ce", "cals")]
    assert all(math.isfinite(value) for run in metrics for value in run.values())
    assert metrics[0] != metrics[1]
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert f"{metrics[1]['calibration/ECE']:7.3f}" in printed
    assert "% of the pixels accepted at confidence" in printed
    assert len(list(folder.glob("predictions/overlay/**/*.jpg"))) == 20
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
    ]
    assert sum("image/png" in picture["data"] for picture in pictures) == 2
