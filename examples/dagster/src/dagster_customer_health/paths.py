"""Where the tables of assets are: `{base}/{asset/key/parts}[/{partition}].parquet`.

It is what Dagster's UPathIOManager and dagster-polars' PolarsParquetIOManager read and write, so that both sides of the
service need no glue. What would lead out of an asset's folder, or to a file that is another partition's, is refused: IO managers
write it somewhere all the same, and not all of them to the same place.
"""

from collections.abc import Collection, Mapping, Sequence

EXTENSION = ".parquet"

# Characters of the patterns that the service reads where no file has the name.
_WILD = "*?[]"
# What IO managers put in the place of a slash that begins a key.
_ESCAPED_SLASH = "%2F"


class UnsafeKey(ValueError):
    """A key that has no file of its own inside of the folder."""


def table(base: str, key: Sequence[str], partition: str | None = None) -> str:
    """Path of an asset's table, or of one partition of it."""
    path = _asset(base, key)
    return f"{path}/{_written(base, partition)}{EXTENSION}" if partition else f"{path}{EXTENSION}"


def folder(base: str, key: Sequence[str]) -> str:
    """Folder of a partitioned asset's tables."""
    return _asset(base, key) + "/"


def partition_of(path: str, partition: str | None) -> str:
    """A path of its own for each partition: `out/scores.parquet` becomes `out/scores/2025-01-01.parquet`."""
    if not partition:
        return path
    stem = path.removesuffix(EXTENSION)
    return f"{stem}/{_written(path, partition)}{EXTENSION}"


def of_partition(keys: Mapping[str, str], slashed: Collection[str] = ()) -> str:
    """A partition's path below the folder of its asset: the keys of its dimensions, in the order of their names.

    `slashed` are the dimensions whose keys may hold slashes; where there are several, nobody could tell where one key ends.
    """
    ordered = [key for _, key in sorted(keys.items())]
    whole = "|".join(ordered)
    if len(slashed) > 1 and any("/" in keys[name] for name in slashed):
        raise UnsafeKey(f"partition `{whole}`: a slash in the key of one of several dimensions leads to another partition's file")
    path = "/".join(ordered)
    if path.startswith(_ESCAPED_SLASH):
        raise UnsafeKey(f"partition `{whole}`: a key that begins with `{_ESCAPED_SLASH}` has the file of one that begins with a slash")
    if path.startswith("/"):
        path = _ESCAPED_SLASH + path[1:]
    if wrong := _leading_elsewhere(path):
        raise UnsafeKey(f"partition `{whole}`: {wrong}")
    return path


def exactly(path: str) -> str:
    """A path as a pattern that only its own name fulfils, so that no other file is read where it is missing."""
    return "".join(f"[{sign}]" if sign in _WILD else sign for sign in path)


def is_wild(path: str) -> bool:
    """Whether the service would take a path for a pattern where there is no such file."""
    return any(sign in _WILD for sign in path)


def _asset(base: str, key: Sequence[str]) -> str:
    path = "/".join(key)
    if path.startswith("/"):
        raise UnsafeKey(f"asset `{path}`: its key begins with a slash")
    if wrong := _leading_elsewhere(path):
        raise UnsafeKey(f"asset `{path}`: {wrong}")
    return "/".join([base.rstrip("/"), path])


def _written(base: str, partition: str) -> str:
    """A partition's path as it stands in a file URI, where a percent sign begins an escape, or in a plain path."""
    return partition.replace("%", "%25") if base.startswith("file://") else partition


def _leading_elsewhere(path: str) -> str | None:
    parts = path.split("/")
    if ".." in parts:
        return "`..` leads out of the folder"
    if "." in parts or "" in parts:
        return "an empty part or `.` between slashes leads to another key's file"
    if "\0" in path:
        return "no file name holds a NUL character"
    return None
