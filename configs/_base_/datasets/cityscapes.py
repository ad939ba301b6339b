# Cityscapes, fine annotations, in the usual layout (leftImg8bit, gtFine with labelTrainIds).
# train: the train cities but three; val: bochum, erfurt and ulm, where the multipliers are learned;
# test: the official val cities.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.segmentation"])
data_root = "data/cityscapes"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(512, 1024), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(2048, 1024), keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
_train = dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train")
_test = dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val")
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="CityscapesCities",
        data_root=data_root,
        data_prefix=_train,
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
        type="CityscapesCities",
        data_root=data_root,
        data_prefix=_train,
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=_in_order,
    dataset=dict(
        type="CityscapesCities",
        data_root=data_root,
        data_prefix=_test,
        split="test",
        pipeline=test_pipeline,
    ),
)
val_evaluator = [
    dict(type="IoUMetric", iou_metrics=["mIoU"]),
    dict(type="CalibrationMetric", ignore_index=255),
]
test_evaluator = val_evaluator
