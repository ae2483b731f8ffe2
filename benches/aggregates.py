#!/usr/bin/env python3
"""Peak memory of each aggregate that users' SQL may call, over a million customers with three rows each, shuffled.

    pip install pyarrow numpy
    benches/aggregates.py --binary target/released/customer-health

One run of the program for each aggregate and limit, one after the other. The peak is the operating system's (wait4) and has all
of the process in it, of which some 100 MiB are the program itself, the pages being read and the table being written. The table
goes to stdout; a run that ends with RESOURCE_EXHAUSTED says so in place of a number.
"""
import argparse
import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path

# What is written, and the names that mean the same or keep the same.
AGGREGATES = {
    "count(*)": "count",
    "max(x)": "min, sum, avg, mean",
    "bit_or(i)": "bit_and, bit_xor",
    "CASE WHEN bool_or(x > 1) THEN 1 END": "bool_and",
    "stddev(x)": "stddev_pop, stddev_samp, var, var_pop, var_population, var_samp, var_sample",
    "covar(x, y)": "covar_pop, covar_samp",
    "corr(x, y)": "",
    "regr_slope(x, y)": "every regr_*",
    "length(max(t))": "min, of text",
    "last_value(x ORDER BY y, x)": "first_value; aggregate: last",
    "length(last_value(t ORDER BY y, t))": "first_value, of text",
    "median(x)": "",
    "percentile_cont(0.9) WITHIN GROUP (ORDER BY x)": "quantile_cont",
    "count(DISTINCT i)": "alone, or beside sum, min and max",
    "count(DISTINCT t)": "text",
    "count(DISTINCT t) + avg(x)": "beside others",
    "count(DISTINCT t) + count(DISTINCT i)": "several",
    "median(DISTINCT x)": "sum, avg and whatever else of DISTINCT values",
}

CARD = """name: bench
analysis_period_days: 30
min_health_score: 0
max_health_score: 100
churn_risk_threshold: 40
expansion_opportunity_threshold: 75
components:
  c: {input: customer, weight: 1, indicators: {x: {weight: 1, scale: {range: [0, 100]}}}}
"""


def generate(folder, customers, rows):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    numbers = rng.permutation(np.repeat(np.arange(customers), rows))
    n = len(numbers)
    i = rng.integers(0, 1000, n)
    table = pa.table({
        "customer_id": pa.array(np.char.add("customer-", numbers.astype(str))),
        "x": rng.random(n), "y": rng.random(n), "i": i,
        "t": pa.array(np.char.add("feature-", i.astype(str))),
    })
    pq.write_table(table, folder / "rows.parquet", row_group_size=100_000)


def peak(binary, folder, sql, limit):
    """Peak memory in MiB, or what the run ended with."""
    component = folder / "component.yaml"
    component.write_text(
        "scorecard: card.yaml\noutput: out.parquet\n"
        f"inputs: {{customer: {{path: rows.parquet, fields: {{x: \"{sql}\"}}}}}}\n"
    )
    command = [binary, "materialize", str(component), "--quiet", *(["--memory-limit", limit] if limit else [])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        told = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 8:
        return "RESOURCE_EXHAUSTED"
    if process.returncode != 0:
        raise SystemExit(f"{sql}: {told}")
    return str(usage.ru_maxrss // 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=3, help="of each customer")
    parser.add_argument("--limit", default="256MiB")
    arguments = parser.parse_args()
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "card.yaml").write_text(CARD)
        # In a process of its own: what this one has in memory would count for those that it starts.
        maker = multiprocessing.Process(target=generate, args=(folder, arguments.customers, arguments.rows))
        maker.start()
        maker.join()
        print(f"| aggregate | as much | MiB | with `--memory-limit {arguments.limit}` |\n|---|---|---|---|", flush=True)
        for sql, others in AGGREGATES.items():
            numbers = [peak(binary, folder, sql, limit) for limit in (None, arguments.limit)]
            print(f"| `{sql}` | {others} | {' | '.join(numbers)} |", flush=True)


if __name__ == "__main__":
    main()
