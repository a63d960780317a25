"""What can go wrong in learning, in one family. Free of torch, so a vehicle can catch it."""

# ruff: noqa: N818  (names say what happened, as NotFound does in storage)

from __future__ import annotations


class LearningError(Exception):
    """A job that gave no result: the base of all errors in this room."""


class ModelError(LearningError):
    """An architecture that can't be federated, or a model file that doesn't fit it."""


class ArchitectureNotAllowed(LearningError):
    """A task names an architecture that this vehicle's operator has not allowed."""


class NoTrainingData(LearningError):
    """A dataset folder without one readable crop: the vehicle mines and checks, untrained."""


class TrainingDiverged(LearningError):
    """Loss or parameters became NaN or infinite: there is nothing to publish."""


class JobCancelled(LearningError):
    """The job was cancelled, for example because a newer global model arrived."""


class WorkerCrashed(LearningError):
    """The worker process ended during the job; it is started again for the next one."""


class JobFailed(LearningError):
    """Any other failure inside the worker, with the original error's name and text."""


def error_from(name: str, reason: str) -> LearningError:
    """The error that the worker raised, from its name and text on the wire."""
    for kind in LearningError.__subclasses__():
        if kind.__name__ == name:
            return kind(reason)
    return JobFailed(f"{name}: {reason}")
