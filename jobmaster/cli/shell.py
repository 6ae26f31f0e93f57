"""Assembles the commands and turns faults into one sentence and an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import _version
from ..cluster.settings import without_password
from ..errors import JobMasterError
from . import (
    agentscommand,
    benchcommand,
    checkcommand,
    democommand,
    draincommand,
    jobscommand,
    migratecommand,
    runcommand,
    schedulescommand,
    statuscommand,
)
from .refusal import Refusal, sentence

__all__ = ["run_command"]

_URL = re.compile(r"\S+://\S+")
FAULT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="jobmaster",
    help="Job orchestration on the databases you already run.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"jobmaster {_version.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Job orchestration on the databases you already run."""


democommand.add_to(app)
runcommand.add_to(app)
checkcommand.add_to(app)
migratecommand.add_to(app)
jobscommand.add_to(app)
schedulescommand.add_to(app)
agentscommand.add_to(app)
draincommand.add_to(app)
statuscommand.add_to(app)
benchcommand.add_to(app)


def run_command(arguments: Sequence[str] | None) -> int:
    """Run one command; its exit code."""
    try:
        code = app(
            None if arguments is None else list(arguments), prog_name="jobmaster", standalone_mode=False
        )
        sys.stdout.flush()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except (Refusal, JobMasterError, TimeoutError) as fault:
        _tell(sentence(fault))
        return FAULT
    except (KeyboardInterrupt, typer.Abort):
        _tell("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read the output went away: nothing is left to say, also not at the end of the interpreter
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as fault:
        told = _usage(fault)
        if told is None:
            raise
        _tell(told)
        return FAULT
    return code if isinstance(code, int) else 0


def _usage(fault: Exception) -> str | None:
    """What the parser found wrong, and where help is; ``None`` for an error that is not the parser's."""
    format_message = getattr(fault, "format_message", None)
    if format_message is None:
        return None
    if type(fault).__name__ == "NoArgsIsHelpError":
        return f"a command is missing\n\n{format_message()}"
    text = " ".join(str(format_message()).split()).rstrip(".") or "incomplete command"
    context = getattr(fault, "ctx", None)
    path = getattr(context, "command_path", "jobmaster")
    return f"{text[0].lower()}{text[1:]} (see `{path} --help`)"


def _tell(text: str) -> None:
    # what the parser did not understand may be a URL in the wrong place
    shown = _URL.sub(lambda url: without_password(url[0]), text)
    print(f"jobmaster: {shown}", file=sys.stderr)
