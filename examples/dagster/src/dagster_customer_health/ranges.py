"""A run of several partitions: each is scored and published for itself, and what they tell becomes one result of each asset.

Dagster gives a step one result for an asset, whatever number of partitions it has: metadata may be told for each of them, the
data version and the checks only for all together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from .partitions import Slice

_DATA_VERSION = "dagster/data_version"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Done:
    """A partition that is published, or the whole table of a run without any, and what it told of each asset."""

    part: Slice | None
    results: Sequence[dg.MaterializeResult]


def in_order(parts: Iterable[Slice]) -> list[Slice]:
    """Partitions in the order of time, so that a trend finds the one before; those without time in the order that they have."""
    parts = list(parts)
    if any(part.window is None for part in parts):
        return parts
    return sorted(parts, key=lambda part: part.window.start)  # type: ignore[union-attr]


def together(context: dg.AssetExecutionContext, done: Sequence[Done]) -> Iterator[dg.MaterializeResult]:
    """One result for each asset, with the metadata of each partition."""
    for position, first in enumerate(done[0].results):
        of_all = [one.results[position] for one in done]
        for one, result in zip(done, of_all):
            if result.metadata:
                context.add_asset_metadata(result.metadata, asset_key=first.asset_key, partition_key=one.part.key)
        versions = "\n".join(f"{one.part.key} {result.data_version.value}" for one, result in zip(done, of_all) if result.data_version)
        yield dg.MaterializeResult(
            asset_key=first.asset_key,
            data_version=dg.DataVersion(hashlib.sha256(versions.encode()).hexdigest()),
            check_results=_checks({one.part.key: result.check_results or [] for one, result in zip(done, of_all)}),
        )


def left_at(parts: Sequence[Slice | None], done: Sequence[Done], failed: bool) -> str:
    """Where a run of these partitions ended before its end."""
    next_one = parts[len(done)] if len(done) < len(parts) else None
    what = "failed" if failed else "was not finished: the run is cancelled"
    where = f"partition {next_one.key} {what}" if next_one else f"the run {'failed' if failed else 'is cancelled'}"
    return f"{where}; {len(done)} of {len(parts)} were published before it"


def published(done: Sequence[Done]) -> Iterator[dg.AssetMaterialization]:
    """Tells of the partitions that were published before another one failed, or the run was cancelled: their files are what
    they are.
    """
    for one in done:
        for result in one.results:
            yield dg.AssetMaterialization(
                asset_key=result.asset_key,  # type: ignore[arg-type]
                partition=one.part.key if one.part else None,
                metadata=dict(result.metadata or {}),
                tags={_DATA_VERSION: result.data_version.value} if result.data_version else None,
            )


def _checks(found: Mapping[str, Sequence[dg.AssetCheckResult]]) -> list[dg.AssetCheckResult]:
    merged = []
    for checks in zip(*found.values()):
        failed = [(key, check) for key, check in zip(found, checks) if not check.passed]
        worst = next((check for _, check in failed if check.severity == dg.AssetCheckSeverity.ERROR), None)
        shown = worst or (failed[0][1] if failed else checks[0])
        named = ", ".join(f"`{key}`" for key, _ in failed[:_MOST_NAMED])
        more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        where = f"in {len(failed)} of {len(checks)} partitions, {named}{more}" if failed else f"in all {len(checks)} partitions"
        merged.append(
            dg.AssetCheckResult(
                passed=not failed,
                asset_key=shown.asset_key,
                check_name=shown.check_name,
                severity=shown.severity,
                description=f"{where}: {shown.description}",
                metadata={"partitions": len(checks), "partitions_not_passed": len(failed), **(shown.metadata if failed else {})},
            )
        )
    return merged
