"""A service of its own for the tests, and a client generated from the contract a moment before."""

import importlib.resources
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program() -> str:
    named = os.environ.get("CUSTOMER_HEALTH_BIN")
    built = REPOSITORY / "target" / "debug" / "customer-health"
    found = shutil.which(named or "customer-health") or (str(built) if built.is_file() and not named else None)
    if found is None:
        pytest.fail("no customer-health: name it in CUSTOMER_HEALTH_BIN, or run cargo build")
    return str(Path(found).resolve())


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The generated modules."""
    from grpc_tools import protoc

    out = tmp_path_factory.mktemp("stubs")
    files = [str(path.relative_to(REPOSITORY / "proto")) for path in (REPOSITORY / "proto").rglob("*.proto")]
    bundled = importlib.resources.files("grpc_tools") / "_proto"
    arguments = [f"-I{REPOSITORY / 'proto'}", f"-I{bundled}", f"--python_out={out}", f"--grpc_python_out={out}"]
    assert protoc.main(["protoc", *arguments, *files]) == 0
    sys.path.insert(0, str(out))
    from customer_health.v1 import component_pb2, customer_health_pb2_grpc, inspect_pb2, report_pb2, run_pb2, stream_pb2

    return SimpleNamespace(
        component=component_pb2,
        grpc=customer_health_pb2_grpc,
        inspect=inspect_pb2,
        report=report_pb2,
        run=run_pb2,
        stream=stream_pb2,
    )


@dataclass
class Service:
    """A running service, its folder, and how to ask it."""

    api: SimpleNamespace
    channel: grpc.Channel
    folder: Path
    process: subprocess.Popen
    target: str

    @property
    def stub(self) -> Any:
        return self.api.grpc.CustomerHealthServiceStub(self.channel)

    def component(self, text: str, **arguments: Any) -> Any:
        return self.api.component.ComponentSource(text=text, base_dir=str(self.folder), **arguments)

    def write(self, name: str, table: pa.Table) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path


@pytest.fixture(scope="session")
def running(program: str, api: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("service")
    named = root / "components"
    named.mkdir()
    (named / "nightly.yaml").write_text("inputs: {customer: ../customers.parquet}\noutput: ../nightly.parquet\n")
    pq.write_table(customers(), root / "customers.parquet")
    command = [program, "serve", "--listen", "127.0.0.1:0", "--allow", str(root), "--components", str(named)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    assert "listening on" in line, line
    target = line.strip().rpartition("//")[2]
    with grpc.insecure_channel(target) as channel:
        yield Service(api, channel, root, process, target)
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture
def service(running: Service, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Service:
    """The service with a folder for this test alone."""
    folder = running.folder / request.node.name.replace("[", "-").replace("]", "")
    folder.mkdir()
    made = Service(running.api, running.channel, folder, running.process, running.target)
    made.write("customers.parquet", customers())
    return made


def customers(count: int = 10) -> pa.Table:
    """Customers that get better with their number."""
    share = [number / (count - 1) for number in range(count)]
    return pa.table(
        {
            "customer_id": [f"c{number}" for number in range(count)],
            "last_login_days": [round(30 - 30 * part) for part in share],
            "login_frequency": [round(30 * part) for part in share],
        }
    )
