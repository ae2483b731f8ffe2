"""Where the tables of assets are: `{base}/{asset/key/parts}[/{partition}].parquet`.

It is what Dagster's UPathIOManager and dagster-polars' PolarsParquetIOManager read and write, so that both sides of the
service need no glue.
"""

from collections.abc import Sequence

EXTENSION = ".parquet"


def table(base: str, key: Sequence[str], partition: str | None = None) -> str:
    """Path of an asset's table, or of one partition of it."""
    path = "/".join([base.rstrip("/"), *key])
    return f"{path}/{partition}{EXTENSION}" if partition else f"{path}{EXTENSION}"


def folder(base: str, key: Sequence[str]) -> str:
    """Folder of a partitioned asset's tables."""
    return "/".join([base.rstrip("/"), *key]) + "/"


def partition_of(path: str, partition: str | None) -> str:
    """A path of its own for each partition: `out/scores.parquet` becomes `out/scores/2025-01-01.parquet`."""
    if not partition:
        return path
    stem = path.removesuffix(EXTENSION)
    return f"{stem}/{partition}{EXTENSION}"
