# A small ResNet on scikit-learn's digits with a long tail, cross entropy.
_base_ = [
    "../_base_/models/resnet_digits.py",
    "../_base_/datasets/digits-lt.py",
    "../_base_/schedules/digits.py",
    "../_base_/default_runtime_cls.py",
]
custom_hooks = [*_base_.custom_hooks, dict(type="ClassCountsHook")]
method_defaults = dict(margin=8.0, num_samples=231)
