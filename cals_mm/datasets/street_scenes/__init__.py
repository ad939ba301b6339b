"""Synthetic street scenes in the Cityscapes layout, made from a seed with NumPy and OpenCV."""

from .demo_set import DemoSpec, make_demo_set
from .scene import render_scene

__all__ = ["DemoSpec", "make_demo_set", "render_scene"]
