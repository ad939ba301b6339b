"""The command line: one module for each command, with ``main(argv)``.

``tools/NAME.py`` calls :func:`cals_mm.runs.run` on the ``main`` of ``cals_mm.commands.NAME``, which
parses ``argv`` (None: the arguments of the process) and does the work by what the rooms below
offer. No command is imported here, so that each loads only what it needs.
"""

from cals_mm._mmengine import require_mmengine

require_mmengine("the command line")
