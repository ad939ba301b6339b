# DeepLabV3, ResNet-50, 512x512 crops of PASCAL VOC 2012, cross entropy.
_base_ = [
    "../_base_/models/deeplabv3_r50-d8.py",
    "../_base_/datasets/voc12.py",
    "../_base_/schedules/voc12_100e.py",
    "../_base_/default_runtime.py",
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21),
)
method_defaults = dict(margin=10.0)
