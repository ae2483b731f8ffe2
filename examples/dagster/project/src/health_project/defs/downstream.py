"""What others make of the scores: plain Python assets, which load the tables through the project's IO manager."""

import dagster as dg
import polars as pl


@dg.asset(group_name="customer_success", kinds={"polars"})
def churn_prevention(customer_health_scores_churn_risk: pl.DataFrame) -> pl.DataFrame:
    """Whom to call first: the customers at churn risk, the worst at the top, as the component wrote them."""
    return customer_health_scores_churn_risk.select("customer_id", "health_score", "risk_category").with_columns(
        call_within_days=pl.when(pl.col("health_score") < 25).then(2).otherwise(7)
    )


@dg.asset(group_name="customer_success", kinds={"polars"})
def expansion_pipeline(customer_health_scores: pl.DataFrame) -> pl.DataFrame:
    """Whom to offer more: the healthiest customers first."""
    ready = customer_health_scores.filter(pl.col("is_expansion_opportunity"))
    return ready.sort("health_score", descending=True).select("customer_id", "health_score")
