"""Every call of the contract, from a client that knows nothing but the contract."""

import json

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

TEXT = "inputs: {customer: customers.parquet}\noutput: scores.parquet\n"


def test_materialize_tells_what_it_does_and_then_what_it_made(service):
    request = service.api.run.MaterializeRequest(
        component=service.component(TEXT),
        run_id="materialize-1",
        partition_key="2025-06-30",
        tags={"job": "nightly"},
        run_checks=True,
        preview_rows=2,
        analysis_period_days=60,
        outputs=[service.api.component.OutputOverride(table=service.api.component.TABLE_CHURN_RISK, path="risk.parquet")],
    )
    request.as_of.FromJsonString("2025-06-30T00:00:00Z")
    events = list(service.stub.Materialize(request, timeout=60))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[-1] == "result" and {"progress", "log", "warning"} <= set(kinds)

    report = events[-1].result.report
    assert (report.run_id, report.partition_key, dict(report.tags)) == ("materialize-1", "2025-06-30", {"job": "nightly"})
    assert report.as_of.ToJsonString() == "2025-06-30T00:00:00Z"
    assert report.customers == 10 and len(report.data_version) == len(report.config_hash) == 64
    assert sum(category.customers for category in report.categories) == 10
    assert len(json.loads(report.preview_json)) == 2
    assert "customer_id_unique_not_null" in [check.name for check in report.checks if check.passed]

    scores, risk = events[-1].result.outputs
    table = pq.read_table(service.folder / "scores.parquet")
    assert [column.name for column in scores.columns] == table.column_names
    assert pa.ipc.read_schema(pa.py_buffer(scores.arrow_schema)).names == table.column_names
    assert [entry.column for entry in scores.lineage] == table.column_names
    assert risk.rows == pq.read_table(service.folder / "risk.parquet").num_rows == sum(table["is_churn_risk"].to_pylist())


def test_materialize_sync(service):
    answer = service.stub.MaterializeSync(service.api.run.MaterializeSyncRequest(component=service.component(TEXT)), timeout=60)
    assert (answer.rows, answer.customers) == (10, 10)
    assert answer.output_path == str(service.folder / "scores.parquet")
    assert answer.mean_score == pytest.approx(sum(pq.read_table(answer.output_path)["health_score"].to_pylist()) / 10)


def test_a_component_of_the_servers_own(service):
    source = service.api.component.ComponentSource(name="nightly")
    assert service.stub.MaterializeSync(service.api.run.MaterializeSyncRequest(component=source), timeout=60).rows == 10


def test_inputs_given_with_the_request(service):
    override = service.api.component.InputOverride
    request = service.api.run.MaterializeSyncRequest(
        component=service.component("asset_name: scores"),
        inputs=[override(input=service.api.component.INPUT_CUSTOMER, path="customers.parquet", where="customer_id <> 'c0'")],
        output="elsewhere.parquet",
    )
    answer = service.stub.MaterializeSync(request, timeout=60)
    assert (answer.asset_name, answer.rows) == ("scores", 9)


