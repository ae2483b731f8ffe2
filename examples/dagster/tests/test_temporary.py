"""What a run that was killed left beside the tables goes with the next run; what another run works with stays."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from conftest import assets, customers, failure, write

from dagster_customer_health import temporary

HOURS = 2 * 3600

HOLDER = """
import sys
from contextlib import ExitStack
from pathlib import Path

from dagster_customer_health import temporary

with ExitStack() as opened:
    print(temporary.folder(Path(sys.argv[1]), ".aside-", 0o755, opened), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has a folder, and the folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    made = Path(process.stdout.readline().strip())
    yield process, made
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def age(place: Path) -> None:
    then = time.time() - HOURS
    os.utime(place, (then, then))


def make(parent: Path) -> Path:
    with ExitStack() as opened:
        made = temporary.folder(parent, ".aside-", 0o755, opened)
        assert made.is_dir()
    assert not made.exists()
    return made


def test_a_folder_of_a_process_that_works_stays(tmp_path, other):
    _, theirs = other
    age(theirs)
    make(tmp_path)
    assert theirs.is_dir()


def test_a_folder_of_a_process_that_was_killed_goes(tmp_path, other):
    process, theirs = other
    (theirs / "scores.parquet").write_text("half")
    process.kill()
    process.wait()
    make(tmp_path)
    assert theirs.is_dir(), "so young that it may be of another machine, whose lock cannot be seen"
    age(theirs)
    make(tmp_path)
    assert not theirs.exists()


def test_what_has_another_name_or_is_no_folder_stays(tmp_path):
    (tmp_path / ".aside").mkdir()
    (tmp_path / ".aside-file").write_text("")
    (tmp_path / "scores").mkdir()
    for place in tmp_path.iterdir():
        age(place)
    make(tmp_path)
    assert sorted(place.name for place in tmp_path.iterdir()) == [".aside", ".aside-file", "scores"]


def test_runs_remove_what_was_left(project):
    """Links of several partitions beside the tables, and scores that were set aside beside the scores."""
    for day in range(5, 12):
        write(customers(2), project.data / f"people/2025-01-{day:02}.parquet")
    left = [project.data / ".partitions-left", project.data / "customer_health_scores/.aside-left"]
    for place in left:
        place.mkdir(parents=True)
        age(place)
    project.attributes(
        customer_data_asset_key="people",
        fan_out={"churn_risk": True},
        partition_type="weekly",
        partition_start="2025-01-05",
    )
    days = dg.DailyPartitionsDefinition("2025-01-05")

    @dg.asset(partitions_def=days)
    def people(): ...

    with project.load() as defs:
        whole = dg.Definitions.merge(defs, dg.Definitions(assets=[people]))
        result = dg.materialize(
            assets(whole), selection=["customer_health_scores_churn_risk"], partition_key="2025-01-05", raise_on_error=False
        )
    assert result.success, failure(result)
    assert not any(place.exists() for place in left)
    assert not list(project.data.glob("**/.*"))
