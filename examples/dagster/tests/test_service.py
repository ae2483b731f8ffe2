"""The resource: a service elsewhere or one of its own; what goes wrong fails the step and leaves the table as it was."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent import futures
from pathlib import Path

import dagster as dg
import grpc
import pyarrow as pa
import pytest
from conftest import assets, customers, failure, materializations, slow, until, write

from dagster_customer_health import HealthScoreServiceResource, ServiceError
from dagster_customer_health._proto import component_pb2


def children_of(process: int) -> list[tuple[int, str]]:
    """What a process has started: ids and command lines."""
    lines = subprocess.run(["ps", "-ww", "--ppid", str(process), "-o", "pid=,args="], capture_output=True, text=True).stdout
    return [(int(line.split()[0]), line) for line in lines.splitlines()]


def children() -> list[str]:
    """Services that this process has started."""
    return [line for _, line in children_of(os.getpid()) if "customer-health" in line and " serve " in line]


def test_a_local_service_is_started_and_stopped(tmp_path):
    with HealthScoreServiceResource().connect([str(tmp_path)]) as client:
        assert len(children()) == 1
        assert "default" in [card.name for card in client.scorecards().scorecards]
    assert not children()


PARENT = """
import subprocess, sys, time
from dagster_customer_health import HealthScoreServiceResource

with HealthScoreServiceResource().connect() as client:
    client.scorecards()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    time.sleep(600)
"""


def test_a_local_service_ends_with_a_parent_that_is_killed():
    """A worker that runs out of memory stops nothing behind it; not even its other children keep the service alive."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    other = int(parent.stdout.readline())
    try:
        (service,) = [pid for pid, line in children_of(parent.pid) if " serve " in line]
        parent.kill()
        parent.wait()
        assert until(lambda: not runs(service), 20), "it serves on"
    finally:
        os.kill(other, signal.SIGKILL)


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to look does not."""
    line = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(line) and not line.startswith("Z")


def test_a_local_service_may_use_the_folders_it_was_given(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        write(customers(), folder / "customers.parquet")
    with HealthScoreServiceResource().connect([str(inside)]) as client:
        source = component_pb2.ComponentSource(text="inputs: {customer: customers.parquet}", base_dir=str(inside))
        assert client.validate(source).inputs_checked
        source.base_dir = str(outside)
        with pytest.raises(ServiceError) as caught:
            client.describe(source)
        assert (caught.value.reason, caught.value.code) == ("DENIED", "PERMISSION_DENIED")
        assert not caught.value.retryable


def test_a_program_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.delenv("CUSTOMER_HEALTH_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match="put customer-health into the PATH"), HealthScoreServiceResource().connect():
        pass


def test_a_program_that_fails_says_why(tmp_path):
    with pytest.raises(ServiceError, match="memory-limit"), HealthScoreServiceResource(memory_limit="much").connect():
        pass


def test_a_component_is_not_validated_where_no_service_answers(project, caplog):
    project.attributes(customer_data_asset_key="customers", service={"target": "127.0.0.1:1", "ready_timeout_seconds": 0.3})
    with project.load():
        assert "was not validated: no service at 127.0.0.1:1" in caplog.text
    result = project.materialize()
    assert "UNAVAILABLE: no service at 127.0.0.1:1" in failure(result)


def test_a_service_elsewhere_is_waited_for(project, serve):
    """The port is there before the service is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    timer = threading.Timer(1.5, lambda: serve("--allow", str(project.root), listen=address))
    timer.start()
    with HealthScoreServiceResource(target=address).connect() as client:
        assert client.scorecards().scorecards
    timer.join()
    assert not [line for line in children() if address not in line]


def test_the_definitions_resource_is_used(project, serve):
    write(customers(), project.data / "customers.parquet")
    _, address = serve("--allow", str(project.root))
    os.environ["HEALTH_TEST_TARGET"] = address
    resource = HealthScoreServiceResource(target=dg.EnvVar("HEALTH_TEST_TARGET"), timeout_seconds=60)
    (project.folder.parent / "resources.py").write_text(
        "import dagster as dg\nfrom dagster_customer_health import HealthScoreServiceResource\n\n\n"
        "@dg.definitions\ndef resources():\n"
        "    return dg.Definitions(resources={'scores': HealthScoreServiceResource(target=dg.EnvVar('HEALTH_TEST_TARGET'))})\n"
    )
    assert resource.process_config_and_initialize().target == address
    result = project.attributes(customer_data_asset_key="customers", resource_key="scores").materialize()
    assert result.success, failure(result)


class _Recorder(grpc.GenericRpcHandler):
    """Serves, and keeps the headers of the calls."""

    def __init__(self):
        self.calls = []

    def service(self, details):
        self.calls.append((details.method, dict(details.invocation_metadata)))
        if details.method.endswith("/Check"):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


@pytest.fixture
def recorder():
    server, recorder = grpc.server(futures.ThreadPoolExecutor(2)), _Recorder()
    server.add_generic_rpc_handlers([recorder])
    recorder.server = server
    yield recorder
    server.stop(None)


