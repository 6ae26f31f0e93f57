"""Checks, one session each: `nox -l` lists them, `nox -s tests -- -k name` runs one with arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "layers", "tests", "docs", "build"]

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str, package: str | None = ".[all]") -> None:
    """Install the dependency groups and, unless `package` is None, the project in editable form."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install(*requirements, *(("--editable", package) if package else ()))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff."""
    install(session, "lint", package=None)
    session.run("ruff", "check", *(session.posargs or ["."]))


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    install(session, "types")
    session.run("mypy", "--strict", *(session.posargs or ["jobmaster"]))


@nox.session
def layers(session: nox.Session) -> None:
    """The import law."""
    install(session, "layers")
    session.run("lint-imports", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite at its `ci` size."""
    install(session, "test", "layers")
    session.run("pytest", "-n", "3", "--dist", "worksteal", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """The big scenarios at full size."""
    install(session, "test")
    session.run("pytest", "-m", "long", "--timeout=0", *session.posargs)


@nox.session
def search(session: nox.Session) -> None:
    """Tests with examples that are made up, with others than the suite tries."""
    install(session, "test")
    session.run("pytest", "--hypothesis-profile=search", *(session.posargs or ["tests"]))


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a warning is an error."""
    install(session, "docs")
    session.run(
        "sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs
    )


@nox.session
def build(session: nox.Session) -> None:
    """Source distribution and wheel in dist/."""
    install(session, "build", package=None)
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Storms of faults over real processes and servers: `nox -s chaos -- --minutes 30 --seed 1`."""
    install(session, "test")
    session.run("python", "-m", "tests.chaos", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of the dependencies. Asks the advisory database of PyPI, so it needs network; a
    package of which that says nothing is a failure, since nobody has looked at it then."""
    session.install("--editable", ".[all]")
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude-editable", silent=True, log=False)
    listed = Path(session.create_tmp()) / "dependencies.txt"
    listed.write_text(str(frozen))
    session.install("pip-audit")
    session.run(
        "pip-audit", "--strict", "--no-deps", "--disable-pip", "--requirement", str(listed), *session.posargs
    )
