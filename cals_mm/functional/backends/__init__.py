"""The backends, and the choice among them.

* ``native``: compiled kernels on the CPU, if a compiler was available at installation.
* ``triton``: one kernel on CUDA (in tests also on the CPU, by Triton's interpreter).
* ``chunked``: one pass in plain torch over chunks that stay in the cache, for everything the
  kernels do not cover.
* ``eager``: plain tensor algebra under autograd on any device, the reference.

``CALS_MM_BACKEND`` names the fastest backend that may be chosen, for the losses and all sums.
"""

from .choice import BACKENDS, Backend, choose

__all__ = ["BACKENDS", "Backend", "choose"]
