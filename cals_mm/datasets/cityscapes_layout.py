"""Layout of Cityscapes: classes, file names and cities."""

__all__ = [
    "CLASSES",
    "HELD_OUT_CITIES",
    "IMAGE_SUFFIX",
    "LABEL_SUFFIX",
    "TRAIN_IMAGES_PER_CITY",
    "VAL_CITIES",
    "VOID",
]

CLASSES = (
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
    'motorcycle', 'bicycle',
)  # fmt: skip
VOID = 255

IMAGE_SUFFIX = "_leftImg8bit.png"
LABEL_SUFFIX = "_gtFine_labelTrainIds.png"

# This file marks a folder with the demo's synthetic scenes.
DEMO_MANIFEST = "demo_set.json"

# Number of finely annotated images per city of the official train folder: 2975 in all.
TRAIN_IMAGES_PER_CITY = {
    'aachen': 174, 'bochum': 96, 'bremen': 316, 'cologne': 154, 'darmstadt': 85,
    'dusseldorf': 221, 'erfurt': 109, 'hamburg': 248, 'hanover': 196, 'jena': 119,
    'krefeld': 99, 'monchengladbach': 94, 'strasbourg': 365, 'stuttgart': 196, 'tubingen': 144,
    'ulm': 95, 'weimar': 142, 'zurich': 122,
}  # fmt: skip
VAL_CITIES = ("frankfurt", "lindau", "munster")

# Cities of train on which the multipliers are learned. Whole cities, because two images of a city
# may show the same street. These three have 300 of the 2975 images (10.1 %) and lie in different
# parts of the country. The official val folder is the test set.
HELD_OUT_CITIES = ("bochum", "erfurt", "ulm")