def test_token_and_metadata_go_with_each_call(recorder):
    port = recorder.server.add_insecure_port("127.0.0.1:0")
    recorder.server.start()
    resource = HealthScoreServiceResource(target=f"127.0.0.1:{port}", token="secret", metadata={"X-Team": "success"})
    with resource.connect() as client:
        client.scorecards()
    assert [method.rpartition("/")[2] for method, _ in recorder.calls] == ["Check", "ListScorecards"]
    for _, headers in recorder.calls:
        assert (headers["authorization"], headers["x-team"]) == ("Bearer secret", "success")


def test_a_token_is_not_sent_in_the_clear():
    with pytest.raises(ServiceError, match="without encryption"):
        with HealthScoreServiceResource(target="scores.example:50051", token="secret").connect():
            pass


def test_tls_with_certificates_on_both_sides(recorder, tmp_path):
    def make(name: str, *more: str) -> tuple[str, str]:
        key, cert = str(tmp_path / f"{name}.key"), str(tmp_path / f"{name}.pem")
        subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, *subject, *more],
            check=True,
            capture_output=True,
        )
        return key, cert

    server_key, server_cert = make("server")
    client_key, client_cert = make("client")
    read = lambda path: Path(path).read_bytes()  # noqa: E731
    credentials = grpc.ssl_server_credentials([(read(server_key), read(server_cert))], read(client_cert), True)
    port = recorder.server.add_secure_port("127.0.0.1:0", credentials)
    recorder.server.start()
    files = {"ca_file": server_cert, "cert_file": client_cert, "key_file": client_key}
    with HealthScoreServiceResource(target=f"127.0.0.1:{port}", **files).connect() as client:
        client.scorecards()
    with pytest.raises(ServiceError), HealthScoreServiceResource(
        target=f"127.0.0.1:{port}", ca_file=client_cert, ready_timeout_seconds=0.5
    ).connect():
        pass


def test_a_failure_in_the_service_fails_the_step_with_its_message(project, instance):
    path = write(customers(), project.data / "customers.parquet")
    project.attributes(customer_data_asset_key="customers", retry_policy_max_retries=3)
    assert project.materialize().success
    before = (project.data / "customer_health_scores.parquet").read_bytes()
    write(pa.table({"nothing": ["of use"]}), path)
    result = project.materialize(instance=instance)
    told = failure(result)
    assert told.startswith("INVALID_INPUT: ") and "defs.yaml: input `customer`" in told and "hint" in told
    assert not materializations(result)
    assert (project.data / "customer_health_scores.parquet").read_bytes() == before
    (event,) = [event for event in result.all_events if event.is_step_failure]
    assert event.step_failure_data.user_failure_data.metadata["reason"].value == "INVALID_INPUT"
    assert not any(event.is_step_up_for_retry for event in result.all_events)  # it would not help


def test_what_may_pass_is_tried_again(project):
    project.attributes(
        customer_data_asset_key="customers",
        service={"target": "127.0.0.1:1", "ready_timeout_seconds": 0.1},
        retry_policy_max_retries=1,
        retry_policy_delay_seconds=0.1,
    )
    result = project.materialize()
    assert "UNAVAILABLE" in failure(result)
    assert sum(event.is_step_up_for_retry for event in result.all_events) == 1


def test_a_run_that_takes_too_long(project, serve):
    slow(project)
    _, address = serve("--allow", str(project.root))
    result = project.attributes(
        customer_data_asset_key="customers", service={"target": address, "timeout_seconds": 0.5}
    ).materialize()
    assert "Deadline Exceeded" in failure(result) or "DEADLINE" in failure(result) or "CANCELLED" in failure(result)


def in_the_midst(project, action) -> threading.Thread:
    """Does something once the run writes its table beside the old one."""
    there = set(os.listdir(project.data))

    def wait() -> None:
        if until(lambda: set(os.listdir(project.data)) - there, 120):
            action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_the_service_going_down_fails_the_step_and_leaves_the_table(project, serve):
    write(customers(), project.data / "customers.parquet")
    assert project.attributes(customer_data_asset_key="customers").materialize().success
    before = (project.data / "customer_health_scores.parquet").read_bytes()
    slow(project)
    process, address = serve("--allow", str(project.root))
    thread = in_the_midst(project, process.kill)
    result = project.attributes(customer_data_asset_key="customers", service={"target": address}).materialize()
    thread.join()
    assert "UNAVAILABLE" in failure(result)
    assert not materializations(result)
    assert (project.data / "customer_health_scores.parquet").read_bytes() == before


def test_cancelling_the_run_ends_the_work_in_the_service(project, serve, instance):
    write(customers(), project.data / "customers.parquet")
    assert project.attributes(customer_data_asset_key="customers").materialize().success
    before = (project.data / "customer_health_scores.parquet").read_bytes()
    slow(project)
    _, address = serve("--allow", str(project.root), "--max-runs", "1")
    project.attributes(customer_data_asset_key="customers", service={"target": address})
    there = set(os.listdir(project.data))
    with project.load() as defs:
        thread = in_the_midst(project, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(BaseException) as caught:
            dg.materialize(assets(defs), instance=instance)
        thread.join()
    assert caught.type.__name__ in ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
    # the only place for a run is free again, and what was half written is gone
    assert until(lambda: set(os.listdir(project.data)) == there, 20)
    assert (project.data / "customer_health_scores.parquet").read_bytes() == before
    write(customers(), project.data / "customers.parquet")
    assert project.materialize().success