def test_a_run_id_makes_a_run_once(service):
    request = service.api.run.MaterializeSyncRequest(component=service.component(TEXT), run_id="once")
    first = service.stub.MaterializeSync(request, timeout=60)
    again = service.stub.MaterializeSync(request, timeout=60)
    assert again == first
    request.output = "other.parquet"
    with pytest.raises(grpc.RpcError) as caught:
        service.stub.MaterializeSync(request, timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def parts(service, tables, delivery, text="asset_name: scores", size=1000, **arguments):
    """Start and chunks; the tables' chunks are sent in turns."""
    api = service.api
    start = api.stream.StreamStart(
        request=api.run.MaterializeRequest(component=service.component(text), **arguments),
        inputs=[api.stream.StreamedInput(input=name, format=kind) for name, kind, _ in tables],
        delivery=delivery,
    )
    yield api.stream.MaterializeStreamRequest(start=start)
    at = 0
    while any(at < len(data) for _, _, data in tables):
        for name, _, data in tables:
            if at < len(data):
                chunk = api.stream.InputChunk(input=name, data=data[at : at + size], last=at + size >= len(data))
                yield api.stream.MaterializeStreamRequest(chunk=chunk)
        at += size


def arrow(table: pa.Table, **options) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=3)
    return sink.getvalue().to_pybytes()


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("delivery", ["DELIVERY_PUBLISH", "DELIVERY_STREAM", "DELIVERY_PUBLISH_AND_STREAM"])
def test_materialize_stream(service, delivery):
    api = service.api
    tickets = pa.table({"customer_id": ["c1"], "ticket_count": [2]})
    tables = [
        (api.component.INPUT_CUSTOMER, api.stream.STREAMED_FORMAT_ARROW_STREAM, arrow(customers(), compression="zstd")),
        (api.component.INPUT_SUPPORT, api.stream.STREAMED_FORMAT_PARQUET, parquet(tickets)),
    ]
    chosen = getattr(api.stream, delivery)
    output = {} if delivery == "DELIVERY_STREAM" else {"output": "scores.parquet"}
    events = list(service.stub.MaterializeStream(parts(service, tables, chosen, **output), timeout=60))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[-1] == "result"
    assert {source.input: source.rows_read for source in events[-1].result.report.inputs} == {1: 10, 4: 1}
    published = service.folder / "scores.parquet"
    assert published.is_file() == (delivery != "DELIVERY_STREAM")
    assert ("chunk" in kinds) == (delivery != "DELIVERY_PUBLISH")
    if "chunk" in kinds:
        sent = pa.ipc.open_stream(b"".join(event.chunk.data for event in events if event.HasField("chunk"))).read_all()
        assert sent.num_rows == 10
        if published.is_file():
            assert sent["health_score"].to_pylist() == pq.read_table(published)["health_score"].to_pylist()


def test_a_stream_that_is_no_arrow(service):
    tables = [(service.api.component.INPUT_CUSTOMER, service.api.stream.STREAMED_FORMAT_ARROW_STREAM, b"no arrow" * 100)]
    with pytest.raises(grpc.RpcError) as caught:
        list(service.stub.MaterializeStream(parts(service, tables, 1, output="scores.parquet"), timeout=60))
    assert reason(caught.value) == "INVALID_INPUT"
    assert not (service.folder / "scores.parquet").exists()


