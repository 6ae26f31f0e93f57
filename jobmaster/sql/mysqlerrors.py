"""What the errors of pymysql mean."""

from __future__ import annotations

import ssl
from typing import Any

# By the full names of their modules: pymysql.install_as_MySQLdb() lets ``pymysql.err`` become a second copy.
from pymysql.err import DataError, Error, InterfaceError, InternalError, OperationalError

from .dialect import Fault

__all__ = ["fault_of", "is_driver_error", "tidy"]

_UNKNOWN_DATABASE = 1049

_FAULTS: dict[Fault, tuple[int, ...]] = {
    Fault.TRANSIENT: (
        1021,  # disk full
        1020,  # record has changed since last read (MariaDB with innodb_snapshot_isolation)
        1030,  # error from the storage engine
        1037,  # out of memory
        1038,
        1040,  # too many connections
        1041,  # out of resources
        1114,  # the table is full: its disk is
        1135,  # cannot create a thread
        1203,  # too many connections of this user
        1205,  # lock wait timeout
        1206,  # lock table full
        1213,  # deadlock
        1226,  # resource limit of the user
        1317,  # query was interrupted
        1613,  # transaction rolled back: took too long
        1614,  # deadlock among XA transactions
        1637,  # too many concurrent transactions
        1969,  # max_statement_time (MariaDB)
        3024,  # max_execution_time (MySQL)
        3058,  # deadlock among user locks
        3572,  # lock not available at once
    ),
    Fault.LOST: (
        1042,  # host name cannot be told
        1043,  # bad handshake
        1053,  # server shutdown in progress
        1077,
        1078,
        1079,
        1080,  # forced close of a thread
        1152,  # aborted connection
        1156,  # packets out of order
        1158,
        1159,
        1160,
        1161,  # reading or writing the packets
        1184,
        1290,  # the server is read-only: it was demoted, or is a replica; look for the new one
        1792,  # the transaction is read-only
        1836,  # running in read-only mode
        1927,  # connection was killed (MariaDB)
        3032,  # offline mode
        3169,  # session was killed
        4031,  # disconnected because of inactivity
    ),
    Fault.UNKNOWN_OUTCOME: (1180,),  # error during COMMIT
    Fault.UNIQUE: (1022, 1062, 1169, 1586),
    Fault.CONTENT: (
        1048,  # NULL where none may be
        1118,  # row too large
        1153,  # packet too large
        1264,  # out of range
        1265,  # truncated
        1292,  # incorrect value
        1366,  # incorrect text
        1406,  # too long
        1690,  # out of range in an expression
        3140,  # not valid JSON
        3854,  # characters that cannot be converted
        3988,
        4038,  # JSON too deep (MariaDB)
    ),
    Fault.MISSING_TABLE: (1051, 1054, 1146),
    Fault.REFUSED: (
        1044,
        1045,
        _UNKNOWN_DATABASE,
        1129,  # host is blocked after too many errors
        1130,  # host may not connect
        1142,
        1143,
        1227,
        1251,  # authentication that the client does not know
        1370,
        1524,
        1698,
        1820,
        1862,  # the password has expired
        2059,
        2061,
        3118,  # the account is locked
        3159,  # the server wants TLS
        4151,
    ),
}
_BY_NUMBER = {number: fault for fault, numbers in _FAULTS.items() for number in numbers}


def is_driver_error(error: BaseException) -> bool:
    """Whether pymysql raised this."""
    # What pymysql lets through while it connects, and its refusal to encrypt a password without a library.
    return isinstance(error, (Error, ssl.SSLError)) or _wants_cryptography(error)


def tidy(error: BaseException) -> str:
    """One line of what the driver or the server says."""
    said = error.args[1] if _number(error) is not None and len(error.args) > 1 else str(error)
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    if not lines:
        return "the connection was lost" if isinstance(error, Error) else type(error).__name__
    if _wants_cryptography(error):
        return f'{lines[0]}: pip install "pymysql[rsa]", or connect with TLS'
    return lines[0]


def fault_of(error: BaseException, schema: str | None) -> Fault:
    """Class an error. ``schema``: the database for the tables that was asked for beside that of the URL,
    which may have to be made first."""
    number = _number(error)
    if number == _UNKNOWN_DATABASE and schema is not None and f"'{schema}'" in str(error):
        return Fault.MISSING_TABLE
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    if _wants_cryptography(error):
        return Fault.REFUSED
    if number is None or number == 0 or 2000 <= number < 3000 or isinstance(error, ssl.SSLError):
        # The client's own errors: no answer, or one that makes no sense. pymysql says InterfaceError(0, '')
        # when it has closed a socket itself, and InternalError without a number for packets out of step.
        gone = (OperationalError, InterfaceError, InternalError, ssl.SSLError)
        return Fault.LOST if isinstance(error, gone) or error.args == ("Already closed",) else Fault.OTHER
    if isinstance(error, DataError):
        return Fault.CONTENT
    return Fault.OTHER


def _wants_cryptography(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "cryptography" in str(error)


def _number(error: BaseException) -> int | None:
    args: Any = error.args
    return args[0] if isinstance(error, Error) and args and isinstance(args[0], int) else None
