"""Dates as timestamps, in partitions of a time zone: a day has the rows that are dated with it, wherever the zone is."""

from datetime import date, datetime, timedelta

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, metadata, write

DAYS = [date(2025, 1, 1) + timedelta(days=day) for day in range(5)]
ZONES = ["America/Los_Angeles", "America/St_Johns", "UTC", "Europe/Berlin", "Asia/Tokyo"]


def dated(name: str = "at", kind: pa.DataType = pa.date32(), days=DAYS) -> pa.Table:
    """A customer for each day."""
    return pa.table({"customer_id": [f"{day:%d}" for day in days], name: pa.array(days).cast(kind), "login_frequency": [1] * len(days)})


def attributes(zone: str, **more) -> dict:
    return {
        "inputs": {"customer": {"path": "{{ context.project_root }}/rows.parquet", "timestamp": "at"}},
        "partition_type": "daily",
        "partition_start": "2025-01-01",
        "partition_timezone": zone,
        "partition_window": "partition",
        **more,
    }


def scored(project, key: str) -> list[str]:
    return sorted(pq.read_table(str(project.data / f"customer_health_scores/{key}.parquet"))["customer_id"].to_pylist())


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_has_the_rows_that_are_dated_with_it(project, zone):
    write(dated(), project.root / "rows.parquet")
    project.attributes(**attributes(zone))
    for key in ("2025-01-01", "2025-01-03"):
        result = project.materialize(partition_key=key)
        assert result.success, failure(result)
        assert scored(project, key) == [key[-2:]]


@pytest.mark.parametrize("zone", ZONES)
def test_a_period_ends_with_the_day(project, zone):
    """With `as_of` in SQL too, which is a moment of the day itself."""
    write(dated(), project.root / "rows.parquet")
    fields = {"last_login_days": "CAST(as_of AS DATE) - at"}
    inputs = {"customer": {"path": "{{ context.project_root }}/rows.parquet", "timestamp": "at", "fields": fields}}
    project.attributes(**attributes(zone, inputs=inputs, partition_window="period", analysis_period_days=2, include_drivers=True))
    result = project.materialize(partition_key="2025-01-04")
    assert result.success, failure(result)
    assert scored(project, "2025-01-04") == ["03", "04"]
    rows = pq.read_table(str(project.data / "customer_health_scores/2025-01-04.parquet")).to_pylist()
    idle = {
        row["customer_id"]: float(driver["value"]) for row in rows for driver in row["drivers"] if driver["indicator"] == "last_login_days"
    }
    assert idle == {"03": 1, "04": 0}


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
def test_moments_are_what_they_are(project, zone):
    start = pd.Timestamp("2025-01-03", tz=zone).tz_convert("UTC")
    moments = [start - pd.Timedelta(seconds=1), start, start + pd.Timedelta(hours=23), start + pd.Timedelta(days=1)]
    table = pa.table(
        {
            "customer_id": ["before", "first", "last", "after"],
            "at": pa.array([at.to_pydatetime() for at in moments], pa.timestamp("us", "UTC")),
            "login_frequency": [1] * 4,
        }
    )
    write(table, project.root / "rows.parquet")
    result = project.attributes(**attributes(zone)).materialize(partition_key="2025-01-03")
    assert result.success, failure(result)
    assert scored(project, "2025-01-03") == ["first", "last"]


def test_weeks_of_dates(project):
    days = [date(2025, 1, 4) + timedelta(days=day) for day in range(10)]
    write(dated(days=days), project.root / "rows.parquet")
    project.attributes(**attributes("America/Los_Angeles", partition_type="weekly", partition_start="2025-01-05"))
    result = project.materialize(partition_key="2025-01-05")
    assert result.success, failure(result)
    assert scored(project, "2025-01-05") == [f"{day:02}" for day in range(5, 12)]
    assert metadata(result)["as_of"] == pytest.approx(pd.Timestamp("2025-01-12", tz="UTC").timestamp(), abs=1e-5)


def test_frames_in_memory(project, tmp_path):
    @dg.asset
    def people():
        return dated()

    given = attributes("America/Los_Angeles", inputs={"customer": {"timestamp": "at"}}, data_dir=None)
    project.attributes(customer_data_asset_key="people", output=str(tmp_path / "scores.parquet"), **given)
    result = project.materialize(people, resources={"io_manager": dg.mem_io_manager}, partition_key="2025-01-03")
    assert result.success, failure(result)
    assert pq.read_table(str(tmp_path / "scores/2025-01-03.parquet"))["customer_id"].to_pylist() == ["03"]


@pytest.mark.parametrize(("zone", "told"), [("America/Los_Angeles", True), ("Europe/Berlin", False)])
def test_dates_beside_moments_west_of_utc_are_refused(project, zone, told):
    write(dated(), project.root / "rows.parquet")
    moments = pa.table({"customer_id": ["03"], "seen": pa.array([datetime(2025, 1, 3, 12)]), "session_count": [2]})
    write(moments, project.root / "usage.parquet")
    inputs = {
        "customer": {"path": "{{ context.project_root }}/rows.parquet", "timestamp": "at"},
        "usage": {"path": "{{ context.project_root }}/usage.parquet", "timestamp": {"column": "seen"}},
    }
    result = project.attributes(**attributes(zone, inputs=inputs)).materialize(partition_key="2025-01-03")
    if told:
        said = failure(result)
        assert "input `customer` is a date" in said and "`usage` a moment" in said and "partition_timezone" in said
        assert not (project.data / "customer_health_scores").exists() or not scored_files(project)
    else:
        assert result.success, failure(result)
        assert scored(project, "2025-01-03") == ["03"]


def scored_files(project) -> list:
    return list((project.data / "customer_health_scores").glob("*.parquet"))


def test_without_timestamps_the_zone_tells_the_moment(project):
    write(customers(2), project.root / "rows.parquet")
    inputs = {"customer": "{{ context.project_root }}/rows.parquet"}
    result = project.attributes(**attributes("America/Los_Angeles", inputs=inputs)).materialize(partition_key="2025-01-03")
    assert result.success, failure(result)
    assert metadata(result)["as_of"] == pytest.approx(pd.Timestamp("2025-01-04", tz="America/Los_Angeles").timestamp(), abs=1e-5)
