"""The examples for Airflow and Prefect, where those are installed: $AIRFLOW_PYTHON and $PREFECT_PYTHON name a Python that has them."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

TEXT = "inputs: {customer: customers.parquet}\noutput: scores.parquet\n"


def run(service, tmp_path: Path, variable: str, code: str) -> str:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"${variable} names no Python")
    (service.folder / "component.yaml").write_text(TEXT)
    stubs = Path(service.api.run.__file__).parents[2]
    target = f"127.0.0.1:{port(service)}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(stubs),
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "CUSTOMER_HEALTH_TARGET": target,
        "CUSTOMER_HEALTH_COMPONENT": str(service.folder / "component.yaml"),
    }
    answer = subprocess.run([python, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    assert (service.folder / "scores.parquet").is_file()
    return answer.stdout


def port(service) -> str:
    return service.target.rpartition(":")[2]


def load(name: str) -> str:
    path = REPOSITORY / "examples" / name / "customer_health.py"
    return f"import runpy, os\nmodule = runpy.run_path({str(path)!r})\n"


def test_prefect(service, tmp_path):
    code = load("prefect") + "print(module['customer_health'](os.environ['CUSTOMER_HEALTH_COMPONENT'])['customers'])\n"
    assert run(service, tmp_path, "PREFECT_PYTHON", code).strip().endswith("10")


def test_airflow(service, tmp_path):
    """The task's own code; Airflow's scheduler and database are not started."""
    code = load("airflow") + (
        "from types import SimpleNamespace as N\n"
        "task = next(value for value in module.values() if getattr(value, '__name__', '') == 'customer_health')\n"
        "dag = task()\n"
        "assert dag.dag_id == 'customer_health' and list(dag.task_dict) == ['score']\n"
        "function = dag.task_dict['score'].python_callable\n"
        "context = {'run_id': 'manual', 'ti': N(try_number=1), 'dag': dag}\n"
        "function.__globals__['get_current_context'] = lambda: context\n"
        "print(function()['customers'])\n"
    )
    assert run(service, tmp_path, "AIRFLOW_PYTHON", code).strip().endswith("10")
