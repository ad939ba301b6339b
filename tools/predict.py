"""Predict images or texts with calibrated confidence. See `cals_mm/commands/predict.py`."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cals_mm.commands.predict import main
from cals_mm.runs import run

if __name__ == "__main__":
    run(main)
