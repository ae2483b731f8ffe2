"""A backfill as a user has it: `dagster dev` with its daemon, its web server and a process for the run; asked for by GraphQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Project, customers, write

DAYS = [str(day.date()) for day in pd.date_range("2025-01-01", periods=60)]
SCORES = "customer_health_scores"
# Dagster's processes start slowly where others are at work too; what hangs is ended by it all the same.
PATIENCE = 600

LOCATION = """
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    found = dg.load_from_defs_folder(path_within_project=Path({package!r}))
    days = dg.DailyPartitionsDefinition("2025-01-01")
    return dg.Definitions.merge(found, dg.Definitions(assets=[dg.AssetSpec("activity", partitions_def=days)]))
"""

LAUNCH = """
mutation ($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
PROGRESS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status error { message } } }
}
"""
OUTCOME = """
query ($id: String!, $asset: AssetKeyInput!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) { ... on Runs { results { status stepStats { status } } } }
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      partitionStats { numMaterialized numFailed numPartitions }
      assetMaterializations(limit: 100) { partition metadataEntries { label ... on IntMetadataEntry { intValue } } }
    }
  }
}
"""


class Dagster:
    """`dagster dev` for one location, with a home of its own."""

    def __init__(self, location: Path, home: Path):
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.log = home / "dev.log"
        self.deadline = time.monotonic() + PATIENCE
        command = [sys.executable, "-m", "dagster", "dev", "-f", str(location), "-h", "127.0.0.1", "-p", str(self.port)]
        environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(location.parent)}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def ask(self, text: str, **variables) -> dict:
        """One GraphQL document's data."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            found = json.load(answer)
        assert not found.get("errors"), found["errors"]
        return found["data"]

    def until(self, what: str, condition) -> None:
        """Waits for a condition, as long as the processes live and the test has time."""
        while True:
            try:
                if condition():
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # the web server is not there yet, or is busy
            ended = self.process.poll()
            if ended is not None or time.monotonic() > self.deadline:
                why = f"dagster dev ended with {ended}" if ended is not None else f"not within {PATIENCE} s"
                pytest.fail(f"{what}: {why}\n{self.log.read_text()[-4000:]}")
            time.sleep(0.5)

    def is_loaded(self) -> bool:
        found = self.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
        return [SCORES] in [node["assetKey"]["path"] for node in found]

    def stop(self) -> None:
        """As Ctrl-C does; what does not follow is ended with its children."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@pytest.fixture
def dagster(project: Project, tmp_path: Path) -> Iterator[Dagster]:
    for day, key in enumerate(DAYS):
        write(customers(2, last_login_days=[day % 30, 0]), project.data / f"activity/{key}.parquet")
    project.attributes(
        customer_data_asset_key="activity",
        partition_type="daily",
        partition_start=DAYS[0],
        backfill_policy="single_run",
        calculate_trend=True,
        fan_out={"churn_risk": True},
    )
    package = project.folder.parent.parent
    (package / "__init__.py").touch()
    (package.parent.parent / "pyproject.toml").write_text(
        f'[project]\nname = "{package.name}"\nversion = "0"\n[tool.dg]\ndirectory_type = "project"\n'
        f'[tool.dg.project]\nroot_module = "{package.name}"\n'
    )
    location = package.parent / "location.py"
    location.write_text(LOCATION.format(package=str(package)))
    started = Dagster(location, tmp_path / "home")
    yield started
    started.stop()


def test_a_backfill_of_sixty_days_through_the_daemon(project, dagster):
    dagster.until("the location", dagster.is_loaded)
    asked = {"assetSelection": [{"path": [SCORES]}, {"path": [f"{SCORES}_churn_risk"]}], "partitionNames": DAYS}
    launched = dagster.ask(LAUNCH, asked=asked)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    told = {}

    def is_over() -> bool:
        told.update(dagster.ask(PROGRESS, id=launched["backfillId"])["partitionBackfillOrError"])
        return told["status"] not in ("REQUESTED", "CANCELING", "FAILING", "COMPLETED")

    dagster.until("the backfill", is_over)
    assert told["status"] == "COMPLETED_SUCCESS", told
    outcome = dagster.ask(OUTCOME, id=launched["backfillId"], asset={"path": [SCORES]})
    assert [run["status"] for run in outcome["runsOrError"]["results"]] == ["SUCCESS"]
    node = outcome["assetNodeOrError"]
    assert node["partitionStats"]["numMaterialized"] == 60 and not node["partitionStats"]["numFailed"]
    rows = {
        event["partition"]: entry["intValue"]
        for event in node["assetMaterializations"]
        for entry in event["metadataEntries"]
        if entry["label"] == "dagster/partition_row_count"
    }
    assert rows == dict.fromkeys(DAYS, 2)
    for name in (SCORES, f"{SCORES}_churn_risk"):
        assert sorted(path.name for path in (project.data / name).iterdir()) == [f"{key}.parquet" for key in DAYS]
    tables = [pq.read_table(str(project.data / f"{SCORES}/{key}.parquet")).sort_by("customer_id") for key in DAYS]
    for before, now in zip(tables, tables[1:]):
        assert now["previous_health_score"].to_pylist() == before["health_score"].to_pylist()
