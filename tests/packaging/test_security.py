"""What the package never does, read from its source: run data as code, or hand text to a shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "jobmaster"
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("os", "system"), ("os", "popen"), ("yaml", "load"), ("tempfile", "mktemp")}

ANNOTATIONS = ["handlers/annotations.py eval()"]
"""Annotations that stand as text in the source of handlers are evaluated there, as ``typing`` does it."""


def forbidden(source: str) -> list[str]:
    """What of the above a module does, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                found.append(f"{node.lineno}: {called.id}()")
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                if (called.value.id, called.attr) in ATTRIBUTES:
                    found.append(f"{node.lineno}: {called.value.id}.{called.attr}()")
            for keyword in node.keywords:
                value = keyword.value
                if keyword.arg == "shell" and not (isinstance(value, ast.Constant) and value.value is False):
                    found.append(f"{node.lineno}: shell=")
    return found


def test_no_module_runs_data_as_code() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 300
    found = [
        f"{file.relative_to(PACKAGE).as_posix()} {what.partition(': ')[2]}"
        for file in files
        for what in forbidden(file.read_text())
    ]
    assert found == ANNOTATIONS


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "import dill as json",
        "eval('1')",
        "x = [exec(code)]",
        "__import__(name)",
        "import os\nos.system(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=wanted)",
    ],
)
def test_each_of_them_is_seen(source: str) -> None:
    assert forbidden(source)


def test_what_is_harmless_is_not() -> None:
    assert forbidden("import re\nre.compile('x')\nsubprocess.run(['x'], shell=False)\nmodel.eval()") == []
