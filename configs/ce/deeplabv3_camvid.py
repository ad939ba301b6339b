# DeepLabV3 on all of CamVid's fit images, cross entropy.
_base_ = [
    "../_base_/models/deeplabv3_r18-d16_small.py",
    "../_base_/datasets/camvid.py",
    "../_base_/schedules/camvid.py",
    "../_base_/default_runtime.py",
]
method_defaults = dict(margin=10.0)
