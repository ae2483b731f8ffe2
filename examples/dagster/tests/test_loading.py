"""A service that is down, slow or stuck holds up no code location; runs and steps do not ask it what loading asked."""

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import dagster as dg
import grpc
import pytest
from conftest import TYPE, customers, failure, write
from test_example import dg as run_dg, example  # noqa: F401

from dagster_customer_health import HealthScoreServiceResource, ServiceError, loading


@pytest.fixture
def silent() -> Iterator[tuple[str, list]]:
    """A port that takes connections and says nothing."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", taken
    for connection in taken:
        connection.close()


@pytest.fixture
def stuck() -> Iterator[tuple[str, list[str]]]:
    """A service that says it serves, and answers nothing else."""
    calls: list[str] = []
    done = threading.Event()

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            calls.append(details.method.rpartition("/")[2])
            if details.method.endswith("/Check"):
                return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
            return grpc.unary_unary_rpc_method_handler(lambda request, context: done.wait(60) and b"")

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", calls
    done.set()
    server.stop(None)


def ask(target: str | None = None, **settings) -> float:
    """Seconds until loading knows that there is no answer."""
    started = time.monotonic()
    question = lambda client: client.scorecards()  # noqa: E731
    assert loading.ask(HealthScoreServiceResource(target=target, **settings), [], "defs.yaml", question) is None
    return time.monotonic() - started


def test_one_that_does_not_answer_is_given_up_within_two_seconds(silent):
    assert ask(silent[0]) < 2.5
    assert ask(silent[0]) < 0.1
    assert len(silent[1]) == 1


def test_one_that_is_stuck_behind_its_health_is_given_up_as_well(stuck):
    assert ask(stuck[0]) < 2.5
    assert ask(stuck[0]) < 0.1
    assert stuck[1] == ["Check", "ListScorecards"]


def test_one_that_is_down_is_not_waited_for_at_all():
    assert ask("127.0.0.1:1") < 0.5


def test_several_that_do_not_answer_share_the_two_seconds(silent, stuck):
    assert ask(silent[0]) + ask(stuck[0]) < 3.2


def test_a_program_that_neither_starts_nor_ends(tmp_path):
    program = tmp_path / "customer-health"
    program.write_text("#!/bin/sh\ntrap '' TERM\nsleep 600 & echo $! >> " + str(tmp_path / "started") + "\nwait; wait\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert ask(binary=str(program)) < 3
    assert ask(binary=str(program)) < 0.1
    (child,) = (tmp_path / "started").read_text().split()
    os.kill(int(child), 9)


def test_a_fast_service_is_asked_for_each_component(serve):
    _, address = serve()
    resource = HealthScoreServiceResource(target=address)
    for _ in range(3):
        assert loading.ask(resource, [], "defs.yaml", lambda client: client.scorecards()).scorecards


def test_three_components_of_a_silent_service_load(project, silent, caplog):
    document = f"type: {TYPE}\nattributes: {{asset_name: NAME, customer_data_asset_key: customers, data_dir: data, " + (
        f"service: {{target: '{silent[0]}'}}}}\n"
    )
    project.text("---\n".join(document.replace("NAME", name) for name in ("one", "two", "three")))
    started = time.monotonic()
    with project.load() as defs:
        assert time.monotonic() - started < 8  # with all that Dagster does
        assert len([key for key in defs.resolve_asset_graph().executable_asset_keys]) == 3
    told = [record.getMessage() for record in caplog.records if "was not validated" in record.getMessage()]
    assert len(told) == 3 and len(silent[1]) == 1


def test_what_a_service_says_about_itself_keeps_nothing_from_loading(project, recorder_that_refuses, caplog):
    """A token that is no longer good is a fault of one asset, and of none beside it."""
    project.attributes(customer_data_asset_key="customers", service={"target": recorder_that_refuses})
    with project.load():
        assert "was not validated" in caplog.text and "who are you" in caplog.text


@pytest.fixture
def recorder_that_refuses() -> Iterator[str]:
    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            refuse = lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")  # noqa: E731
            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_runs_and_steps_do_not_validate_again(example, program, monkeypatch, tmp_path):  # noqa: F811
    """The program is started to validate the one component, and to score; no step process of another asset starts it."""
    wrapper, log = tmp_path / "customer-health", tmp_path / "starts"
    wrapper.write_text(f'#!/bin/sh\necho start >> {log}\nexec {program} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CUSTOMER_HEALTH_BIN", str(wrapper))
    resources = example / "src/health_project/defs/resources.py"
    resources.write_text(resources.read_text().replace("dg.in_process_executor", "dg.multiprocess_executor"))
    answer = run_dg(example, "launch", "--assets", "+customer_health_scores,customer_health_scores_churn_risk")
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    assert log.read_text().count("start") == 2
    with dg.DagsterInstance.from_config(str(example.parent / "home")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("customer_health_scores")).asset_materialization
    # what loading was told reached the step
    assert event.tags["dagster/code_version"] == event.metadata["config_hash"].value


def test_a_missing_program_is_not_tried_again(project, monkeypatch, tmp_path):
    write(customers(), project.data / "customers.parquet")
    monkeypatch.delenv("CUSTOMER_HEALTH_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = project.attributes(
        customer_data_asset_key="customers", retry_policy_max_retries=3, retry_policy_delay_seconds=0.1
    ).materialize()
    assert failure(result).startswith("NOT_STARTED: cannot find the program")
    assert not any(event.is_step_up_for_retry for event in result.all_events)


def test_a_program_that_ends_at_once_is_not_tried_again_and_one_that_is_killed_is(tmp_path):
    def program(text: str) -> str:
        path = tmp_path / "customer-health"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    for text, retryable in (("exit 2", False), ("kill -9 $$", True)):
        with pytest.raises(ServiceError) as caught, HealthScoreServiceResource(binary=program(text)).connect():
            pass
        assert caught.value.retryable is retryable, str(caught.value)


