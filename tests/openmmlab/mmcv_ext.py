"""Stand-in for `mmcv._ext` where mmcv comes without its compiled operators (mmcv-lite).

mmsegmentation imports them when it is imported. `make test-openmmlab` puts this file into its own
environment, so that the import goes through; an operator that is called says what it lacks.
"""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f"{name}: mmcv-lite has no compiled operators; install mmcv")

    return missing
