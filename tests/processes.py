"""Processes for tests, forked from one that has done all imports, which take seconds."""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch

SERVER = multiprocessing.get_context("forkserver")
# including imports that a training does only at its start
SERVER.set_forkserver_preload([__name__, "fastmri_clgnet.training", "torch.utils.tensorboard"])


class Done(NamedTuple):
    """A process that has ended."""

    returncode: int | None
    stdout: str
    stderr: str


class Running:
    """A process that calls a function in the working folder of this one.

    Args:
        target: The function, which must be importable, as for pickle.
        *args: Its arguments.
        environment: Further environment variables.
        file_bytes: The size limit of files that it writes; more is an error, as on a full disk.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        *args: Any,
        environment: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
    ) -> None:
        """Start it."""
        pipes = [SERVER.Pipe(duplex=False) for _ in range(2)]
        writers = [writer for _, writer in pipes]
        variables = {**os.environ, **(environment or {})}
        self.process = SERVER.Process(
            target=_begin,
            args=(writers, str(Path.cwd()), variables, file_bytes, target, args),
        )
        self.process.start()
        self.printed = ["", ""]
        self.threads = []
        for number, (reader, writer) in enumerate(pipes):
            writer.close()
            self.threads.append(threading.Thread(target=self._read, args=(number, reader)))
            self.threads[-1].start()

    def _read(self, number: int, reader: Connection) -> None:
        with reader, os.fdopen(os.dup(reader.fileno()), errors="replace") as file:
            self.printed[number] = file.read()

    def wait(self, timeout: float = 600) -> Done:
        """Wait until it ends; kill it after the time limit."""
        self.process.join(timeout)
        self.process.kill()  # no effect if it has ended
        self.process.join()
        for thread in self.threads:
            thread.join()
        return Done(self.process.exitcode, *self.printed)


def as_main(module: str, argv: list[str]) -> None:
    """Do the same as `python -m module argv`."""
    sys.argv = [module, *argv]
    sys.modules.pop(module, None)  # otherwise runpy warns
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _begin(
    writers: list[Connection],
    folder: str,
    environment: dict[str, str],
    file_bytes: int | None,
    target: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    for number, writer in enumerate(writers, 1):
        os.dup2(writer.fileno(), number)
        writer.close()
    os.chdir(folder)
    os.environ.clear()  # of the server, which started earlier
    os.environ.update(environment)
    torch.set_num_threads(1)
    # tests started in the background ignore Ctrl-C, and so would this process
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    target(*args)
