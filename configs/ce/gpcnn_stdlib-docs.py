# A CNN over words on docstrings of Python's standard library, cross entropy.
_base_ = [
    "../_base_/models/gpcnn.py",
    "../_base_/datasets/stdlib-docs.py",
    "../_base_/schedules/20newsgroups.py",
    "../_base_/default_runtime_text.py",
]
model = dict(head=dict(num_classes=11))
