"""Export a trained model to ONNX. See `cals_mm/commands/export_onnx.py`."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cals_mm.commands.export_onnx import main
from cals_mm.runs import run

if __name__ == "__main__":
    run(main)
