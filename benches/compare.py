#!/usr/bin/env python3
"""The same scores by this program, DuckDB and Polars: equal to 1e-9, then timed side by side as whole processes.

    pip install duckdb polars pyarrow numpy
    benches/compare.py --binary target/released/customer-health 100000 1000000
    benches/compare.py --binary ... --events 1000000         # several rows per customer
    benches/compare.py --binary ... --memory 1GiB 10000000   # every engine under its own limit

Runs are interleaved (A B C, A B C, ...), so that a machine that slows down slows all of them. Wall and peak memory are the
operating system's (wait4); for the warm server the peak is the server's own. A table of medians and ratios goes to stdout.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# component -> input file, and for each field: weight, worst, best, how a customer's rows become one value.
# "min" and "max" stand for the smallest and largest value of all customers.
JOB = {
    "engagement": ("customers", {
        "last_login_days": (0.4, "max", "min", "max"),
        "login_frequency": (0.3, "min", "max", "max"),
        "feature_adoption_rate": (0.3, "min", "max", "max"),
        "active_days": (0.3, "min", "max", "max"),
        "email_open_rate": (0.2, "min", "max", "max"),
    }),
    "product_usage": ("usage", {
        "daily_active_days": (0.3, "min", "max", "sum"),
        "feature_usage_count": (0.3, "min", "max", "sum"),
        "core_feature_usage": (0.4, "min", "max", "sum"),
        "session_count": (0.2, "min", "max", "sum"),
        "session_duration_avg": (0.2, "min", "max", "avg"),
    }),
    "payment_health": ("subscriptions", {
        "status": (0.4, None, None, "max"),
        "payment_failures": (0.2, 5, 0, "sum"),
        "days_subscribed": (0.3, 0, 365, "max"),
        "mrr": (0.1, "min", "max", "sum"),
    }),
    "support_health": ("support", {
        "ticket_count": (0.3, 10, 0, "sum"),
        "critical_issues": (0.3, 3, 0, "sum"),
        "csat_score": (0.4, 1, 5, "avg"),
    }),
}
STATUS = {"active": 100, "trialing": 70, "past_due": 40, "unpaid": 20, "canceled": 0}
INPUTS = {"customers": "customer", "usage": "usage", "subscriptions": "subscription", "support": "support"}


# --- data ------------------------------------------------------------------------------------------------------------

def generate(folder, customers, events):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    shares = {"customers": 1.0, "subscriptions": 0.9, "usage": 0.8, "support": 0.4}
    most_rows = {"customers": 1, "subscriptions": 3, "usage": 9, "support": 5}
    columns = {
        "customers": lambda n: {
            "last_login_days": rng.integers(0, 365, n), "login_frequency": rng.poisson(12, n),
            "feature_adoption_rate": rng.random(n).round(4), "active_days": rng.integers(0, 31, n),
            "email_open_rate": rng.random(n).round(4), "region": rng.choice(["eu", "us", "apac"], n),
        },
        "subscriptions": lambda n: {
            "status": rng.choice(list(STATUS), n), "payment_failures": rng.poisson(1, n),
            "days_subscribed": rng.integers(0, 2500, n), "mrr": rng.lognormal(4, 1, n).round(2),
        },
        "usage": lambda n: {
            "daily_active_days": rng.integers(0, 31, n), "feature_usage_count": rng.poisson(60, n),
            "core_feature_usage": rng.poisson(30, n), "session_count": rng.poisson(40, n),
            "session_duration_avg": rng.gamma(4, 5, n).round(2),
        },
        "support": lambda n: {
            "ticket_count": rng.poisson(3, n), "critical_issues": rng.poisson(0.5, n),
            "csat_score": pa.array(rng.uniform(1, 5, n).round(1), mask=rng.random(n) < 0.3),
        },
    }
    for name, share in shares.items():
        index = rng.permutation(customers)[: round(customers * share)]
        if events and most_rows[name] > 1:
            index = np.repeat(index, rng.integers(1, most_rows[name] + 1, len(index)))
            rng.shuffle(index)
        writer = None
        for at in range(0, len(index), 250_000):
            part = index[at : at + 250_000]
            ids = pa.array(np.char.mod("C%09d", part))
            table = pa.table({"customer_id": ids, **columns[name](len(part))})
            writer = writer or pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
            writer.write_table(table)
        writer.close()
    component = ["name: bench", "analysis_period_days: 30", "min_health_score: 0", "max_health_score: 100",
                 "churn_risk_threshold: 40", "expansion_opportunity_threshold: 75", "components:"]
    for name, (source, fields) in JOB.items():
        component += [f"  {name}:", f"    input: {INPUTS[source]}", "    weight: 0.25", "    indicators:"]
        for field, (weight, worst, best, how) in fields.items():
            scale = f"map: {{{', '.join(f'{k}: {v}' for k, v in STATUS.items())}}}"
            scale = scale if field == "status" else f"range: [{worst}, {best}]"
            component.append(f"      {field}: {{weight: {weight}, scale: {{{scale}}}, aggregate: {how}}}")
    (folder / "scorecard.yaml").write_text("\n".join(component) + "\n")
    inputs = "".join(f"  {INPUTS[name]}: {name}.parquet\n" for name in shares)
    (folder / "component.yaml").write_text(f"scorecard: ./scorecard.yaml\noutput: unused.parquet\ninputs:\n{inputs}")


# --- peers -----------------------------------------------------------------------------------------------------------

def duckdb(folder, out, events, memory):
    import duckdb

    con = duckdb.connect()
    if memory:
        con.sql(f"SET memory_limit = '{memory}'")
        con.sql(f"SET temp_directory = '{Path(out).parent}'")
    con.sql("SET preserve_insertion_order = false")
    status = "CASE status " + " ".join(f"WHEN '{k}' THEN {v}.0" for k, v in STATUS.items()) + " END"
    joins, scores = [], []
    for name, (source, fields) in JOB.items():
        table = f"read_parquet('{folder}/{source}.parquet')"
        value = {field: status if field == "status" else field for field in fields}
        plain = ", ".join(f"{v}::DOUBLE AS {field}" for field, v in value.items())
        grouped = ", ".join(f"{how}({value[field]})::DOUBLE AS {field}" for field, (_, _, _, how) in fields.items())
        rows = f"SELECT customer_id, {grouped} FROM {table} GROUP BY customer_id" if events else f"SELECT customer_id, {plain} FROM {table}"
        kind = "MATERIALIZED" if events else "NOT MATERIALIZED"
        bounds = ", ".join(f"min({field}) AS {field}_min, max({field}) AS {field}_max" for field in fields)
        joins.append(f"{name}_rows AS {kind} ({rows}), {name}_bounds AS MATERIALIZED (SELECT {bounds} FROM {name}_rows)")

        def end(field, which):
            return f"{field}_{which}" if isinstance(which, str) else f"{which}::DOUBLE"

        parts = {}
        for field, (weight, worst, best, _) in fields.items():
            low, high = end(field, worst), end(field, best)
            scaled = field if field == "status" else (
                f"greatest(0.0, least(100.0, 100.0 * ({field} - {low}) / ({high} - {low})))" )
            parts[field] = (weight, f"CASE WHEN {field} IS NULL THEN NULL ELSE {scaled} END")
        top = " + ".join(f"coalesce({w} * ({s}), 0)" for w, s in parts.values())
        bottom = " + ".join(f"CASE WHEN {f} IS NULL THEN 0 ELSE {w} END" for f, (w, _) in parts.items())
        joins.append(f"{name} AS (SELECT customer_id, ({top}) / nullif({bottom}, 0) AS {name} FROM {name}_rows, {name}_bounds)")
        scores.append(f"coalesce({name}, 50) AS {name}_score")
    names = list(JOB)
    joined = names[0] + "".join(f" FULL OUTER JOIN {name} USING (customer_id)" for name in names[1:])
    health = " + ".join(f"0.25 * {name}_score" for name in names)
    con.sql(f"""COPY (
        WITH {', '.join(joins)}, parts AS (SELECT customer_id, {', '.join(scores)} FROM {joined}),
             scored AS (SELECT *, {health} AS health_score FROM parts)
        SELECT *, CASE WHEN health_score < 40 THEN 'high_risk' WHEN health_score < 75 THEN 'moderate' ELSE 'healthy' END AS risk_category,
               health_score < 40 AS is_churn_risk, health_score >= 75 AS is_expansion_opportunity, now() AS calculated_at
        FROM scored) TO '{out}' (FORMAT parquet, COMPRESSION zstd)""")


def polars(folder, out, events, memory):
    import polars as pl

    frames = []
    for name, (source, fields) in JOB.items():
        frame = pl.scan_parquet(f"{folder}/{source}.parquet")
        values = []
        for field in fields:
            value = pl.col(field)
            if field == "status":
                value = value.replace_strict(STATUS, default=None, return_dtype=pl.Float64)
            values.append(value.cast(pl.Float64))
        if events:
            how = {"sum": pl.Expr.sum, "avg": pl.Expr.mean, "max": pl.Expr.max}
            filled = [pl.when(v.count() > 0).then(how[fields[f][3]](v)).alias(f) for f, v in zip(fields, values)]
            frame = frame.group_by("customer_id").agg(filled)
        else:
            frame = frame.select("customer_id", *values)
        top, bottom = pl.lit(0.0), pl.lit(0.0)
        for field, (weight, worst, best, _) in fields.items():
            value, ends = pl.col(field), {"min": pl.col(field).min(), "max": pl.col(field).max()}
            low, high = (ends.get(end, end) for end in (worst, best))
            scaled = value if field == "status" else ((value - low) / (high - low) * 100).clip(0, 100)
            top = top + (scaled * weight).fill_null(0)
            bottom = bottom + pl.when(value.is_null()).then(0.0).otherwise(weight)
        score = pl.when(bottom > 0).then(top / bottom).alias(name)
        rest = [pl.lit(None, pl.Float64).alias(other) for other in JOB if other != name]
        frames.append(frame.select("customer_id", score, *rest).select("customer_id", *JOB))
    score = [pl.col(name).fill_null(50).alias(f"{name}_score") for name in JOB]
    health = pl.sum_horizontal([0.25 * pl.col(f"{name}_score") for name in JOB]).alias("health_score")
    category = pl.when(pl.col("health_score") < 40).then(pl.lit("high_risk")).when(pl.col("health_score") < 75)
    category = category.then(pl.lit("moderate")).otherwise(pl.lit("healthy")).alias("risk_category")
    (
        pl.concat(frames).group_by("customer_id").agg([pl.col(name).max() for name in JOB])
        .select("customer_id", *score).with_columns(health)
        .with_columns(category, (pl.col("health_score") < 40).alias("is_churn_risk"),
                      (pl.col("health_score") >= 75).alias("is_expansion_opportunity"))
        .sink_parquet(out, compression="zstd")
    )


def floor(folder, out, events, memory):
    """Reads the columns that are needed and writes as many as the scores have, without a join."""
    import polars as pl

    for name, (source, fields) in JOB.items():
        pl.scan_parquet(f"{folder}/{source}.parquet").select("customer_id", *fields).collect(engine="streaming")
    wide = pl.scan_parquet(f"{folder}/customers.parquet")
    rate = pl.col("feature_adoption_rate")
    wide.select("customer_id", *[(rate * k).alias(f"s{k}") for k in range(5)], pl.col("region"), rate > 0.4, (rate > 0.7).alias("b")
                ).sink_parquet(out, compression="zstd")


PEERS = {"duckdb": duckdb, "polars": polars, "floor": floor}


# --- measuring -------------------------------------------------------------------------------------------------------

def measure(command):
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return None, said.decode(errors="replace").strip()[-300:]
    return (wall, used.ru_maxrss / 1024), ""


def disagreements(one, other):
    import pyarrow.parquet as pq

    columns = ["health_score", *(f"{name}_score" for name in JOB)]
    tables = [pq.read_table(path, columns=["customer_id", *columns]).sort_by("customer_id") for path in (one, other)]
    if tables[0]["customer_id"].to_pylist() != tables[1]["customer_id"].to_pylist():
        return f"not the same customers: {tables[0].num_rows} and {tables[1].num_rows}"
    worst = max(abs(tables[0][c].to_numpy() - tables[1][c].to_numpy()).max() for c in columns)
    return "" if worst <= 1e-9 else f"scores differ by up to {worst}"


def serve(binary, folder, memory):
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--allow", str(folder)]
    process = subprocess.Popen(command + (["--memory-limit", memory] if memory else []), stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if "http://" not in line:
        sys.exit("the server did not start")
    return process, line.split()[-1]


def peak(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def compare(args, customers):
    folder = Path(args.data) / f"{customers}{'-events' if args.events else ''}"
    if not (folder / "component.yaml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, __file__, "--data", args.data, "--generate", str(customers)]
                       + (["--events"] if args.events else []), check=True)
    limit = ["--memory-limit", args.memory] if args.memory else []
    own = [args.binary, "materialize", str(folder / "component.yaml"), "--quiet"]
    server, uri = serve(args.binary, folder, args.memory)
    outs = {name: folder / f"out-{name}.parquet" for name in ["materialize", "warm server", *PEERS]}
    jobs = {"materialize": own + limit + ["--output", str(outs["materialize"])],
            "warm server": own + ["--server", uri, "--output", str(outs["warm server"])]}
    for name in PEERS:
        jobs[name] = [sys.executable, __file__, "--peer", name, str(folder), str(outs[name])]
        jobs[name] += (["--events"] if args.events else []) + (["--memory", args.memory] if args.memory else [])
    runs, failures = {name: [] for name in jobs}, {}
    for turn in range(args.rounds + 1):
        for name, command in jobs.items():
            if name in failures:
                continue
            figures, said = measure(command)
            if figures is None:
                failures[name] = said
            elif turn:  # the first round warms the page cache
                runs[name].append(figures)
    server_peak = peak(server)
    server.terminate()
    wrong = {name: disagreements(outs["materialize"], outs[name]) for name in jobs
             if name not in ("materialize", "floor") and name not in failures}
    base = statistics.median(wall for wall, _ in runs["materialize"]) if runs["materialize"] else float("nan")
    what = " with several rows each" if args.events else ""
    print(f"\n{customers:,} customers{what}{', limit ' + args.memory if args.memory else ''}; {args.rounds} rounds\n")
    print("| | wall s: median (min-max) | times materialize | peak MiB | scores |\n|---|---|---|---|---|")
    for name in jobs:
        if name in failures:
            print(f"| {name} | failed: {failures[name].splitlines()[-1] if failures[name] else ''} | | | |")
            continue
        walls = [wall for wall, _ in runs[name]]
        memory = server_peak if name == "warm server" else statistics.median(m for _, m in runs[name])
        verdict = {"materialize": "", "floor": ""}.get(name, wrong.get(name) or "equal")
        median = statistics.median(walls)
        print(f"| {name} | {median:.3f} ({min(walls):.3f}-{max(walls):.3f}) | {median / base:.2f} | {memory:.0f} | {verdict} |")
    if not args.keep:
        shutil.rmtree(folder)
    return not any(wrong.values()) and "materialize" not in failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("customers", nargs="*", type=int)
    parser.add_argument("--binary", help="the released customer-health")
    parser.add_argument("--events", action="store_true", help="several rows per customer")
    parser.add_argument("--memory", help="limit for every engine, such as 1GiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", default=os.path.join(tempfile.gettempdir(), "customer-health-bench"))
    parser.add_argument("--keep", action="store_true", help="keep the data for the next time")
    parser.add_argument("--generate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        name, folder, out = args.peer
        return PEERS[name](Path(folder), out, args.events, args.memory)
    if args.generate:
        return generate(Path(args.data) / f"{args.generate}{'-events' if args.events else ''}", args.generate, args.events)
    if not args.binary or not args.customers:
        parser.error("--binary and a number of customers are needed")
    return sys.exit(0 if all([compare(args, customers) for customers in args.customers]) else 1)


if __name__ == "__main__":
    main()
