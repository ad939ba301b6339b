import numpy as np

from cals_mm.visualization import class_key, overlay

PALETTE = [(200, 0, 0), (0, 0, 200)]
IMAGE = np.full((40, 60, 3), 90, np.uint8)
CLASSES = np.repeat([0, 1], 30)[None].repeat(40, 0)


def test_colours_are_those_of_the_classes_and_unsure_pixels_are_whiter():
    confidence = np.full((40, 60), 1.0, np.float32)
    confidence[20:] = 0.4
    drawn = overlay(IMAGE, CLASSES, confidence, PALETTE).astype(int)
    assert drawn.shape == (40, 60, 3)
    sure, unsure = drawn[:20], drawn[20:]
    assert (sure[:, :30, 0] > sure[:, :30, 2] + 50).all()
    assert (sure[:, 30:, 2] > sure[:, 30:, 0] + 50).all()
    assert unsure.min() > 180 > sure[..., 1].max()


def test_only_rejected_pixels_are_hatched():
    confidence = np.ones((40, 60), np.float32)
    accepted = np.zeros((40, 60), bool)
    accepted[:20] = True
    plain = overlay(IMAGE, CLASSES, confidence, PALETTE)
    drawn = overlay(IMAGE, CLASSES, confidence, PALETTE, accepted)
    changed = (plain != drawn).any(2)
    assert not changed[:20].any()
    assert 0.2 < changed[20:].mean() < 0.5
    assert (drawn[changed] == 20).all()


def test_the_key_has_every_colour():
    names = ["_road$", "car", "road"] * 20
    palette = [(4 * k, 250 - 4 * k, 100) for k in range(60)]
    key = class_key(names, palette).reshape(-1, 3).astype(int)
    for colour in palette:
        assert (np.abs(key - colour).sum(1) <= 3).sum() > 50
