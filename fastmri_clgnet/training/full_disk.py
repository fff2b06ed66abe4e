"""One error where TensorBoard's log cannot be written, in place of its thread's traceback."""

from __future__ import annotations

import errno
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from fastmri_clgnet.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def clear_log_errors() -> Iterator[None]:
    """Name the log where the disk is full; all other files name themselves (`errors.writing`).

    TensorBoard writes in a thread, and raises the thread's error again where the next value is
    logged: the traceback of the thread says nothing more.

    Raises:
        InputError: If a log could not be written.
    """
    hook = threading.excepthook

    def quiet(args: threading.ExceptHookArgs) -> None:
        if not _is_full_disk(args.exc_value):
            hook(args)

    threading.excepthook = quiet
    try:
        yield
    except OSError as error:
        if not _is_full_disk(error):
            raise
        raise InputError(
            f"the TensorBoard log under --default_root_dir cannot be written ({error.strerror}); "
            "checkpoints are as they were. Free space on that disk, or give --logger false, and "
            "repeat the command, which continues from the last checkpoint"
        ) from error
    finally:
        threading.excepthook = hook


def _is_full_disk(error: BaseException | None) -> bool:
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return any("tensorboard" in frame.filename for frame in frames)
