"""What the streams, consumers and subjects of one agent connection are called."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from ...domain.ids import uuid_of

__all__ = ["Names"]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one agent. ``prefix`` has no dots; cluster, agent and lane have none by their rules."""

    prefix: str
    cluster: str
    agent: str

    @property
    def root(self) -> str:
        """What every subject of this agent begins with."""
        return f"{self.prefix}.{self.cluster}.{self.agent}"

    def _stream(self, what: str) -> str:
        return f"{self.prefix}-{self.cluster}-{self.agent}-{what}"

    @property
    def jobs(self) -> str:
        """The stream of jobs that wait or run."""
        return self._stream("jobs")

    @property
    def outcomes(self) -> str:
        """The stream of what has ended and the master was not told of yet."""
        return self._stream("outcomes")

    @property
    def state(self) -> str:
        """The stream of everything else: the stamp, workers, requests to cancel."""
        return self._stream("state")

    def job(self, lane: str, priority: int, job_id: UUID) -> str:
        """The subject of one job. Its id is the last token, so that a waiting job can be found."""
        return f"{self.root}.jobs.{lane}.{priority}.{job_id.hex}"

    def job_anywhere(self, job_id: UUID) -> str:
        """The same, whatever its lane and priority."""
        return f"{self.root}.jobs.*.*.{job_id.hex}"

    def jobs_of(self, lane: str = "*", priority: int | str = "*") -> str:
        """The subjects of jobs of a lane and priority."""
        return f"{self.root}.jobs.{lane}.{priority}.*"

    def outcome(self, jobs: int) -> str:
        """The subject of a batch of so many outcomes."""
        return f"{self.root}.outcomes.{jobs}"

    def in_state(self, *tokens: str) -> str:
        """A subject of the state stream."""
        return ".".join((self.root, "state", *tokens))

    def wake(self, lane: str = "*") -> str:
        """The subject on which workers of a lane are told of work; no stream keeps it."""
        return f"{self.root}.wake.{lane}"

    @staticmethod
    def consumer(lane: str, priority: int) -> str:
        """The durable consumer of a lane and priority."""
        return f"{lane}-{priority}"

    @staticmethod
    def parse_job(subject: str) -> tuple[str, int, UUID]:
        """Lane, priority and job id of a job's subject."""
        _, lane, priority, job_id = subject.rsplit(".", 3)
        return lane, int(priority), uuid_of(int(job_id, 16))
