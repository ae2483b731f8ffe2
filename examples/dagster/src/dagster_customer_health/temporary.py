"""Folders that are there as long as a run takes, beside the tables; what a run left behind that was killed goes with the next."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks here: nothing can be told to be left behind
    fcntl = None  # type: ignore[assignment]

# A folder is of another machine's run, whose lock cannot be seen everywhere, as long as it is younger.
_SECONDS = 3600


def folder(parent: Path, prefix: str, mode: int, opened: ExitStack) -> Path:
    """A new folder, of which `opened` tidies up; the service, which reads or writes in it, may be another user."""
    _remove_abandoned(parent, prefix)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    opened.callback(shutil.rmtree, made, ignore_errors=True)
    made.chmod(mode)
    opened.enter_context(_held(made))
    return made


@contextlib.contextmanager
def _held(place: Path, wait: bool = True) -> Iterator[bool]:
    """Holds the folder for this process, which ends with the process in whatever way; tells whether it is held."""
    if fcntl is None:
        yield False
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # another process has it, or the file system knows no locks
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for place in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if place.is_dir() and time.time() - place.stat().st_mtime > _SECONDS:
                with _held(place, wait=False) as held:
                    if held:
                        shutil.rmtree(place, ignore_errors=True)
