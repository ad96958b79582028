"""Forked children with a deadline each, and the loop that waits for requests and for their ends.

Every child is the leader of its own session, so that it can be ended with all that it started.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple


class Job:
    """`life` is a descriptor that is readable when the child has gone."""

    def __init__(self, request: Dict[str, Any], pid: int, life: int) -> None:
        self.number = request["id"]
        self.pid = pid
        self.life = life
        self.started = time.monotonic()
        self.deadline = self.started + float(request["wall_s"])


class Forks:
    """`inbox` brings one request a line; answers are written to `answers`, one a line, each at once."""

    def __init__(self, inbox: int, answers: int) -> None:
        self._inbox = inbox
        self._answers = answers
        self._jobs: Dict[int, Job] = {}
        self._watched: Dict[int, Callable[[], None]] = {}
        self._buffer = b""
        self._open = True

    def serve(self, handle: Callable[[Dict[str, Any]], bool]) -> bool:
        """Until the inbox is closed. `handle` gets each request; it answers true in a forked child, and
        then so does this, at once: the child has a life of its own."""
        while self._open or self._jobs:
            inputs = [self._inbox] if self._open else []
            ready, _, _ = select.select([*inputs, *self._jobs, *self._watched], [], [], self._patience())
            for descriptor in ready:
                if descriptor == self._inbox:
                    for request in self._read():
                        if handle(request):
                            return True
                elif descriptor in self._jobs:
                    self._reap(self._jobs[descriptor])
                elif descriptor in self._watched:
                    self._watched.pop(descriptor)()
            self._kill_late()
        return False

    def answer(self, message: Dict[str, Any]) -> None:
        os.write(self._answers, (json.dumps(message) + "\n").encode())

    def fork(self, request: Dict[str, Any]) -> bool:
        """True in the child, which is the leader of a session, and has none of the parent's descriptors."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for descriptor in [self._inbox, self._answers, reading, *self._jobs, *self._watched]:
                if descriptor > 2:
                    os.close(descriptor)
            return True
        os.close(writing)
        life = life_of(pid, reading)
        self._jobs[life] = Job(request, pid, life)
        return False

    def watch(self, life: int, when_gone: Callable[[], None]) -> None:
        """Calls `when_gone` once `life` is readable."""
        self._watched[life] = when_gone

    def cancel(self, number: int) -> bool:
        """Ends the child of a request; false when there is none."""
        found = [job for job in self._jobs.values() if job.number == number]
        for job in found:
            self._end(job, "died")
        return bool(found)

    def _patience(self) -> Optional[float]:
        """Seconds until the next deadline."""
        if not self._jobs:
            return None
        return max(0.0, min(job.deadline for job in self._jobs.values()) - time.monotonic())

    def _read(self) -> List[Dict[str, Any]]:
        data = os.read(self._inbox, 65536)
        if not data:
            self._open = False
            for job in list(self._jobs.values()):
                self._end(job, "died")
            return []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def _reap(self, job: Job) -> None:
        """The pipe closed: the child has gone, or it closed its descriptors and goes on."""
        if os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
            return
        self._end(job, "done")

    def _kill_late(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if now >= job.deadline:
                self._end(job, "timeout")

    def _end(self, job: Job, status: str) -> None:
        """Ends the child's session, its own children too, and answers."""
        del self._jobs[job.life]
        os.close(job.life)
        code, cpu_s = ended(job.pid)
        if status == "done" and code < 0:
            status = "timeout" if code == -signal.SIGPROF else "died"
        seconds = round(time.monotonic() - job.started, 6)
        self.answer(
            {"id": job.number, "status": status, "exit": code, "seconds": seconds, "cpu_s": round(cpu_s, 6)}
        )


def ended(pid: int) -> Tuple[int, float]:
    """Kills the session of a child, waits for the child, and gives its exit code and CPU seconds."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            continue
    _, result, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(result), used.ru_utime + used.ru_stime


def limit_cpu(cpu_s: Optional[float]) -> None:
    """This process is killed once it has used so much CPU. Unlike wall time that does not depend on how
    busy the machine is, so a limit can be tight; and unlike RLIMIT_CPU it knows fractions of a second."""
    if cpu_s:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)


def life_of(pid: int, pipe: int) -> int:
    """A process descriptor where the system has them. Else the read end of a pipe that the child holds
    open: that one is closed late when the child leaves children of its own behind."""
    if hasattr(os, "pidfd_open"):
        try:
            life = os.pidfd_open(pid)
        except OSError:
            return pipe
        os.close(pipe)
        return life
    return pipe


def silence() -> None:
    """The standard descriptors lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
