"""Which cluster a command is about: ``module:attribute``, the environment, or the URL of a database."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .refusal import Refusal, sentence

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster
    from ..cluster.config import ClusterConfig
    from ..cluster.settings import ClusterSettings

__all__ = [
    "ClusterArgument",
    "ClusterOption",
    "PrefixOption",
    "SchemaOption",
    "Target",
    "UrlOption",
    "definition_ids",
    "load",
    "settings_of",
]

ENVIRONMENT = "JOBMASTER_CLUSTER"

ClusterArgument = Annotated[
    str | None,
    typer.Argument(metavar="[MODULE:CLUSTER]", help="The cluster, a config, or a function that returns one."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", "-c", metavar="MODULE:CLUSTER", help=f"The cluster. [env: {ENVIRONMENT}]"),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="A standalone database instead, for which no code is needed."),
]
PrefixOption = Annotated[str, typer.Option("--table-prefix", help="Prefix of the tables; only with --url.")]
SchemaOption = Annotated[str | None, typer.Option("--schema", help="Schema of the tables; only with --url.")]


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named, in the order in which it counts."""

    argument: str | None = None
    option: str | None = None
    url: str | None = None
    table_prefix: str = "jm_"
    schema: str | None = None

    @property
    def unnamed(self) -> str:
        """What to say when no cluster is named."""
        return (
            f"which cluster? give module:attribute (--cluster), set {ENVIRONMENT}, or give the --url of a "
            "standalone database"
        )

    @property
    def reference(self) -> str | None:
        """The ``module:attribute`` to load; ``None`` when the database is given by its URL."""
        if self.argument is not None and self.option is not None and self.argument != self.option:
            raise Refusal(f"two clusters are named: {self.argument} and --cluster {self.option}")
        given = self.argument or self.option
        if given is not None:
            if self.url is not None:
                raise Refusal(f"give a cluster ({given}) or a --url, not both")
            return given
        found = os.environ.get(ENVIRONMENT)
        if found and self.url is not None:
            print(f"jobmaster: {ENVIRONMENT}={found} is set, so --url is not used", file=sys.stderr)
        return found or None

    def config_or_cluster(self) -> Cluster | ClusterConfig:
        """What the reference names, or the configuration of the database at the URL, not connected to."""
        reference = self.reference
        if reference is not None:
            return load(reference)
        if self.url is None:
            raise Refusal(self.unnamed)
        from .standalone import config_for

        return config_for(self.url, self.table_prefix, self.schema)

    def build(self, *, workers: bool = False) -> Cluster:
        """The cluster; by default its producer half, which is all that reading and changing jobs needs."""
        from ..cluster.cluster import Cluster

        found = self.config_or_cluster()
        return found if isinstance(found, Cluster) else found.build(workers=workers)

    @contextmanager
    def opened(self) -> Iterator[Cluster]:
        """The producer half of the cluster, released afterwards."""
        cluster = self.build()
        try:
            yield cluster
        finally:
            cluster.close()


def load(reference: str) -> Cluster | ClusterConfig:
    """Import ``module:attribute``, with the current directory on the path.

    The attribute may be a ``Cluster``, a ``ClusterConfig``, or a function without parameters that returns
    one. Raises :class:`Refusal` for anything else and for a module that cannot be imported.
    """
    from ..cluster.cluster import Cluster
    from ..cluster.config import ClusterConfig

    module_name, colon, attribute = reference.partition(":")
    if not colon or not attribute or not all(part.isidentifier() for part in module_name.split(".")):
        raise Refusal(
            f"{reference!r} does not name a cluster: write module:attribute, for instance app:cluster"
        )
    found: Any = _import(module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Refusal(f"module {module_name!r} has no attribute {attribute!r}") from None
    if not isinstance(found, (Cluster, ClusterConfig)) and callable(found):
        found = _call(found, reference)
    if not isinstance(found, (Cluster, ClusterConfig)):
        raise Refusal(
            f"{reference} is {_kind(found)}, not a Cluster, a ClusterConfig, or a function that returns one"
        )
    return found


def _import(name: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is not None and (name == fault.name or name.startswith(f"{fault.name}.")):
            raise Refusal(f"there is no module {name!r} in {here} or among the installed packages") from None
        raise Refusal(
            f"module {name!r} needs {fault.name!r}, which is not installed{_where(fault)}"
        ) from fault
    except (Exception, SystemExit) as fault:
        raise Refusal(f"module {name!r} cannot be imported: {_told(fault)}") from fault


def _call(function: Any, reference: str) -> Any:
    if inspect.iscoroutinefunction(function):
        raise Refusal(f"{reference} is a coroutine function: give a plain function that returns a cluster")
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        raise Refusal(f"{reference} is {_kind(function)} that cannot be called without arguments") from None
    try:
        return function()
    except (Exception, SystemExit) as fault:
        raise Refusal(f"{reference} failed: {_told(fault)}") from fault


def _kind(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    name = type(found).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _told(fault: BaseException) -> str:
    from ..errors import JobMasterError

    text = sentence(fault)
    if isinstance(fault, JobMasterError):
        return text
    shown = type(fault).__name__ if text == type(fault).__name__ else f"{type(fault).__name__}: {text}"
    return f"{shown}{_where(fault)}"


def _where(fault: BaseException) -> str:
    if isinstance(fault, SyntaxError):
        return (
            f" ({fault.filename}, line {fault.lineno})" if fault.filename and "line" not in str(fault) else ""
        )
    frames = [
        frame
        for frame in traceback.extract_tb(fault.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def settings_of(cluster: Cluster) -> ClusterSettings:
    """What a cluster was built from."""
    return cluster.settings_in_code


def definition_ids(cluster: Cluster) -> list[str]:
    """The definition ids that a cluster has handlers for."""
    return list(cluster.definition_ids)
