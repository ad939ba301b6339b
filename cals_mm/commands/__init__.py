"""The command line: one module with ``main(argv)`` for each command.

``tools/NAME.py`` passes the ``main`` of ``cals_mm.commands.NAME`` to :func:`cals_mm.runs.run`. It
parses ``argv`` (None means the arguments of the process) and calls the other packages. No command
is imported here, so that each loads only what it needs.
"""

from cals_mm._mmengine import require_mmengine

require_mmengine("the command line")
