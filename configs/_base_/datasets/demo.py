# Synthetic street scenes in the Cityscapes layout, made under data_root on first use.
# The three splits are those of Cityscapes: training cities, held-out cities, val cities.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.segmentation"])
data_root = "data/demo"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
_train = dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train")
_test = dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val")
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="DemoCityscapes",
        data_root=data_root,
        data_prefix=_train,
        split="train",
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(
        type="DemoCityscapes",
        data_root=data_root,
        data_prefix=_train,
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=_in_order,
    dataset=dict(
        type="DemoCityscapes",
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
