"""From the service's report to what Dagster shows: metadata, column schema and lineage, checks."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ._proto import component_pb2, report_pb2

_log = logging.getLogger("dagster.customer_health")

STORAGE = "parquet"
"""What published tables are stored as."""

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN

CHECKS = {
    "customer_id_unique_not_null": (_ERROR, "Every customer has one row, and every row a customer."),
    "scores_in_range": (_ERROR, "Health scores are within the range given out, and those of components within 0 to 100."),
    "flags_match_category": (_ERROR, "Category and flags of every row follow from its score."),
    "row_count_positive": (_ERROR, "The table has rows."),
    "weights_sum_to_one": (_WARN, "The weights of the components add up to 1."),
    "inputs_have_expected_columns": (_WARN, "Every input that is connected has columns that are scored."),
    "neutral_share": (_WARN, "No component lacks data for more than half of the customers."),
    "texts_mapped": (_WARN, "Every text of a column that is scored by a map stands in the map."),
    "categories_match_flags": (_WARN, "Thresholds beside named categories flag the customers of the first and the last of them."),
}
"""The checks that the service makes, how bad it is when one does not pass, and what it looks at."""

_SHOWN = {"Utf8": "String"}
"""Types by a name that Dagster's UI has a picture for."""

_WHERE_IT_APPLIES = {"categories_match_flags": "no thresholds are given beside named categories"}
"""Checks that the service leaves out where they have nothing to look at."""


def check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks as Dagster knows them before any run."""
    return [
        dg.AssetCheckSpec(name, asset=asset, description=description, blocking=severity == _ERROR)
        for name, (severity, description) in CHECKS.items()
    ]


def column_schema(columns: Sequence[report_pb2.ColumnReport]) -> dg.TableSchema:
    return dg.TableSchema(columns=[_column(column) for column in columns])


def _column(column: report_pb2.ColumnReport) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=column.nullable, unique=column.name == "customer_id")
    shown = _SHOWN.get(column.data_type, column.data_type)
    return dg.TableColumn(column.name, shown, description=column.description or None, constraints=constraints)


def column_lineage(
    lineage: Sequence[report_pb2.ColumnLineage], upstream: Mapping[int, dg.AssetKey]
) -> dg.TableColumnLineage | None:
    """Lineage of the columns that come from upstream assets. `upstream` are the assets by input."""
    deps = {}
    for column in lineage:
        sources = [
            dg.TableColumnDep(asset_key=upstream[source.input], column_name=source.column)
            for source in column.sources
            if source.input in upstream
        ]
        if sources:
            deps[column.column] = sources
    return dg.TableColumnLineage(deps) if deps else None


def output_metadata(output: report_pb2.OutputReport, partitioned: bool) -> dict[str, Any]:
    """What Dagster knows of any table."""
    metadata: dict[str, Any] = {
        "dagster/partition_row_count" if partitioned else "dagster/row_count": output.rows,
        "dagster/column_schema": column_schema(output.columns),
    }
    if output.uri:
        metadata["dagster/uri"] = output.uri
        metadata["path"] = dg.MetadataValue.path(output.path)
    if output.bytes:
        metadata["size_bytes"] = output.bytes
    return metadata


def run_metadata(report: report_pb2.RunReport) -> dict[str, Any]:
    """What is special to the scores."""
    metadata: dict[str, Any] = {
        "customers": report.customers,
        "churn_risk_count": report.churn_risks,
        "expansion_opportunity_count": report.expansion_opportunities,
        "as_of": dg.MetadataValue.timestamp(report.as_of.ToNanoseconds() / 1e9),
        "scorecard": report.scorecard_name,
        "scorecard_hash": report.scorecard_hash,
        "config_hash": report.config_hash,
        "service_version": report.component_version,
        "service_run_id": report.run_id,
        "seconds": sum(stage.elapsed.ToNanoseconds() for stage in report.stages) / 1e9,
    }
    if report.HasField("scores"):
        metadata["average_health_score"] = report.scores.mean
        metadata["median_health_score"] = report.scores.median
    for category in report.categories:
        metadata[f"category/{category.name}"] = category.customers
    for table in report.inputs:
        metadata |= _input(table)
    if report.inputs:
        metadata["inputs"] = dg.MetadataValue.md(_inputs(report.inputs))
    if report.warnings:
        metadata["warnings"] = dg.MetadataValue.md("\n".join(f"- {warning}" for warning in report.warnings))
    return metadata


def preview(preview_json: str, columns: Sequence[report_pb2.ColumnReport]) -> dg.TableMetadataValue:
    """The first rows as a table of all the columns, those that a row lacks since they are null included."""
    rows = json.loads(preview_json or "[]")
    known = {column.name: _column(column) for column in columns}
    names = list(dict.fromkeys([*known, *(name for row in rows for name in row)]))
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(row.get(name)) for name in names}) for row in rows],
        schema=dg.TableSchema([known.get(name) or dg.TableColumn(name) for name in names]),
    )


def table_address(key: dg.AssetKey) -> dict[str, str]:
    """By which name, and in which storage, Dagster knows a table that the service publishes."""
    return {"dagster/table_name": ".".join(key.path), "dagster/storage_kind": STORAGE}


def checks(found: Sequence[report_pb2.Check], key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    """A result for every check that was promised; one that the service did not make counts as not passed."""
    by_name = {check.name: check for check in found}
    # A later service may make checks that an asset of this version has not promised.
    for name in by_name.keys() - CHECKS.keys():
        _log.warning("the check %s of the service is none of the asset's, and is not told: %s", name, by_name[name].description)
    results = []
    for name, (severity, _) in CHECKS.items():
        check = by_name.get(name)
        if check is None:
            told = _WHERE_IT_APPLIES.get(name)
            result = dg.AssetCheckResult(
                passed=told is not None,
                asset_key=key,
                check_name=name,
                severity=severity,
                description=told or "the service did not make this check",
            )
        else:
            error = check.severity == report_pb2.CHECK_SEVERITY_ERROR
            result = dg.AssetCheckResult(
                passed=check.passed,
                asset_key=key,
                check_name=name,
                severity=_ERROR if error else _WARN,
                description=check.description,
                metadata=dict(sorted(check.facts.items())),
            )
        results.append(result)
    return results


def input_name(number: int) -> str:
    """Name of an input as in the YAML."""
    return component_pb2.Input.Name(number).removeprefix("INPUT_").lower()


def _input(table: report_pb2.InputReport) -> dict[str, Any]:
    name = input_name(table.input)
    return {
        f"{name}/rows_read": table.rows_read,
        f"{name}/rows_kept": table.rows_kept,
        f"{name}/customers": table.customers,
        f"{name}/duplicates_merged": table.duplicates_merged,
        f"{name}/unmatched": table.unmatched,
        f"{name}/dropped": sum(dropped.rows for dropped in table.dropped),
    }


def _inputs(tables: Sequence[report_pb2.InputReport]) -> str:
    header = ["input", "rows read", "kept", "customers", "merged rows", "unmatched", "dropped", "file"]
    lines = [header, ["---"] * len(header)]
    for table in tables:
        dropped = ", ".join(f"{dropped.rows} {dropped.reason}" for dropped in table.dropped) or "0"
        numbers = [table.rows_read, table.rows_kept, table.customers, table.duplicates_merged, table.unmatched]
        lines.append([input_name(table.input), *map(str, numbers), dropped, f"`{table.path}`"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 2)
    if value is None or isinstance(value, bool | int):
        return value
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
