"""The local program reads and writes object stores, and folders that are yet to be made."""

import io
import os
from pathlib import Path

import boto3
import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, metadata, spec, write
from moto.server import ThreadedMotoServer

from dagster_customer_health import HealthScoreServiceResource, access, source
from dagster_customer_health._proto import component_pb2, run_pb2


def source_of(folder: Path, **variables: str) -> source.Source:
    return source.Source("", "defs.yaml", str(folder), variables)


def test_what_the_program_may_use(tmp_path):
    (tmp_path / "lake/events").mkdir(parents=True)
    (tmp_path / "one.parquet").touch()
    found = access.allowed(
        [
            "lake/events/*.parquet",
            "one.parquet",
            "not/there/yet/x.parquet",
            "s3://bucket/crm/x.parquet",
            "s3://bucket/crm/",
            "s3://bucket/v1.0",
            "gs://bucket/a/*/b.parquet",
            "{{ env.STORE }}/y",
            "{{ broken",
            (tmp_path / "lake").as_uri(),
            "/etc",
            "/there-is-no-such-folder/x",
        ],
        source_of(tmp_path, STORE="az://container"),
    )
    assert found == [
        str(tmp_path / "lake/events"),
        str(tmp_path),
        "s3://bucket/crm",
        "s3://bucket/v1.0",
        "gs://bucket/a",
        "az://container/y",
        str(tmp_path / "lake"),
        "/etc",
    ]


@pytest.mark.parametrize(
    ("given", "told"), [("s3://bucket/x", "s3://bucket/x"), ("{tmp}/a/b", "{tmp}"), ("{tmp}/with space", "{tmp}"), ("/", "/"), ("/no-such/x", None)]
)
def test_what_the_program_is_told(tmp_path, given, told):
    assert access.argument(given.format(tmp=tmp_path)) == (told and told.format(tmp=tmp_path.resolve()))


def test_folders_for_tables_are_made(tmp_path):
    access.make(["a/b", "c/d.parquet", "s3://bucket/x", (tmp_path / "with space").as_uri()], source_of(tmp_path))
    assert {path.name for path in tmp_path.rglob("*") if path.is_dir()} == {"a", "b", "c", "with space"}


@pytest.mark.parametrize("attribute", ["data_dir", "output", "inputs", "fan_out", "history", "allow"])
def test_a_folder_that_is_not_there_yet(project, tmp_path_factory, attribute):
    """Outside of the project, where nothing else allows it."""
    away = tmp_path_factory.mktemp("away") / "new/folder"
    write(customers(), project.data / "customers.parquet")
    given = {"customer_data_asset_key": "customers"}
    if attribute == "data_dir":
        given["data_dir"] = str(away)
    elif attribute == "output":
        given["output"] = str(away / "scores.parquet")
    elif attribute == "inputs":
        given["inputs"] = {"customer": str(away / "customers.parquet")}
    elif attribute == "fan_out":
        given["fan_out"] = {"churn_risk": str(away / "risk.parquet")}
    elif attribute == "history":
        given |= {"history": str(away / "before.parquet"), "calculate_trend": True}
    else:
        given["service"] = {"allow": [str(away)]}
    project.attributes(**given)
    with project.load() as defs:
        assert spec(defs, "customer_health_scores").code_version  # it was validated
    if attribute in ("data_dir", "inputs"):
        write(customers(), away / "customers.parquet")
    result = project.materialize()
    assert result.success, failure(result)
    assert metadata(result)["dagster/row_count"] == 20
    if attribute == "output":
        assert (away / "scores.parquet").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may make any folder")
def test_a_folder_that_cannot_be_made(project, tmp_path):
    write(customers(), project.data / "customers.parquet")
    tmp_path.chmod(0o500)
    project.attributes(customer_data_asset_key="customers", output=str(tmp_path / "new/scores.parquet"))
    assert "cannot make the folder" in failure(project.materialize())


@pytest.fixture(scope="module")
def store():
    """A store that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(store, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT": store,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    resource = boto3.resource("s3", endpoint_url=store, region_name="us-east-1")
    made = resource.create_bucket(Bucket="health")
    yield made
    made.objects.all().delete()
    made.delete()


def put(bucket, key: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    bucket.put_object(Key=key, Body=buffer.getvalue())


def get(bucket, key: str) -> pa.Table:
    return pq.read_table(io.BytesIO(bucket.Object(key).get()["Body"].read()))


def test_tables_in_an_object_store(project, bucket):
    project.attributes(
        data_dir="s3://health/lake/", customer_data_asset_key="crm/customers", fan_out={"churn_risk": True}, calculate_trend=True
    )
    with project.load() as defs:
        assert spec(defs, "customer_health_scores").code_version
    assert "NOT_FOUND" in failure(project.materialize())
    put(bucket, "lake/crm/customers.parquet", customers())
    for earlier in (None, 1):
        result = project.materialize()
        assert result.success, failure(result)
        assert metadata(result)["dagster/uri"] == "s3://health/lake/customer_health_scores.parquet"
        scores = get(bucket, "lake/customer_health_scores.parquet")
        assert scores.num_rows == 20 and scores["previous_health_score"].null_count == (20 if earlier is None else 0)
    assert get(bucket, "lake/customer_health_scores_churn_risk.parquet").num_rows > 0


def test_partitions_in_an_object_store(project, bucket):
    day = dg.DailyPartitionsDefinition("2025-01-01")

    @dg.asset(partitions_def=day)
    def customers_by_day(context):
        put(bucket, f"lake/customers_by_day/{context.partition_key}.parquet", customers(int(context.partition_key[-2:])))

    project.attributes(
        data_dir="s3://health/lake", customer_data_asset_key="customers_by_day", partition_type="daily", partition_start="2025-01-01"
    )
    for key, rows in (("2025-01-03", 3), ("2025-01-02", 2)):
        result = project.materialize(customers_by_day, partition_key=key)
        assert result.success, failure(result)
        assert get(bucket, f"lake/customer_health_scores/{key}.parquet").num_rows == rows


def test_output_and_inputs_in_an_object_store(project, bucket):
    put(bucket, "in/a.parquet", customers(3))
    put(bucket, "in/b.parquet", customers(5).slice(3))
    project.attributes(data_dir=None, inputs={"customer": "s3://health/in/*.parquet"}, output="s3://health/out/scores.parquet")
    result = project.materialize()
    assert result.success, failure(result)
    assert get(bucket, "out/scores.parquet").num_rows == 5


def test_a_prefix_that_is_allowed_by_hand(bucket, tmp_path):
    with HealthScoreServiceResource(allow=["s3://health/lake"]).connect() as client:
        put(bucket, "lake/customers.parquet", customers(4))

        def run(output: str):
            text = f"inputs: {{customer: s3://health/lake/customers.parquet}}\noutput: {output}\n"
            given = component_pb2.ComponentSource(text=text, base_dir=str(tmp_path))
            return client.materialize_sync(run_pb2.MaterializeSyncRequest(component=given))

        assert run("s3://health/lake/scores.parquet").customers == 4
        with pytest.raises(Exception, match="s3://health/elsewhere"):
            run("s3://health/elsewhere/scores.parquet")
