"""The commands in README, docs and usages have flags and values that their scripts take."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import sys
from contextlib import suppress
from functools import lru_cache

import pytest

from cals_mm.__main__ import COMMANDS
from cals_mm.__main__ import main as cals

from .pages import ROOT, commands, pages

FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")

SCRIPTS = [
    *(f"tools/{file.name}" for file in sorted((ROOT / "tools").glob("*.py"))),
    *(f"benchmarks/{file.name}" for file in sorted((ROOT / "benchmarks").glob("bench_*.py"))),
    *(f"cals {name}" for name in COMMANDS if name != "env"),
    "cals_mm.text",
]


@lru_cache
def options(script: str) -> dict[str, argparse.Action]:
    """The flags of a script, a command or a module that runs, as its own parser defines them."""
    parsers: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *args: object) -> object:
        if parser.prog == "cals":  # finds the command
            return parse(parser, *args)
        parsers.append(parser)
        raise SystemExit

    parse = argparse.ArgumentParser.parse_known_args
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
        patch.setattr(sys, "argv", [script])
        if script.endswith(".py"):
            patch.syspath_prepend(str((ROOT / script).parent))
            runpy.run_path(str(ROOT / script), run_name="__main__")
        elif script.startswith("cals "):
            cals(script.split()[1:])
        else:
            runpy.run_module(script, run_name="__main__")
    for parser in parsers:  # grows by the commands of a command
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    return {name: a for parser in parsers for name, a in parser._option_string_actions.items()}


def script_of(command: str) -> str | None:
    """The script of the project that a command runs, None for another program."""
    if started := re.search(r"tools/(?:dist|slurm)_(train|test)\.sh", command):
        return f"tools/{started[1]}.py"
    if found := re.match(r"(?:python -m cals_mm|cals) ([a-z][a-z-]*)", command):
        return f"cals {found[1]}"
    if module := re.match(r"python -m (cals_mm\.\w+)", command):
        return module[1]
    found = re.search(r"(?:tools|benchmarks)/[a-z_]+\.py", command)
    return found[0] if found else None


def unknown_in(command: str) -> list[str]:
    """Flags of a command that its script does not have, and values that a flag does not take."""
    script = script_of(command)
    if script is None and not command.startswith("--"):
        return []
    known = options(script) if script else {k: a for s in SCRIPTS for k, a in options(s).items()}
    flag, unknown = "", []
    for word in command.replace("[", " ").replace("]", " ").split():
        if FLAG.fullmatch(word):
            flag = word
            unknown += [] if flag in known else [flag]
        elif script and flag in known and known[flag].choices and word.islower():
            unknown += [] if word in known[flag].choices else [f"{flag} {word}"]
    return unknown


@pages
def test_flags_are_known(page):
    for command in commands(page):
        assert unknown_in(command) == [], command


USAGES = [*(ROOT / "tools").glob("*.py"), *(ROOT / "benchmarks").glob("bench_*.py")]
USAGES += [*(ROOT / "cals_mm" / "commands").glob("*.py"), ROOT / "cals_mm/text/__main__.py"]


@pytest.mark.parametrize("file", sorted(USAGES), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_usage_in_a_script_is_right(file):
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    for line in re.sub(r"\s#.*", "", text.replace("\\\n", " ")).splitlines():
        assert unknown_in(line.strip()) == [], line


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_wrong_flag_of_any_script_is_found(script):
    start = (
        "" if script.startswith("cals ") else "python " if script.endswith(".py") else "python -m "
    )
    assert unknown_in(f"{start}{script} CONFIG.py --no-such-flag 3") == ["--no-such-flag"]
    assert unknown_in(f"{start}{script} --help") == []


def test_a_wrong_value_and_a_launched_script_are_found():
    assert unknown_in("python tools/demo.py --task nonsense") == ["--task nonsense"]
    assert unknown_in("tools/slurm_test.sh P JOB CONFIG FILE.pth --amp") == ["--amp"]
    assert unknown_in("--no-such-flag") == ["--no-such-flag"]
    assert unknown_in("pip install --no-deps x") == []
