"""The backends, and the choice among them.

* ``native``: compiled kernels. CPU, where a compiler was at hand when the package was installed.
* ``triton``: one kernel. CUDA (and, for tests, the CPU through Triton's interpreter).
* ``chunked``: one pass over chunks that stay in the cache, in plain torch. What neither kernel
  covers, and where they are missing.
* ``eager``: plain tensor algebra under autograd, the reference. Any device.

``CALS_MM_BACKEND`` names the fastest that may be chosen, for the loss as for all sums.
"""

from .choice import BACKENDS, Backend, choose

__all__ = ["BACKENDS", "Backend", "choose"]
