"""The example project, as its README has it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

PROJECT = Path(__file__).resolve().parents[1] / "project"


@pytest.fixture
def example(tmp_path, program) -> Path:
    """A copy to work in."""
    return shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("data", "__pycache__", ".venv"))


def dg(example: Path, *arguments: str) -> subprocess.CompletedProcess:
    home = example.parent / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": str(example / "src"),
        "VIRTUAL_ENV": sys.prefix,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    return subprocess.run(["dg", *arguments], cwd=example, env=environment, capture_output=True, text=True)


def test_dg_check(example):
    for what in ("yaml", "defs"):
        answer = dg(example, "check", what)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_wrong_attribute_is_told_with_its_line_by_dg_check_yaml(example):
    path = example / "src/health_project/defs/customer_health/defs.yaml"
    text = path.read_text().replace("churn_risk_threshold:", "churn_treshold:")
    path.write_text(text)
    line = next(at for at, line in enumerate(text.splitlines(), 1) if "churn_treshold" in line)
    answer = dg(example, "check", "yaml")
    assert answer.returncode != 0
    told = answer.stdout + answer.stderr
    assert f"defs.yaml:{line}" in told and "churn_treshold" in told, told


def test_what_only_the_service_can_tell_is_told_with_its_line_by_dg_check_defs(example):
    path = example / "src/health_project/defs/customer_health/defs.yaml"
    text = path.read_text().replace("scorecard: default", "scorecard: default\n  components: {engagemnt: {weight: 1}}")
    path.write_text(text)
    line = next(at for at, line in enumerate(text.splitlines(), 1) if "engagemnt" in line)
    answer = dg(example, "check", "defs")
    assert answer.returncode != 0
    assert f"defs.yaml:{line}:" in (answer.stdout + answer.stderr).replace("\n", "")


def test_all_assets_of_the_example(example):
    answer = dg(example, "launch", "--assets", "*")
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    scores = pl.read_parquet(example / "data/customer_health_scores.parquet")
    assert scores.height == 300 and scores["is_churn_risk"].any() and scores["is_expansion_opportunity"].any()
    calls = pl.read_parquet(example / "data/churn_prevention.parquet")
    assert calls.height == scores["is_churn_risk"].sum()
    assert pl.read_parquet(example / "data/expansion_pipeline.parquet").height == scores["is_expansion_opportunity"].sum()
