"""What the local program may read and write for a component: folders, whether they are there yet or not, and object stores.

The program takes folders that exist and prefixes of stores. A folder that is yet to be made stands for the nearest one above
it, but never for the whole disk.
"""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote

from . import paths as convention
from .source import Source, render

_FILE = "file://"


def is_store(path: str) -> bool:
    """Whether a path leads to an object store."""
    return "://" in path and not path.startswith(_FILE)


def local(path: str, base_dir: str = "") -> Path:
    """Where a path that is none of a store's is on this machine."""
    return Path(base_dir, unquote(path.removeprefix(_FILE)) if path.startswith(_FILE) else path)


def allowed(paths: Collection[str], source: Source) -> list[str]:
    """Folders and prefixes of stores that hold these paths of the YAML."""
    found = []
    for path in paths:
        resolved = render(path, source.variables)
        if not resolved:
            continue
        if is_store(resolved):
            found.append(_prefix(resolved))
        elif folder := _folder(Path(*_until_pattern(local(resolved, source.base_dir).parts))):
            found.append(str(folder))
    return list(dict.fromkeys(found))


def argument(given: str) -> str | None:
    """What the program is told for a folder or a prefix of a store; none for what it cannot be told."""
    if is_store(given):
        return given
    folder = _folder(local(given))
    return str(folder.resolve()) if folder else None


def make(paths: Collection[str], source: Source) -> None:
    """Makes the folders that tables will be written to."""
    for path in paths:
        resolved = render(path, source.variables)
        if resolved and not is_store(resolved):
            place = local(resolved, source.base_dir)
            (place.parent if place.suffix == convention.EXTENSION else place).mkdir(parents=True, exist_ok=True)


def _folder(path: Path) -> Path | None:
    """The nearest folder that is there; the whole disk only where it was asked for."""
    if str(path) == path.anchor:
        return path
    folder = next((place for place in (path, *path.parents) if place.is_dir()), None)
    return None if folder is None or str(folder) == folder.anchor else folder


def _prefix(uri: str) -> str:
    """The part of a store that holds a URI: itself, or what a table or a pattern is in."""
    scheme, _, rest = uri.partition("://")
    bucket, *keys = rest.split("/")
    plain = _until_pattern(tuple(keys))
    if plain and len(plain) == len(keys) and plain[-1].endswith(convention.EXTENSION):
        plain = plain[:-1]  # a table, beside which those of partitions are
    return "/".join([f"{scheme}://{bucket}", *(part for part in plain if part)])


def _until_pattern(parts: tuple[str, ...]) -> list[str]:
    plain = []
    for part in parts:
        if any(sign in part for sign in "*?["):
            break
        plain.append(part)
    return plain
