"""The committed stubs are those of the contract, and run on the protobuf versions that Dagster allows."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import google.protobuf
import pytest

PACKAGE = Path(__file__).resolve().parents[1]

IMPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import google.protobuf
from _proto import customer_health_pb2_grpc, run_pb2
request = run_pb2.MaterializeRequest(output="scores.parquet")
assert run_pb2.MaterializeRequest.FromString(request.SerializeToString()) == request
print(google.protobuf.__version__)
"""


@pytest.fixture(scope="module")
def tools() -> str:
    """A Python with grpcio-tools 1.67.1, which needs a protobuf of its own: that of $GRPC_TOOLS_PYTHON, or this one."""
    named = os.environ.get("GRPC_TOOLS_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("grpc_tools"):
        return sys.executable
    pytest.skip("no grpcio-tools here: name a Python that has it in GRPC_TOOLS_PYTHON")


def test_the_stubs_are_those_of_the_contract(tools):
    answer = subprocess.run([tools, str(PACKAGE / "regenerate.py"), "--check"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def run(python: str) -> str:
    stubs = PACKAGE / "src" / "dagster_customer_health"
    answer = subprocess.run([python, "-W", "error::UserWarning", "-c", IMPORT, str(stubs)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_they_run_on_protobuf_5(tools):
    assert run(tools).startswith("5.")


def test_they_run_on_the_protobuf_that_is_installed():
    assert run(sys.executable) == google.protobuf.__version__
    assert int(google.protobuf.__version__.split(".")[0]) < 7
