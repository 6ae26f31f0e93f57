"""Passwords and tokens show nowhere: not in logs, errors, ``repr``, command output, argv or tables."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobmaster import ClusterConfig, JobContext, JobHandler, JobMasterError
from jobmaster.cli import main
from tests.servers.process import free_port

SECRET = "Tr0ub4dor&3"
QUOTED = "Tr0ub4dor%263"


def urls() -> list[str]:
    port = free_port()
    return [
        f"postgresql://app:{QUOTED}@127.0.0.1:{port}/jobs",
        f"postgresql://127.0.0.1:{port}/jobs?user=app&password={QUOTED}",
        f"mysql://app:{QUOTED}@127.0.0.1:{port}/jobs",
        f"mariadb://app:{QUOTED}@127.0.0.1:{port}/jobs",
    ]


def is_clean(text: str) -> bool:
    return SECRET not in text and QUOTED not in text


class Where(JobHandler, definition_id="secrets-where"):
    """Tells how its own process and its parent were called."""

    execution = "process"

    def handle(self, job: JobContext) -> list[str]:
        return [
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for pid in (os.getpid(), os.getppid())
        ]


@pytest.mark.parametrize("url", urls(), ids=["postgres", "query", "mysql", "mariadb"])
def test_a_database_that_cannot_be_reached_tells_no_password(
    url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    config = ClusterConfig("c").add_handlers().startup_timeout(0.2).operation_timeout(0.2)
    config = config.use_postgres(url) if url.startswith("postgres") else config.use_mysql(url)
    cluster = config.add_worker().build()
    shown = [repr(config), repr(cluster), repr(cluster.settings_in_code), repr(cluster.scheduler)]
    with pytest.raises(JobMasterError) as caught:
        cluster.start()
    fault: BaseException | None = caught.value
    while fault is not None:
        shown += [str(fault), repr(fault)]
        fault = fault.__cause__ or fault.__context__
    cluster.close()
    for words in (["status"], ["check"], ["jobs", "list"], ["migrate"]):
        assert main([*words, "--url", url]) != 0
        # in the wrong place it is shown as what was not understood
        assert main([*words, url]) != 0
    out = capsys.readouterr()
    shown += [out.out, out.err, caplog.text]
    assert [text for text in shown if not is_clean(text)] == []


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        (f"nats://app:{QUOTED}@127.0.0.1:PORT", {}),
        (f"nats://{QUOTED}@127.0.0.1:PORT", {}),
        ("nats://127.0.0.1:PORT", {"token": SECRET}),
        ("nats://127.0.0.1:PORT", {"user": "app", "password": SECRET}),
    ],
    ids=["password", "token", "token argument", "password argument"],
)
def test_a_nats_server_that_cannot_be_reached_tells_no_secret(
    url: str, arguments: dict[str, str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    url = url.replace("PORT", str(free_port()))
    config = ClusterConfig("c").add_handlers().startup_timeout(0.3).operation_timeout(0.3)
    config.use_sqlite_for_master(tmp_path / "m.db")
    config.add_agent_connection("hot", url, connect_args=arguments).add_worker("hot")
    cluster = config.build()
    shown = [repr(config), repr(cluster), repr(cluster.settings_in_code)]
    with pytest.raises(JobMasterError) as caught:
        cluster.start()
    cluster.close()
    fault: BaseException | None = caught.value
    while fault is not None:
        shown += [str(fault), repr(fault)]
        fault = fault.__cause__ or fault.__context__
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    shown += [caplog.text, stored.decode(errors="replace")]
    assert [text for text in shown if not is_clean(text)] == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_child_processes_get_no_secret_on_their_command_line(tmp_path: Path) -> None:
    """The configuration comes from the environment of the parent, and children are not told it at all."""
    program = tmp_path / "program.py"
    program.write_text(
        "from jobmaster import ClusterConfig\n"
        "from tests.robustness.test_secrets import Where\n"
        "if __name__ == '__main__':\n"
        "    config = ClusterConfig.from_env('SECRET_').add_handlers(Where).add_worker('cold')\n"
        "    with config.build() as cluster:\n"
        "        job = cluster.scheduler.once_now(Where, {}, agent_connection='cold')\n"
        "        print(cluster.scheduler.wait(job.id, 30).result)\n"
    )
    hot = f"nats://app:{QUOTED}@127.0.0.1:{free_port()}"
    agents = [{"name": "cold", "url": f"{tmp_path}/a.db"}, {"name": "hot", "url": hot}]
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=Path(__file__).resolve().parents[2],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "SECRET_NAME": "c",
            "SECRET_USE_SQLITE_FOR_MASTER": str(tmp_path / "m.db"),
            "SECRET_AGENTS": json.dumps(agents),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "program.py" in done.stdout
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*")).decode(errors="replace")
    assert [text for text in (done.stdout, done.stderr, stored) if not is_clean(text)] == []
