"""The vehicle's side of the worker process. Free of torch.

    with TrainingWorker(threads=1) as worker:
        future = worker.submit(TrainJob(model, dataset), on_progress=print)
        update = future.result().update

One thread owns the process: it starts it, hands it one job at a time, reads its events, and starts
it again after a crash. Callbacks (`on_progress`, a future's done callbacks) run on that thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import bift_ros
from bift_ros.learning.errors import JobCancelled, LearningError, WorkerCrashed, error_from
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, Job, Result
from bift_ros.learning.submission import OnProgress, Submission

_log = logging.getLogger(__name__)
_NICE = 10
"""How far the worker steps back behind its vehicle, as nice(1) counts."""
_LOG_TAIL = 2000  # bytes of the worker's stderr that an error quotes


class TrainingWorker:
    """A worker process for this vehicle's training, kept warm once it has been started."""

    def __init__(
        self,
        *,
        python: str = sys.executable,
        device: str = "auto",
        threads: int = 1,
        memory_mb: int = 900,
        allowed_architectures: Iterable[str] = (DEFAULT_ARCHITECTURE,),
        program: Sequence[str] = ("bift_ros.learning.worker",),
    ) -> None:
        """`memory_mb` caps GPU memory; no architecture outside the allow list is ever imported.

        `program` is the worker's module, and options of its own where it takes other ones.
        """
        self._command = [python, "-m", *program, "--device", device]
        self._command += ["--threads", str(threads), "--memory-mb", str(memory_mb)]
        for architecture in allowed_architectures:
            self._command += ["--allow", architecture]
        self._environment = _environment(threads)
        self._jobs: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the four below and writes to the worker's stdin
        self._process: subprocess.Popen[str] | None = None
        self._running: Submission | None = None
        self._closed = False
        self._next_number = 1
        self._thread: threading.Thread | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.gpu_mb = 0
        """GPU memory that the process held when it last spoke, in MiB; 0 on the CPU."""

    def start(self) -> None:
        """Start the process, unless it was; it needs some seconds, and CPU, for importing torch."""
        with self._lock:
            if self._closed or self._thread is not None:
                return
            self._folder = tempfile.TemporaryDirectory(prefix="bift-worker-")
            self._thread = threading.Thread(target=self._serve, name="bift-worker", daemon=True)
            self._thread.start()

    def submit(self, job: Job[Result], on_progress: OnProgress | None = None) -> Future[Result]:
        """Queue a job; its future gives the result or raises one of `errors.py`.

        Starts the process where it does not run yet. Raises RuntimeError after `close()`.
        """
        self.start()
        with self._lock:
            if self._closed:
                raise RuntimeError("the training worker is closed")
            submission = Submission(self._next_number, job, on_progress)
            self._next_number += 1
            self._jobs.put(submission)
        return submission.future

    def cancel(self) -> None:
        """Cancel the running job, if there is one: its future raises JobCancelled."""
        with self._lock:
            if self._running is not None:
                self._write({"cancel": self._running.number})

    @property
    def pid(self) -> int | None:
        """The worker's process id while it lives, for the vehicle's memory figures."""
        with self._lock:
            alive = self._process is not None and self._process.poll() is None
            return self._process.pid if alive and self._process is not None else None

    def close(self) -> None:
        """End the process at once; jobs not done raise JobCancelled. Closing twice is fine."""
        with self._lock:
            self._closed = True
            process, thread = self._process, self._thread
            self._jobs.put(None)
            if process is not None:
                process.kill()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> TrainingWorker:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _serve(self) -> None:
        """The owning thread: run jobs in order until the worker is closed."""
        with contextlib.suppress(OSError, JobCancelled):  # the first job says what is wrong
            self._spawn()
        while (submission := self._jobs.get()) is not None:
            if not submission.future.set_running_or_notify_cancel():
                continue
            try:
                if self.pid is None:
                    self._spawn()
                result = self._run(submission)
            except LearningError as error:
                submission.future.set_exception(error)
            except Exception as error:  # a full disk, say: the job fails, the vehicle goes on
                submission.future.set_exception(WorkerCrashed(f"{type(error).__name__}: {error}"))
            else:
                submission.future.set_result(result)
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # reaps it and closes its pipes

    def _spawn(self) -> None:
        """Start the process; its stderr goes to a file. Raises JobCancelled after `close()`."""
        with self._lock:
            if self._closed:
                raise JobCancelled("the training worker was closed")
            if self._process is not None:
                self._process.communicate()
            self.gpu_mb = 0
            with self._log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environment,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C is the vehicle's to handle, not the worker's
                )
            # Consensus comes first where training has no GPU and both share the cores.
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, os.nice(0) + _NICE)

    def _run(self, submission: Submission) -> Any:
        """Hand one job over and read events until it ends."""
        process = self._process
        assert process is not None
        message, output = submission.message(self._path)
        with self._lock:
            self._running = submission
            self._write(message)
        try:
            assert process.stdout is not None
            for event in _events(process.stdout):
                if event.get("job") != submission.number:
                    continue
                self.gpu_mb = event.get("gpu_mb", self.gpu_mb)
                if event["event"] == "progress":
                    submission.report(event)
                elif event["event"] == "failed":
                    raise error_from(event["error"], event["reason"])
                elif event["event"] == "done":
                    return submission.result(event["result"], output)
            raise self._death(process)
        finally:
            with self._lock:
                self._running = None
            for file in self._path.glob("*.safetensors"):
                file.unlink()

    def _write(self, message: dict[str, Any]) -> None:
        """Send one line; a worker that is gone is noticed when its events end."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            _log.warning("the training worker takes no messages: %s", error)

    def _death(self, process: subprocess.Popen[str]) -> LearningError:
        """Why the process ended in the middle of a job."""
        code = process.wait()
        if self._closed:
            return JobCancelled("the training worker was closed")
        cause = f"exit status {code}"
        if code < 0:
            cause = f"killed by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                cause += " (out of memory?)"
        tail = self._log_file.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
        return WorkerCrashed(f"the training worker ended: {cause}" + (f"\n{tail}" if tail else ""))

    @property
    def _path(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name)

    @property
    def _log_file(self) -> Path:
        return self._path / "stderr.log"


def _events(stdout: IO[str]) -> Iterable[dict[str, Any]]:
    """The worker's events; a line cut off by its death is not one."""
    for line in stdout:
        try:
            yield json.loads(line)
        except ValueError:
            return


def _environment(threads: int) -> dict[str, str]:
    """The vehicle's environment, with this package importable and thread pools kept small."""
    source = str(Path(bift_ros.__path__[0]).parent)
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": source if not path else source + os.pathsep + path,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "MALLOC_ARENA_MAX": "2",  # fewer heaps: less memory kept for nothing
    }
