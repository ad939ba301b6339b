"""The version of the package: the one place that defines it (`setup.py` reads this file)."""

__version__ = "0.1.0"
