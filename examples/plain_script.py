"""No event loop of your own: the workers run in a background thread of a plain script.

    python examples/plain_script.py
"""

import hashlib

from jobmaster import ClusterConfig, JobContext, JobHandler, JobRequest


class Checksum(JobHandler, definition_id="checksum"):
    """A plain function runs in a thread, so it may block."""

    def handle(self, job: JobContext) -> str:
        return hashlib.sha256(job.data.get_str("text").encode()).hexdigest()


cluster = ClusterConfig("plain-script").use_sqlite("plain_script.db").add_worker().build()


def main() -> None:
    with cluster:
        scheduler = cluster.scheduler
        texts = ["first", "second", "third"]
        jobs = scheduler.once_many([JobRequest(Checksum, {"text": text}) for text in texts])
        for text, job in zip(texts, jobs, strict=True):
            finished = scheduler.wait(job.id, timeout=30)
            print(f"{text}: {finished.result[:12]}")
    print("stopped cleanly")


if __name__ == "__main__":
    main()
