# The mean of word vectors and an MLP on docstrings of Python's library, cross entropy.
_base_ = [
    "../_base_/models/meanmlp.py",
    "../_base_/datasets/stdlib-docs.py",
    "../_base_/schedules/20newsgroups.py",
    "../_base_/default_runtime_text.py",
]
model = dict(backbone=dict(vocabulary_size=8000), head=dict(num_classes=11))
train_cfg = dict(max_epochs=20)
method_defaults = dict(margin=5.0)
