"""Many new jobs that differ in nothing but id and data, as those of a bulk mostly do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload
from uuid import UUID

from .ids import uuid_numbers, uuid_of
from .job import NewJob

__all__ = ["AlikeJobs", "kinds_of", "part_of"]


class AlikeJobs(Sequence[NewJob]):
    """What they share is said once, by ``like``, whose own id and data do not count. Whoever takes a job out
    has a :class:`NewJob`; who knows this class writes rows without making them.
    """

    __slots__ = ("_ids", "_jobs", "like", "numbers", "texts")

    def __init__(self, like: NewJob, texts: list[str], numbers: list[int] | None = None) -> None:
        self.like = like
        self.texts = texts
        """The data of each."""
        self.numbers = uuid_numbers(len(texts)) if numbers is None else numbers
        """The id of each as a number of 128 bits; new ones, where none are given."""
        self._ids: list[UUID] | None = None
        self._jobs: list[NewJob] | None = None

    def ids(self) -> list[UUID]:
        """The id of each; made when they are asked for the first time."""
        ids = self._ids
        if ids is None:
            ids = self._ids = [uuid_of(number) for number in self.numbers]
        return ids

    def part(self, places: Sequence[int]) -> AlikeJobs:
        """The jobs in these places."""
        texts, numbers = self.texts, self.numbers
        return AlikeJobs(self.like, [texts[n] for n in places], [numbers[n] for n in places])

    def _made(self) -> list[NewJob]:
        jobs = self._jobs
        if jobs is None:
            like = self.like
            pairs = zip(self.ids(), self.texts, strict=True)
            jobs = self._jobs = [like._replace(id=job_id, data=text) for job_id, text in pairs]
        return jobs

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[NewJob]:
        return iter(self._made())

    @overload
    def __getitem__(self, place: int) -> NewJob: ...
    @overload
    def __getitem__(self, place: slice) -> list[NewJob]: ...
    def __getitem__(self, place: int | slice) -> NewJob | list[NewJob]:
        return self._made()[place]


def kinds_of(jobs: Sequence[NewJob]) -> Sequence[NewJob]:
    """Jobs that stand for all of these where ids and data do not count: one, if they are alike."""
    return (jobs.like,) if isinstance(jobs, AlikeJobs) else jobs


def part_of(jobs: Sequence[NewJob], places: Sequence[int]) -> Sequence[NewJob]:
    """The jobs in these places."""
    if len(places) == len(jobs):
        return jobs
    return jobs.part(places) if isinstance(jobs, AlikeJobs) else [jobs[place] for place in places]
