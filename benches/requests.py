#!/usr/bin/env python3
"""What a request costs on a warm server: 1,000 customers, 1, 8 and 64 clients; p50 and p99 latency, requests per second.

    pip install grpcio "protobuf>=5,<7" pyarrow numpy
    benches/requests.py --binary target/released/customer-health

Every client is a thread of this process that makes one MaterializeSync call after the other, each client to an output of its
own. The client's own work is part of the figures.
"""
import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "examples/dagster/src/dagster_customer_health"), str(ROOT / "benches")]

import grpc  # noqa: E402
from compare import generate, peak, serve  # noqa: E402
from _proto import component_pb2, customer_health_pb2_grpc, run_pb2  # noqa: E402


def client(address, text, base, number, calls, seconds, failures):
    service = customer_health_pb2_grpc.CustomerHealthServiceStub(grpc.insecure_channel(address))
    component = component_pb2.ComponentSource(text=text, base_dir=base)
    request = run_pb2.MaterializeSyncRequest(component=component, output=f"out-{number}.parquet")
    for _ in range(calls):
        start = time.perf_counter()
        try:
            answer = service.MaterializeSync(request, timeout=120)
            if answer.customers != 1000:
                failures.append(f"{answer.customers} customers")
        except grpc.RpcError as error:
            failures.append(f"{error.code()}: {error.details()}")
        seconds.append(time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--calls", type=int, default=640, help="calls for each number of clients")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "1000"
        folder.mkdir()
        generate(folder, 1000, False)
        text = (folder / "component.yaml").read_text()
        server, uri = serve(args.binary, folder, None)
        address = uri.removeprefix("http://")
        failures = []
        client(address, text, str(folder), 0, 20, [], failures)  # warms it
        print("| clients | requests/s | p50 ms | p99 ms |\n|---|---|---|---|")
        for clients in (1, 8, 64):
            seconds, threads = [], []
            start = time.perf_counter()
            for number in range(clients):
                each = (address, text, str(folder), number, args.calls // clients, seconds, failures)
                threads.append(threading.Thread(target=client, args=each))
                threads[-1].start()
            for thread in threads:
                thread.join()
            took, ordered = time.perf_counter() - start, sorted(seconds)
            at = lambda share: 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
            print(f"| {clients} | {len(ordered) / took:.0f} | {at(0.5):.1f} | {at(0.99):.1f} |")
        print(f"\npeak memory of the server: {peak(server):.0f} MiB")
        server.terminate()
        for failure in failures[:5]:
            print("failed:", failure)
        sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
