"""The command line: one module for each command, with ``main(argv)``.

``tools/NAME.py`` calls :func:`cals_mm.runs.run` on the ``main`` of ``cals_mm.commands.NAME``, which
parses ``argv`` (None: the arguments of the process) and does the work by what the rooms below
offer. Nothing is imported here, so that a command loads only what it needs.
"""