def test_a_caller_that_goes_away_in_the_midst_of_sending(service):
    tables = [(service.api.component.INPUT_CUSTOMER, service.api.stream.STREAMED_FORMAT_ARROW_STREAM, arrow(customers()))]

    def first_half():
        whole = list(parts(service, tables, 1, output="scores.parquet", size=100))
        yield from whole[: len(whole) // 2]
        call.cancel()

    call = service.stub.MaterializeStream(first_half(), timeout=60)
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value.code() == grpc.StatusCode.CANCELLED
    assert not (service.folder / "scores.parquet").exists()


def test_validate_tells_all_problems_with_their_places(service):
    text = "inputs: {customer: customers.parquet}\nchurn_treshold: 3\nengagement_weight: -1\n"
    answer = service.stub.ValidateComponent(service.api.inspect.ValidateComponentRequest(component=service.component(text)))
    assert not answer.valid
    assert [(problem.line, problem.column, problem.path) for problem in answer.problems][0] == (2, 1, "churn_treshold")
    assert any(problem.path == "engagement_weight" for problem in answer.problems)
    right = service.stub.ValidateComponent(service.api.inspect.ValidateComponentRequest(component=service.component(TEXT)))
    assert right.valid and right.inputs_checked


def test_variables_come_from_the_caller(service):
    text = "inputs: {customer: '{{ env.HEALTH_TABLE }}'}\n"
    source = service.component(text, variables={"HEALTH_TABLE": "customers.parquet"})
    assert service.stub.ValidateComponent(service.api.inspect.ValidateComponentRequest(component=source)).inputs_checked
    source = service.component(text)
    assert not service.stub.ValidateComponent(service.api.inspect.ValidateComponentRequest(component=source)).valid


def test_describe(service):
    request = service.api.inspect.DescribeComponentRequest(component=service.component(TEXT))
    answer = service.stub.DescribeComponent(request)
    assert [column.name for column in answer.columns][:2] == ["customer_id", "health_score"]
    assert [component.name for component in answer.components][0] == "engagement"
    assert answer.inputs[0].key == "customer_id" and answer.churn_risk_threshold == 40
    assert len(answer.config_hash) == 64 and answer.outputs[0].lineage


def test_explain(service):
    service.stub.MaterializeSync(service.api.run.MaterializeSyncRequest(component=service.component(TEXT)), timeout=60)
    table = pq.read_table(service.folder / "scores.parquet").to_pylist()
    score = {row["customer_id"]: row["health_score"] for row in table}["c7"]
    request = service.api.inspect.ExplainCustomerRequest(component=service.component(TEXT), customer_id="c7")
    answer = service.stub.ExplainCustomer(request, timeout=60)
    assert answer.health_score == pytest.approx(score)
    assert sum(component.contribution for component in answer.components) == pytest.approx(answer.unclipped)


def test_scorecards(service):
    answer = service.stub.ListScorecards(service.api.inspect.ListScorecardsRequest())
    assert answer.scorecards[0].name == "default" and "components:" in answer.scorecards[0].text


def test_health_and_reflection(service):
    health = health_pb2_grpc.HealthStub(service.channel)
    name = "customer_health.v1.CustomerHealthService"
    for asked in ("", name):
        assert health.Check(health_pb2.HealthCheckRequest(service=asked)).status == health_pb2.HealthCheckResponse.SERVING
    # the messages of v1 are those of v1alpha, which is all that the Python package has
    reflect = service.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = next(reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
    assert name in [listed.name for listed in answer.list_services_response.service]


def reason(error: grpc.RpcError) -> str:
    return dict(error.trailing_metadata()).get("customer-health-reason", "")


FAILURES = {
    "INVALID_COMPONENT": ("inputs: {customer: customers.parquet}\nscorecard: defalt\n", grpc.StatusCode.INVALID_ARGUMENT),
    "NOT_FOUND": ("inputs: {customer: nothing.parquet}\n", grpc.StatusCode.NOT_FOUND),
    "DENIED": ("inputs: {customer: /etc/passwd}\n", grpc.StatusCode.PERMISSION_DENIED),
    "INVALID_INPUT": ("inputs: {customer: wrong.parquet}\n", grpc.StatusCode.FAILED_PRECONDITION),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_errors_have_a_reason_and_details(service, kind):
    text, code = FAILURES[kind]
    service.write("wrong.parquet", pa.table({"nothing": [1]}))
    request = service.api.run.MaterializeSyncRequest(component=service.component(text), output="scores.parquet")
    with pytest.raises(grpc.RpcError) as caught:
        service.stub.MaterializeSync(request, timeout=60)
    assert (caught.value.code(), reason(caught.value)) == (code, kind)
    details = {detail.TypeName(): detail for detail in rpc_status.from_call(caught.value).details}
    info = error_details_pb2.ErrorInfo()
    assert details["google.rpc.ErrorInfo"].Unpack(info)
    assert (info.reason, info.domain) == (kind, "customer-health")
    if kind == "INVALID_COMPONENT":
        request = error_details_pb2.BadRequest()
        assert details["google.rpc.BadRequest"].Unpack(request)
        assert request.field_violations[0].field == "scorecard"
        assert request.field_violations[0].description.startswith("component.yaml:2:12: ")
    assert not (service.folder / "scores.parquet").exists()


def test_a_deadline_that_passes(service):
    rows = 300_000
    table = {"customer_id": [str(number) for number in range(rows)], "login_frequency": list(range(rows))}
    service.write("customers.parquet", pa.table(table))
    request = service.api.run.MaterializeRequest(component=service.component(TEXT))
    with pytest.raises(grpc.RpcError) as caught:
        list(service.stub.Materialize(request, timeout=0.2))
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert not (service.folder / "scores.parquet").exists()
