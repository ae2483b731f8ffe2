"""Real Dagster against the real program: what it takes to make a small project and to run it."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster.components.testing import create_defs_folder_sandbox
from dagster_shared.yaml_utils import parse_yamls_with_source_position

from dagster_customer_health import CustomerHealthScoreComponent, loading

REPOSITORY = Path(__file__).resolve().parents[3]
TYPE = "dagster_customer_health.CustomerHealthScoreComponent"


def find_program() -> str | None:
    named = os.environ.get("CUSTOMER_HEALTH_BIN")
    found = shutil.which(named) if named else shutil.which("customer-health")
    built = REPOSITORY / "target" / "debug" / "customer-health"
    return found or (str(built) if built.is_file() else None)


@pytest.fixture(scope="session")
def program() -> str:
    """The program under test."""
    found = find_program()
    if found is None:
        pytest.fail("no customer-health: name it in CUSTOMER_HEALTH_BIN, or run cargo build")
    return str(Path(found).resolve())


@pytest.fixture(autouse=True)
def _environment(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("CUSTOMER_HEALTH_BIN", program)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    loading.forget()  # as a test stands for a process
    monkeypatch.setattr(DefinitionsLoadContext, "_instance", None)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def customers(count: int = 20, **columns: list[Any]) -> pa.Table:
    """Customers that get better with their number."""
    share = [number / max(1, count - 1) for number in range(count)]
    table = {
        "customer_id": [f"c{number:03}" for number in range(count)],
        "last_login_days": [30 - round(30 * part) for part in share],
        "login_frequency": [round(30 * part) for part in share],
        "feature_adoption_rate": share,
    }
    return pa.table(table | columns)


def write(table: pa.Table, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


class Project:
    """A Dagster project with one component in it."""

    def __init__(self, sandbox: Any):
        self.root: Path = Path(sandbox.project_root).resolve()
        self.data = self.root / "data"
        self._sandbox = sandbox
        self.folder: Path = Path(sandbox.defs_folder_path) / "health"
        self.folder.mkdir()

    def text(self, text: str) -> "Project":
        """Puts this into defs.yaml."""
        (self.folder / "defs.yaml").write_text(text)
        return self

    def attributes(self, **attributes: Any) -> "Project":
        """Writes a defs.yaml of these attributes, with tables in the folder data."""
        attributes.setdefault("data_dir", "{{ context.project_root }}/data")
        return self.text(yaml.safe_dump({"type": TYPE, "attributes": {k: v for k, v in attributes.items() if v is not None}}))

    @contextlib.contextmanager
    def load(self) -> Iterator[dg.Definitions]:
        with self._sandbox.build_all_defs() as defs:
            self._is_what_editors_take()
            yield defs

    def _is_what_editors_take(self) -> None:
        """Whatever loads passes `dg check yaml` too, and is not underlined in an editor."""
        schema = jsonschema.Draft202012Validator(CustomerHealthScoreComponent.get_model_cls().model_json_schema())
        for path in self.root.rglob("defs.yaml"):
            for document in parse_yamls_with_source_position(path.read_text()):
                if document.value["type"] == TYPE:
                    faults = [f"{fault.json_path}: {fault.message}" for fault in schema.iter_errors(document.value["attributes"])]
                    assert not faults, faults

    def materialize(
        self, *others: Any, instance: dg.DagsterInstance | None = None, resources: dict | None = None, **arguments: Any
    ) -> dg.ExecuteInProcessResult:
        with self.load() as defs:
            return run(defs, *others, instance=instance, resources=resources, **arguments)


def run(defs: dg.Definitions, *others: Any, resources: dict | None = None, **arguments: Any) -> dg.ExecuteInProcessResult:
    """Materializes the component's assets together with others."""
    whole = dg.Definitions.merge(defs, dg.Definitions(assets=list(others), resources=resources))
    return dg.materialize(assets(whole), raise_on_error=False, **arguments)


def assets(defs: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [asset for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable]


def spec(defs: dg.Definitions, key: str) -> dg.AssetSpec:
    return defs.resolve_asset_graph().get(dg.AssetKey.from_user_string(key)).assets_def.get_asset_spec(
        dg.AssetKey.from_user_string(key)
    )


def metadata(result: dg.ExecuteInProcessResult, key: str = "customer_health_scores") -> dict[str, Any]:
    """Metadata of an asset's one materialization, as plain values."""
    found = [event.materialization for event in materializations(result, key)]
    assert len(found) == 1, f"{len(found)} materializations of {key}"
    return {name: value.value for name, value in found[0].metadata.items()}


def materializations(result: dg.ExecuteInProcessResult, key: str = "customer_health_scores") -> list[Any]:
    events = result.get_asset_materialization_events()
    asset = dg.AssetKey.from_user_string(key)
    return [event.event_specific_data for event in events if event.asset_key == asset]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    description = data.user_failure_data.description if data.user_failure_data else None
    return description or data.error.to_string()


@pytest.fixture
def project() -> Iterator[Project]:
    with create_defs_folder_sandbox() as sandbox:
        yield Project(sandbox)


@pytest.fixture
def serve(program: str, tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen, str]]]:
    """Starts services; they are gone behind the test."""
    started = []

    def start(*arguments: str, listen: str = "127.0.0.1:0") -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [program, "serve", "--listen", listen, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        line = process.stdout.readline()
        assert "listening on" in line, line
        return process, line.strip().rpartition("//")[2]

    yield start
    for process in started:
        process.kill()
        process.wait()


def logs(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[str]:
    """What stands in the run's log."""
    return [entry.user_message or entry.message for entry in instance.all_logs(result.run_id)]


def slow(project: Project, rows: int = 1_500_000, path: Path | None = None) -> None:
    """Enough rows that a run can be met in the midst of its work."""
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "customer_id": np.arange(rows) // 2,
            "last_login_days": random.integers(0, 30, rows),
            "login_frequency": random.integers(0, 30, rows),
            "feature_adoption_rate": random.random(rows),
        }
    )
    path = path or project.data / "customers.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="none")


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
