# A small DeepLabV3 on synthetic street scenes, cross entropy.
_base_ = [
    "../_base_/models/deeplabv3_r18-d16_small.py",
    "../_base_/datasets/demo.py",
    "../_base_/schedules/demo.py",
    "../_base_/default_runtime.py",
]
model = dict(decode_head=dict(num_classes=19))
method_defaults = dict(margin=7.0)
