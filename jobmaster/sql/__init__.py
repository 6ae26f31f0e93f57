"""SQL databases: gateway, dialects, tables, statements, migrations.

:func:`open_database` describes a database; the adapters in ``jobmaster.agents`` and ``jobmaster.master`` take
it. See :mod:`jobmaster.sql.database` for the wiring.
"""

from .database import STANDALONE, Database, open_database
from .gateway import FaultPoints

__all__ = ["STANDALONE", "Database", "FaultPoints", "open_database"]
