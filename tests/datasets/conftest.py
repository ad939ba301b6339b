import cv2
import numpy as np
import pytest

from cals_mm.datasets.street_scenes import DemoSpec, make_demo_set


@pytest.fixture(scope="session")
def demo_spec():
    return DemoSpec(seed=5, height=48, num_train=20, num_held_out=20, num_test=20)


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory, demo_spec):
    return make_demo_set(tmp_path_factory.mktemp("demo") / "set", demo_spec, progress=False)


@pytest.fixture
def write_png():
    """Writes a small picture, making its folders."""

    def write(path, value=0, channels=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (8, 16) if channels is None else (8, 16, channels)
        assert cv2.imwrite(str(path), np.full(shape, value, dtype=np.uint8))

    return write
