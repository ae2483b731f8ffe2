"""Upstream assets: made-up customers, the same in every run."""

import random

import dagster as dg
import polars as pl

CUSTOMERS = [f"C-{number:04}" for number in range(1, 301)]


def _health(customer: str) -> float:
    """How well a customer does, 0-1: what all tables agree on, more or less."""
    return random.Random(customer).betavariate(2, 1.6)


def _about(customer: str, what: str, worst: float, best: float) -> float:
    noise = random.Random(f"{customer} {what}").uniform(-0.15, 0.15)
    return worst + (best - worst) * min(1.0, max(0.0, _health(customer) + noise))


@dg.asset(group_name="sources", kinds={"polars", "parquet"})
def customer_activity() -> pl.DataFrame:
    """When customers were here, and how often."""
    return pl.DataFrame(
        {
            "customer_id": CUSTOMERS,
            "last_login_days": [round(_about(customer, "login", 30, 0)) for customer in CUSTOMERS],
            "login_frequency": [round(_about(customer, "logins", 0, 30)) for customer in CUSTOMERS],
            "feature_adoption_rate": [round(_about(customer, "adoption", 0, 1), 3) for customer in CUSTOMERS],
        }
    )


@dg.asset(group_name="sources", kinds={"polars", "parquet"})
def subscriptions() -> pl.DataFrame:
    """What customers pay; four of five have a subscription."""
    paying = [customer for customer in CUSTOMERS if int(customer[2:]) % 5]
    return pl.DataFrame(
        {
            "customer_id": paying,
            "status": ["past_due" if _about(customer, "status", 0, 1) < 0.2 else "active" for customer in paying],
            "payment_failures": [round(_about(customer, "failures", 3, 0)) for customer in paying],
            "days_subscribed": [round(_about(customer, "tenure", 10, 900)) for customer in paying],
            "mrr": [round(_about(customer, "mrr", 20, 900), 2) for customer in paying],
        }
    )


@dg.asset(group_name="sources", kinds={"polars", "parquet"})
def product_usage() -> pl.DataFrame:
    """What customers do, a row for each of three weeks."""
    rows = [(customer, week) for customer in CUSTOMERS for week in range(3)]
    return pl.DataFrame(
        {
            "customer_id": [customer for customer, _ in rows],
            "week": [week for _, week in rows],
            "daily_active_days": [round(_about(customer, f"days {week}", 0, 28)) for customer, week in rows],
            "feature_usage_count": [round(_about(customer, f"features {week}", 1, 12)) for customer, week in rows],
            "session_count": [round(_about(customer, f"sessions {week}", 0, 40)) for customer, week in rows],
        }
    )


@dg.asset(group_name="sources", kinds={"polars", "parquet"})
def support_tickets() -> pl.DataFrame:
    """What customers ask for help with; a third of them do."""
    asking = [customer for customer in CUSTOMERS if int(customer[2:]) % 3 == 0]
    return pl.DataFrame(
        {
            "customer_id": asking,
            "ticket_count": [round(_about(customer, "tickets", 9, 1)) for customer in asking],
            "critical_issues": [round(_about(customer, "critical", 4, 0)) for customer in asking],
            "csat_score": [round(_about(customer, "csat", 1, 5), 1) for customer in asking],
        }
    )
