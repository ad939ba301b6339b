"""The package as a whole: import time and weight, layering, version, extras."""

import ast
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cals_mm"

IMPORT_BUDGET = 0.5  # seconds over `import torch, mmengine.registry`

# The plan of the house, from the bottom: a room may import itself and what stands before it.
ROOMS = (
    "version",
    "_mmengine",
    "packaged",
    "files",
    "functional",
    "environment",
    "posthoc",
    "core",
    "visualization",
    "frameworks",
    "losses",
    "metrics",
    "hooks",
    "_lazy_hooks",
    "methods",
    "config",
    "datasets",
    "runs",
    "text",
    "prediction",
    "analysis",
    "benchmark",
    "commands",
    "__main__",
)
# What the text room takes of the data sets: words, no framework.
NAMES_OF_DATA = ("cals_mm.datasets.missing_data", "cals_mm.datasets.split_names")
# Rooms that need nothing but torch.
TORCH_ONLY = ("functional", "posthoc", "core")


def run_python(code: str, check: bool = True) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd="/", check=check
    )


def test_import_is_quick():
    # Processor time, not wall time: other test workers run at the same time.
    code = (
        "import time, torch, mmengine.registry; start = time.process_time(); import cals_mm;"
        "print(time.process_time() - start)"
    )
    run_python(code)  # compiles the byte code
    seconds = [float(run_python(code).stdout) for _ in range(5)]
    assert statistics.median(seconds) <= IMPORT_BUDGET, seconds


def test_import_pulls_in_no_heavy_package():
    code = (
        "import sys, json, cals_mm;"
        "print(json.dumps([m for m in ('mmseg', 'mmpretrain', 'matplotlib') if m in sys.modules]))"
    )
    assert json.loads(run_python(code).stdout) == []


WITHOUT_MMENGINE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('mmengine', 'mmcv', 'mmseg', 'mmpretrain'):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Blocked())
"""


@pytest.mark.parametrize(
    "statement",
    [
        "from cals_mm import CALSLoss",
        "import cals_mm; cals_mm.add_cals",
        "import cals_mm.commands",
        "from cals_mm.text import TextClassifier",
    ],
)
def test_without_mmengine_the_error_names_the_extra(statement):
    code = f"""{WITHOUT_MMENGINE}
try:
    {statement}
except ImportError as error:
    print(error)
"""
    message = run_python(code).stdout.strip()
    assert len(message.splitlines()) == 1, message
    assert "cals-mm[onedl]" in message


def test_without_mmengine_the_rooms_of_plain_torch_work():
    code = f"""{WITHOUT_MMENGINE}
import torch, cals_mm
from cals_mm import core, functional, posthoc
from cals_mm.text import GlobalPoolingCNN, Vocabulary

logits, target = torch.randn(8, 3), torch.randint(3, (8,))
loss = functional.cals_loss(logits, target, torch.ones(3), torch.ones(3))
meter = core.CalibrationMeter()
meter.update(logits, target)
scaler = posthoc.TemperatureScaler().fit(logits, target)
print(loss.isfinite().item(), meter.compute()['ECE'] >= 0, cals_mm.__version__)
"""
    from cals_mm import __version__

    assert run_python(code).stdout.split() == ["True", "True", __version__]


def test_dir_shows_what_is_public():
    import cals_mm

    shown = dir(cals_mm)
    assert shown == sorted(cals_mm.__all__)
    assert {"CALSLoss", "CALSMultiplierHook", "CalibrationMetric", "add_cals", "core"} < set(shown)
    for name in shown:
        assert getattr(cals_mm, name) is not None, name
    public = {"__version__", "core", "functional", "posthoc"}
    for name in set(shown) - public:
        assert getattr(cals_mm, name).__module__.startswith("cals_mm."), name
    with pytest.raises(AttributeError, match="no attribute 'CALSLos'"):
        cals_mm.CALSLos  # noqa: B018


def imported_modules(file: Path) -> set[str]:
    """Absolute names of all that a file imports, wherever in it."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def upward_imports(file: Path, room: str) -> list[str]:
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "__version__"}
    return [
        name
        for name in sorted(imported_modules(file))
        if name.split(".")[0] == "cals_mm" and name.split(".")[1] not in allowed
    ]


