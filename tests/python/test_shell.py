"""The shell's examples, with the real grpcurl and jq: the script and every line of the API's page."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import REPOSITORY

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
TEXT = "inputs: {usage: usage.parquet}\noutput: scores.parquet\n"


@pytest.fixture
def folder(service) -> Path:
    missing = [name for name in ("grpcurl", "jq") if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here")
    service.write("usage.parquet", pa.table({"customer_id": ["1042", "7"], "session_count": [12, 3]}))
    (service.folder / "component.yaml").write_text(TEXT)
    return service.folder


def shell(folder: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": PATH}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def documents(text: str) -> list:
    """JSON documents, one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def test_the_script_prints_the_facts(service, folder):
    answer = shell(folder, "sh", str(REPOSITORY / "examples/shell/materialize.sh"), "component.yaml", service.target)
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(answer.stdout)
    assert facts["table"] == str(folder / "scores.parquet") and (folder / "scores.parquet").is_file()
    assert facts["customers"] == "2" and sum(int(count) for count in facts["categories"].values()) == 2
    assert facts["failed_checks"] == ["neutral_share"]


def test_the_script_fails_with_the_call(service, folder):
    (folder / "component.yaml").write_text(TEXT + "churn_treshold: 1\n")
    answer = shell(folder, "sh", str(REPOSITORY / "examples/shell/materialize.sh"), "component.yaml", service.target)
    assert answer.returncode != 0
    assert "component.yaml:3:1: " in answer.stderr
    assert not (folder / "scores.parquet").exists()


def test_the_lines_of_the_apis_page(service, folder):
    """Each call of the contract is among them, which a test in Rust sees to."""
    _, section = (REPOSITORY / "docs/api.md").read_text().split("## Shell\n")
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.S)
    assert block.count("127.0.0.1:50051") >= 4
    answer = shell(folder, "bash", "-euo", "pipefail", "-c", block.replace("127.0.0.1:50051", service.target))
    assert answer.returncode == 0, answer.stderr
    told = documents(answer.stdout)
    results = [document["result"]["report"] for document in told if isinstance(document, dict) and "result" in document]
    assert [report["customers"] for report in results] == ["2", "2"]
    assert results[0]["runId"] == "nightly-2025-06-30"
    rest = [document for document in told if not (isinstance(document, dict) and {"result", "progress", "log", "warning"} & set(document))]
    sync, columns, score, cards, health = rest
    assert sync["outputPath"] == str(folder / "scores.parquet")
    assert columns[:2] == ["customer_id", "health_score"] and 0 <= score <= 100
    assert cards["scorecards"][0]["name"] == "default" and health == {"status": "SERVING"}
