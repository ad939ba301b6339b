"""A set of street scenes on disk, in the Cityscapes layout."""

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
from tqdm import tqdm

from cals_mm.files import new_folder

from ..cityscapes_layout import DEMO_MANIFEST, IMAGE_SUFFIX, LABEL_SUFFIX
from ..split_names import Split
from .scene import PERIOD, SPLIT_CITIES, city_of, render_scene

__all__ = ["DemoSpec", "make_demo_set"]

_GENERATOR_VERSION = 1  # raise it when the same seed gives other pixels
_FOLDER: dict[Split, str] = {"train": "train", "val": "train", "test": "val"}


@dataclass(frozen=True)
class DemoSpec:
    """What a demo set contains; equal specifications give equal files.

    Args:
        seed: Seed of all scenes, at least 0.
        height: Image height in pixels, at least 32; the width is twice that.
        num_train: Images of the train split, in the train folder.
        num_held_out: Images of the val split, whose cities are held out of the train folder.
        num_test: Images of the test split, in the val folder.

    Raises:
        ValueError: A value is out of range.
    """

    seed: int = 0
    height: int = 128
    num_train: int = 80
    num_held_out: int = 40
    num_test: int = 60

    def __post_init__(self) -> None:
        limits = {"seed": 0, "height": 32}
        limits |= dict.fromkeys(("num_train", "num_held_out", "num_test"), PERIOD)
        for name, least in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                reason = ", so that every class appears" if least == PERIOD else ""
                raise ValueError(
                    f"{name} is {value!r}: give an integer of at least {least}{reason}"
                )

    @classmethod
    def from_options(cls, **options: int) -> "DemoSpec":
        """Make a specification from a config's dictionary; unknown keys are errors."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(f"unknown demo option {unknown[0]!r}: choose from {', '.join(known)}")
        return cls(**options)

    @property
    def counts(self) -> dict[Split, int]:
        """Number of images of each split."""
        return {"train": self.num_train, "val": self.num_held_out, "test": self.num_test}

    def manifest(self) -> dict[str, int]:
        """Return what identifies the files: the specification and the version of the generator."""
        return dataclasses.asdict(self) | {"generator_version": _GENERATOR_VERSION}


def make_demo_set(
    root: str | os.PathLike[str], spec: DemoSpec | None = None, progress: bool = True
) -> Path:
    """Make the demo set, or reuse it if it is there already.

    The files are written to a hidden folder beside ``root`` that is renamed when it is complete, so
    ``root`` is never incomplete. Concurrent processes wait for the first one. Existing files are
    never overwritten or deleted. A killed process leaves a folder ``.<name>.partial-*`` behind,
    which is not used.

    Args:
        root: Folder of the set; it gets ``leftImg8bit``, ``gtFine`` and a manifest.
        spec: What to make; None for the defaults.
        progress: Whether to show a progress bar with the remaining time.

    Returns:
        ``root``.

    Raises:
        ValueError: If the folder holds something else, an incomplete set or one with other
            parameters, or cannot be written.

    Example:
        >>> import tempfile
        >>> spec = DemoSpec(height=32, num_train=20, num_held_out=20, num_test=20)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     root = make_demo_set(f"{folder}/demo", spec, progress=False)
        ...     len(list(root.glob("leftImg8bit/train/*/*.png")))
        40
    """
    root = Path(root)
    spec = spec or DemoSpec()
    if _is_present(root, spec):
        return root
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _lock(root):
            if not _is_present(root, spec):
                _make(root, spec, progress)
    except OSError as error:
        raise ValueError(
            f"cannot write the demo data to {root} ({error.strerror}): choose another folder"
        ) from error
    return root


def _is_present(root: Path, spec: DemoSpec) -> bool:
    """Whether ``root`` holds this set; False if missing, an error if it holds anything else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    manifest = root / DEMO_MANIFEST
    try:
        found = json.loads(manifest.read_text())
    except (OSError, ValueError):
        raise ValueError(
            f"{root} holds something that is not demo data (no readable {DEMO_MANIFEST}): "
            f"choose another folder or move this one away"
        ) from None
    wanted = spec.manifest()
    if found != wanted:
        has = found if isinstance(found, dict) else {}
        differing = ", ".join(
            f"{key} {has.get(key)} instead of {wanted[key]}"
            for key in wanted
            if has.get(key) != wanted[key]
        )
        raise ValueError(
            f"{root} holds demo data with {differing or 'unknown parameters'}: "
            f"choose another folder, or delete this one to make it anew"
        )
    missing = sum(not path.is_file() for paths in _paths(root, spec) for path in paths[2:])
    if missing:
        raise ValueError(
            f"{root} lacks {missing} files of its demo data: delete it to make it anew"
        )
    return True


def _paths(root: Path, spec: DemoSpec) -> Iterator[tuple[Split, int, Path, Path]]:
    """Split, index, image path and label path of every image."""
    for split, count in spec.counts.items():
        for index in range(count):
            city = city_of(split, index)
            sequence = index // len(SPLIT_CITIES[split])
            stem = f"{_FOLDER[split]}/{city}/{city}_{sequence:06d}_000019"
            image = root / "leftImg8bit" / f"{stem}{IMAGE_SUFFIX}"
            yield split, index, image, root / "gtFine" / f"{stem}{LABEL_SUFFIX}"


def _make(root: Path, spec: DemoSpec, progress: bool) -> None:
    try:
        with new_folder(root) as partial:
            jobs = tqdm(
                list(_paths(partial, spec)), desc="demo data", unit="image", disable=not progress
            )
            for split, index, image_path, label_path in jobs:
                image, label = render_scene(spec.seed, split, index, spec.height)
                for path, pixels in ((image_path, image[..., ::-1]), (label_path, label)):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
            (partial / DEMO_MANIFEST).write_text(json.dumps(spec.manifest(), indent=2) + "\n")
    except OSError:
        # Without a working lock (some network file systems), another process may have been first;
        # its files are the same.
        if not _is_present(root, spec):
            raise


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Let one process at a time make ``root``; a killed process leaves no lock behind."""
    try:
        import fcntl
    except ImportError:  # Windows: every process makes its own copy, and the first one wins
        yield
        return
    path = root.parent / f".{root.name}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