def files_of(room: str) -> list[Path]:
    return (
        [PACKAGE / f"{room}.py"]
        if (PACKAGE / f"{room}.py").is_file()
        else sorted((PACKAGE / room).rglob("*.py"))
    )


def test_the_plan_names_every_room():
    found = {path.stem for path in PACKAGE.glob("*.py")}
    found |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_downwards(room):
    files = files_of(room)
    assert files
    found = {str(file.relative_to(ROOT)): upward_imports(file, room) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize("room", TORCH_ONLY)
def test_lower_rooms_need_torch_only(room):
    for file in files_of(room):
        roots = {name.split(".")[0] for name in imported_modules(file)}
        foreign = roots - set(sys.stdlib_module_names) - {"torch", "cals_mm", "numpy", "triton"}
        assert foreign == set(), f"{file.relative_to(ROOT)} imports {foreign}"


def test_the_layer_check_sees_an_upward_import(tmp_path, monkeypatch):
    file = tmp_path / "cals_mm" / "functional" / "inner" / "wrong.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ...core import x\nfrom .. import penalty\nfrom cals_mm import losses\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert upward_imports(file, "functional") == ["cals_mm.core.x", "cals_mm.losses"]


def test_text_needs_no_vision_framework():
    allowed = {"cals_mm", "mmengine", "numpy", "sklearn", "torch", "tqdm"}
    inside = {"_mmengine", "files", "frameworks", "runs", "text"}
    for file in sorted((PACKAGE / "text").rglob("*.py")):
        names = imported_modules(file)
        foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - allowed
        assert foreign == set(), f"{file.relative_to(ROOT)} imports {foreign}"
        own = {name for name in names if name.startswith("cals_mm.")}
        own = {n for n in own if not n.startswith(NAMES_OF_DATA)}
        parts = {name.split(".")[1] for name in own}
        assert parts <= inside, f"{file.relative_to(ROOT)} imports {parts - inside}"


@pytest.mark.parametrize(
    "code",
    ["import runpy; runpy.run_path('{root}/tools/train.py')", "import cals_mm.text.predict"],
    ids=["train.py", "text.predict"],
)
def test_only_the_demo_loads_the_street_scene_engine(code):
    code = code.format(root=ROOT) + "; import sys; print([m for m in sys.modules if 'scene' in m])"
    assert run_python(code).stdout.strip() == "[]"


def test_library_rooms_need_no_room_of_the_commands():
    for room in ("text", "datasets", "visualization", "metrics", "hooks", "losses"):
        for file in files_of(room):
            found = {name for name in imported_modules(file) if name.startswith("cals_mm.")}
            above = {name for name in found if name.split(".")[1] in ("runs", "commands")}
            # The entry point of `python -m cals_mm.text` is a command.
            assert file.name == "__main__.py" or not above, f"{file} imports {above}"


def test_one_version():
    import cals_mm
    from cals_mm.version import __version__

    assert cals_mm.__version__ == __version__
    try:
        installed = importlib.metadata.version("cals-mm")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cals-mm is not installed, the suite runs from the source tree")
    assert installed == __version__


def test_core_requirements_name_no_openmmlab_package():
    tree = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id.endswith(("_REQUIRES", "_REQUIRE"))
    }
    assert not [name for name in values["INSTALL_REQUIRES"] if "mm" in name]
    assert set(values["EXTRAS_REQUIRE"]) == {
        *("onedl", "openmmlab", "text", "export", "test", "docs", "bench", "dev")
    }


def test_constraints_pin_every_direct_requirement():
    pins = (ROOT / "constraints.txt").read_text("utf-8").lower()
    pinned = {line.split("==")[0] for line in pins.splitlines() if "==" in line}
    tree = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    named = {
        node.value.split(">=")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for name in ("torch", "torchvision", "numpy", "onedl-mmengine", "ruff", "mypy", "pytest"):
        assert name in named
        assert name in pinned
