# CIFAR-10 as published, or ten folders of 32x32 images in train/ and test/ under data_root.
# val, where the multipliers are learned, is a tenth of each class of train (or val/ if there is
# one); test is the official test set.
custom_imports = dict(imports=["cals_mm", "cals_mm.datasets.classification"])
data_root = "data/cifar10"
train_pipeline = [
    dict(type="RandomCrop", crop_size=32, padding=4),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="PackInputs")]
_in_order = dict(type="DefaultSampler", shuffle=False)
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="CIFAR10Split", data_root=data_root, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=2,
    persistent_workers=True,
    sampler=_in_order,
    dataset=dict(type="CIFAR10Split", data_root=data_root, split="val", pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=256,
    num_workers=2,
    sampler=_in_order,
    dataset=dict(type="CIFAR10Split", data_root=data_root, split="test", pipeline=test_pipeline),
)
val_evaluator = [dict(type="Accuracy", topk=(1, 5)), dict(type="CalibrationMetric")]
test_evaluator = val_evaluator
