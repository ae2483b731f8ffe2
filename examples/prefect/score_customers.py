"""A Prefect flow that scores all customers through the customer-health service. From the top of the repository:

    customer-health serve &
    cd examples/prefect
    pip install prefect grpcio grpcio-tools
    python -m grpc_tools.protoc -I ../../proto --python_out=. --grpc_python_out=. ../../proto/customer_health/v1/*.proto
    python score_customers.py ../../component.yaml

The fourth line makes the client, the package `customer_health`: no script beside it may have that name.
"""

import os
import sys

import grpc
from customer_health.v1 import component_pb2, customer_health_pb2_grpc, run_pb2
from prefect import flow, get_run_logger, task
from prefect.runtime import task_run

TARGET = os.environ.get("CUSTOMER_HEALTH_TARGET", "127.0.0.1:50051")


def may_pass(task, run, state) -> bool:
    """Whether trying again may help: the service is away or full, or another run writes the same table."""
    error = state.result(raise_on_failure=False)
    passing = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
    return isinstance(error, grpc.RpcError) and error.code() in passing


@task(retries=2, retry_delay_seconds=15, retry_condition_fn=may_pass)
def score(path: str) -> dict:
    """Scores the customers and returns the result's facts."""
    with open(path) as file:
        source = component_pb2.ComponentSource(text=file.read(), base_dir=os.path.dirname(os.path.abspath(path)))
    request = run_pb2.MaterializeSyncRequest(component=source, run_id=str(task_run.id or ""), run_checks=True)
    with grpc.insecure_channel(TARGET) as channel:
        answer = customer_health_pb2_grpc.CustomerHealthServiceStub(channel).MaterializeSync(request, timeout=3600)
    for warning in answer.warnings:
        get_run_logger().warning(warning)
    return {
        "table": answer.output_path,
        "customers": answer.customers,
        "average_score": answer.mean_score,
        "categories": {category.name: category.customers for category in answer.categories},
        "churn_risks": answer.churn_risks,
        "data_version": answer.data_version,
        "failed_checks": [check.name for check in answer.checks if not check.passed],
    }


@flow(name="customer-health")
def customer_health(path: str = "component.yaml") -> dict:
    result = score(path)
    get_run_logger().info("%s customers in %s", result["customers"], result["table"])
    return result


if __name__ == "__main__":
    print(customer_health(*sys.argv[1:]))
