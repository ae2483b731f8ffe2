"""The examples for Airflow and Prefect as a user starts them: the commands that each prints, in a copy of the repository.

$AIRFLOW_PYTHON and $PREFECT_PYTHON name a Python that has what the commands install; where it could not be installed,
$AIRFLOW_MISSING and $PREFECT_MISSING say why.
"""

import ast
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY

EXAMPLES = {"airflow": "examples/airflow/score_customers.py", "prefect": "examples/prefect/score_customers.py"}


def commands(name: str) -> list[str]:
    """What the example says to type, line by line."""
    told = ast.get_docstring(ast.parse((REPOSITORY / EXAMPLES[name]).read_text()), clean=False)
    return [line.strip() for line in told.splitlines() if line.startswith("    ")]


def repository(folder: Path) -> Path:
    """A copy of what the commands are about, as a clone has it: what was made in this one stays out of it."""
    made = shutil.ignore_patterns("__pycache__", "customer_health")
    for part in ("examples/airflow", "examples/prefect", "examples/data"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=made)
    shutil.copytree(REPOSITORY / "proto", folder / "proto")
    shutil.copy(REPOSITORY / "component.yaml", folder)
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(name: str, program: str, tmp_path: Path) -> tuple[Path, str]:
    """Runs the example's commands but for the installation; gives the copy and what was printed."""
    python = os.environ.get(f"{name.upper()}_PYTHON")
    if not python:
        pytest.skip(os.environ.get(f"{name.upper()}_MISSING") or f"${name.upper()}_PYTHON names no Python; CI_ORCHESTRATORS=1 makes one")
    root, tools, target = repository(tmp_path / "clone"), tmp_path / "bin", f"127.0.0.1:{free_port()}"
    tools.mkdir()
    (tools / "customer-health").symlink_to(program)
    lines = commands(name)
    assert lines[0] == "customer-health serve &" and [line for line in lines if line.startswith("pip install ")] == [lines[2]]
    script = [
        "trap 'kill $(jobs -p)' EXIT",
        f"customer-health serve --listen {target} &",
        *(line for line in lines[1:] if not line.startswith("pip install ")),
    ]
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")},
        "PATH": os.pathsep.join([str(tools), str(Path(python).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path / "home"),
        "CUSTOMER_HEALTH_TARGET": target,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    command = ["bash", "-euo", "pipefail", "-c", "\n".join(script)]
    answer = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=600)
    told = answer.stdout + answer.stderr
    assert answer.returncode == 0, told[-4000:]
    return root, told


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_as_a_user_starts_it(name, program, tmp_path):
    root, told = run(name, program, tmp_path)
    scores = root / "out/customer_health_scores.parquet"
    assert pq.read_table(scores).num_rows == 200
    assert f"'table': '{scores}', 'customers': 200" in told, told[-4000:]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_failure_of_the_service_is_a_failure_of_the_example(name, program, tmp_path, monkeypatch):
    """A component that is not valid: the commands do not end well, and say what is wrong."""
    copy = repository
    monkeypatch.setitem(globals(), "repository", lambda folder: spoilt(copy(folder)))
    with pytest.raises(AssertionError, match="churn_treshold"):
        run(name, program, tmp_path)
    assert not (tmp_path / "clone/out").exists()


def spoilt(root: Path) -> Path:
    path = root / "component.yaml"
    path.write_text(path.read_text().replace("churn_risk_threshold:", "churn_treshold:"))
    return root


def test_no_script_has_the_name_of_the_client():
    """Python looks beside a script first: one of this name hides the package that protoc makes."""
    assert not [str(path) for path in (REPOSITORY / "examples").rglob("customer_health.py")]
    assert not list((REPOSITORY / "tests/python").rglob("customer_health.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documentation_leads_to_the_example(name):
    assert f"({EXAMPLES[name]})" in (REPOSITORY / "README.md").read_text()
