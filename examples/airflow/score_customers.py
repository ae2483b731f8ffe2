"""An Airflow DAG that scores all customers every night, through the customer-health service. From the top of the repository:

    customer-health serve &
    cd examples/airflow
    pip install apache-airflow grpcio grpcio-tools
    python -m grpc_tools.protoc -I ../../proto --python_out=. --grpc_python_out=. ../../proto/customer_health/v1/*.proto
    export AIRFLOW__CORE__DAGS_FOLDER=$PWD CUSTOMER_HEALTH_COMPONENT=$(realpath ../../component.yaml)
    airflow db migrate
    airflow dags test customer_health

The fourth line makes the client, the package `customer_health`, in the folder of the DAGs: no script there may have that name.
CUSTOMER_HEALTH_TARGET names a service that runs elsewhere (`customer-health serve --allow /data/crm`).
"""

import os
from datetime import datetime, timedelta

import grpc
from customer_health.v1 import component_pb2, customer_health_pb2_grpc, run_pb2

try:
    from airflow.sdk import dag, get_current_context, task  # Airflow 3
except ImportError:
    from airflow.decorators import dag, task
    from airflow.operators.python import get_current_context

COMPONENT = os.environ.get("CUSTOMER_HEALTH_COMPONENT", "/data/crm/component.yaml")
TARGET = os.environ.get("CUSTOMER_HEALTH_TARGET", "127.0.0.1:50051")


@dag(schedule="@daily", start_date=datetime(2025, 1, 1), catchup=False, tags=["customer-success"])
def customer_health():
    @task(retries=2, retry_delay=timedelta(seconds=15))
    def score() -> dict:
        """Scores the customers as of the end of the interval; the result's facts go to XCom."""
        context = get_current_context()
        with open(COMPONENT) as file:
            source = component_pb2.ComponentSource(text=file.read(), base_dir=os.path.dirname(os.path.abspath(COMPONENT)))
        request = run_pb2.MaterializeSyncRequest(
            component=source,
            run_id=f"{context['run_id']}/{context['ti'].try_number}",  # a second call with the id does not run it twice
            tags={"dag_id": context["dag"].dag_id},
            run_checks=True,
        )
        if context.get("data_interval_end"):
            request.as_of.FromDatetime(context["data_interval_end"])
        with grpc.insecure_channel(TARGET) as channel:
            answer = customer_health_pb2_grpc.CustomerHealthServiceStub(channel).MaterializeSync(request, timeout=3600)
        return {
            "table": answer.output_path,
            "customers": answer.customers,
            "average_score": answer.mean_score,
            "categories": {category.name: category.customers for category in answer.categories},
            "churn_risks": answer.churn_risks,
            "data_version": answer.data_version,
            "failed_checks": [check.name for check in answer.checks if not check.passed],
        }

    score()


customer_health()
