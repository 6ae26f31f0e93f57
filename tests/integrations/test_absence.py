"""Without its framework a module says which one to install; and it loads no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ["starlette", "fastapi", "flask", "django", "dishka", "svcs"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_way_out_is_named(name: str) -> None:
    hide = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
import jobmaster.integrations.{name}
"""
    done = python(hide)
    said = f"ImportError: jobmaster.integrations.{name} needs {name}: pip install {name}"
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == said


def test_a_framework_that_is_broken_is_reported_as_such() -> None:
    hide = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "werkzeug":
            raise ModuleNotFoundError("No module named 'werkzeug'", name=name)
sys.meta_path.insert(0, Hidden())
import jobmaster.integrations.flask
"""
    assert python(hide).stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'werkzeug'"


@pytest.mark.parametrize(
    "name", [name for name in FRAMEWORKS if name != "svcs"]
)  # which looks for the others
def test_each_module_loads_its_own_framework_only(name: str) -> None:
    done = python(f"import jobmaster.integrations.{name}, sys; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    allowed = {name, "starlette"} if name == "fastapi" else {name}
    assert loaded & set(FRAMEWORKS) == allowed
