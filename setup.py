"""Packaging of `cals-mm`; `make install` calls it, `constraints.txt` holds the tested versions."""

import re
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).resolve().parent

# Read, not imported: importing the package needs torch, which the build environment lacks.
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (ROOT / "cals_mm" / "version.py").read_text("utf-8"), re.MULTILINE
).group(1)

README = ROOT / "README.md"

# No mm* package here: the maintained and the original OpenMMLab stack install the same import
# names under different distribution names, so the user picks one of the two extras.
INSTALL_REQUIRES = ["torch>=2.1", "numpy", "matplotlib", "tqdm"]

EXTRAS_REQUIRE = {
    # The maintained fork of OpenMMLab: current torch, nothing to compile.  `ftfy` and `regex` are
    # imported by mmseg and mmpretrain although not every release declares them.
    "onedl": [
        "onedl-mmengine>=0.10.8",
        "onedl-mmcv>=2.3",
        "onedl-mmsegmentation>=1.4",
        "onedl-mmpretrain>=1.3",
        "torchvision",
        "ftfy",
        "regex",
    ],
    # The original stack; mmcv has to be compiled against the installed torch.
    "openmmlab": [
        "mmengine>=0.10.4",
        "mmcv>=2.0.1",
        "mmsegmentation>=1.2.2",
        "mmpretrain>=1.2.0",
        "torchvision",
        "ftfy",
        "regex",
    ],
    "text": ["scikit-learn"],
    "export": ["onnx", "onnxscript", "onnxruntime"],
    "test": [
        "pytest>=8",
        "pytest-xdist>=3.5",
        "hypothesis",
        "scikit-learn",
        "tensorboard",
        "torchmetrics",
        "onnx",
        "onnxscript",
        "onnxruntime",
    ],
    "docs": [
        "mkdocs>=1.6,<2",
        "mkdocs-material>=9.5",
        "mkdocstrings[python]>=0.26",
        "nbclient",
        "ipykernel",
    ],
    "bench": ["torchmetrics", "netcal"],
    "dev": ["ruff", "mypy", "pre-commit"],
}

# Configs and tools, where OpenMMLab's launchers and `_base_ = 'cals_mm::...'` look for them; in a
# checkout the folders are links.
MIM = [".mim/model-index.yml", ".mim/configs/**/*.py", ".mim/tools/*.py", ".mim/tools/*.sh"]

# One build serves every Python from 3.10 on, but for those without the interpreter lock.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")

FLAGS = ["-std=gnu11", "-O3", "-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno"]

# Optional: without a compiler that knows these flags (Windows' own does not) the build goes on, and
# the loss uses plain torch.  No torch here, and no OpenMP but torch's, looked up at run time:
# pragmas only tell which loops to vectorise.
NATIVE = Extension(
    "cals_mm.functional.backends._native",
    sources=["csrc/module.c", "csrc/threads.c"],
    depends=[str(path.relative_to(ROOT)) for path in sorted((ROOT / "csrc").glob("*.h"))],
    define_macros=[("Py_LIMITED_API", "0x030A0000")] if STABLE_ABI else [],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
    libraries=["dl"] if sys.platform == "linux" else [],
    py_limited_api=STABLE_ABI,
    optional=True,
)

setup(
    name="cals-mm",
    version=VERSION,
    description="Class adaptive calibration (CALS) for the OpenMMLab frameworks",
    long_description=README.read_text("utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="The cals_mm authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["cals_mm", "cals_mm.*"]),
    package_data={"cals_mm": ["py.typed", *MIM]},
    entry_points={"console_scripts": ["cals = cals_mm.__main__:main"]},
    ext_modules=[NATIVE],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if STABLE_ABI else {},
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    zip_safe=False,
)
