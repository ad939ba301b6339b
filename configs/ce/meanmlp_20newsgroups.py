# The mean of word vectors and an MLP on 20 Newsgroups, cross entropy.
_base_ = [
    "../_base_/models/meanmlp.py",
    "../_base_/datasets/20newsgroups.py",
    "../_base_/schedules/20newsgroups.py",
    "../_base_/default_runtime_text.py",
]
method_defaults = dict(margin=10.0, num_samples=14177)
