"""What the pages show exists: their Python parses, their names can be imported, their commands are there."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from jobmaster import ClusterConfig
from jobmaster.cli.shell import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block of a language, with the name of its page."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return [(page.name, found) for page in PAGES for found in fence.findall(page.read_text())]


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_parses_and_imports_what_exists(page: str, code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jobmaster"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert getattr(module, alias.name), f"{page}: {alias.name}"


def test_commands_and_their_options_exist() -> None:
    root = get_command(app)
    seen = set()
    for page, text in blocks("sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] != "jobmaster":
                continue
            command, arguments = root, words[1:]
            while hasattr(command, "commands") and arguments and arguments[0] in command.commands:
                command = command.commands[arguments.pop(0)]
            seen.add(command.name)
            known = {option for parameter in command.params for option in parameter.opts}
            for argument in arguments:
                if argument.startswith("-"):
                    assert argument in known, f"{page}: {line}"
    assert {"demo", "run", "status", "list", "bench", "agents", "forget", "drain"} <= seen


def test_every_command_is_in_the_table() -> None:
    page = (DOCS / "command-line.md").read_text()
    root = get_command(app)
    assert {name for name in root.commands if f"`jobmaster {name}" not in page} == set()


STEPS = ("configuration", "handlers", "workers", "agents", "workers-and-lanes", "moving", "jobmaster-net")


@pytest.mark.parametrize("page", [f"{name}.md" for name in STEPS])
def test_every_step_that_is_named_exists(page: str) -> None:
    text = (DOCS / page).read_text()
    for name in re.findall(r"`(use_\w+|add_\w+|default_\w+|disable_\w+|set_as_default)\b", text):
        if name != "use_…":
            assert callable(getattr(ClusterConfig, name)), name


def test_the_configuration_page_is_complete() -> None:
    text = (DOCS / "configuration.md").read_text()
    steps = {name for name in vars(ClusterConfig) if not name.startswith("_")}
    internal = {"prepare", "observers", "use_standalone"}
    assert {name for name in steps - internal if f"{name}" not in text} == set()
