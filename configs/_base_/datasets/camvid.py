# CamVid, 11 classes: images/{train,val,test}, annotations/{train,val,test} under data_root.
# train: train less the central fifth of every sequence; val: that fifth; test: the official val.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.segmentation"])
data_root = "data/camvid"
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
_train = dict(img_path="images/train", seg_map_path="annotations/train")
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CamVid11",
        data_root=data_root,
        data_prefix=_train,
        split="train",
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CamVid11",
        data_root=data_root,
        data_prefix=_train,
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CamVid11",
        data_root=data_root,
        data_prefix=dict(img_path="images/val", seg_map_path="annotations/val"),
        split="test",
        pipeline=test_pipeline,
    ),
)
val_evaluator = [
    dict(type="IoUMetric", iou_metrics=["mIoU"]),
    dict(type="CalibrationMetric", ignore_index=255),
]
test_evaluator = val_evaluator
