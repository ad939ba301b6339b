# PASCAL VOC 2012, the 1,464 fine training images, in VOCdevkit/VOC2012's own layout.
# train: 1,171 of them; val: the other 293, where the multipliers are learned; test: official val.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.segmentation"])
data_root = "data/VOCdevkit/VOC2012"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(2048, 512), keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
_folders = dict(img_path="JPEGImages", seg_map_path="SegmentationClass")
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="PascalVOC12Fold",
        data_root=data_root,
        data_prefix=_folders,
        ann_file="ImageSets/Segmentation/train.txt",
        split="train",
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=_in_order,
    dataset=dict(
        type="PascalVOC12Fold",
        data_root=data_root,
        data_prefix=_folders,
        ann_file="ImageSets/Segmentation/train.txt",
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=_in_order,
    dataset=dict(
        type="PascalVOC12Fold",
        data_root=data_root,
        data_prefix=_folders,
        ann_file="ImageSets/Segmentation/val.txt",
        split="test",
        pipeline=test_pipeline,
    ),
)
val_evaluator = [
    dict(type="IoUMetric", iou_metrics=["mIoU"]),
    dict(type="CalibrationMetric", ignore_index=255),
]
test_evaluator = val_evaluator
