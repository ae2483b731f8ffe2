"""The community's chain: frames as its ingestion components give them, scored by `inputs:` alone, with no asset in between.

What the scores should be is worked out here once more, from the frames and with pandas only.
"""

import shutil
import sys
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, assets, failure, logs, materializations, metadata, run
from test_example import dg as command
from test_example import example  # noqa: F401

COMMUNITY = REPOSITORY / "examples/dagster/community"
UPSTREAM = ("crm_contacts", "stripe_data", "zendesk_data", "segment_events")
DAY = "2025-06-20"
SCORES = "customer_health_scores"


@pytest.fixture
def chain(project):
    """The example in a project, as a user puts it there; a change to its YAML may be asked for before it is loaded."""
    folder = project.folder.parent / "community"
    shutil.copytree(COMMUNITY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(project.folder)
    project.folder = folder / "scores"
    return project


def upstream():
    """The example's upstream assets, by name."""
    sys.path.insert(0, str(COMMUNITY))
    try:
        import upstream as module
    finally:
        sys.path.remove(str(COMMUNITY))
    return {name: getattr(module, name) for name in UPSTREAM}


def changed(project, change) -> None:
    path = project.folder / "defs.yaml"
    document = yaml.safe_load(path.read_text())
    change(document["attributes"])
    path.write_text(yaml.safe_dump(document))


def materialize(project, instance, store: Path, day: str = DAY) -> dg.ExecuteInProcessResult:
    """All assets of the project for one day, through the IO manager that a project has where it names none."""
    resources = {"io_manager": dg.FilesystemIOManager(base_dir=str(store))}
    with project.load() as defs:
        assert {asset.key.to_user_string() for asset in assets(defs)} == {SCORES, *UPSTREAM}
        return run(defs, resources=resources, instance=instance, partition_key=day)


# --- What is right ------------------------------------------------------------------------------------------------------


def between(values: pd.Series, worst: float, best: float) -> pd.Series:
    return ((values - worst) / (best - worst) * 100).clip(0, 100)


def mean(indicators: dict[str, tuple[float, pd.Series]]) -> pd.Series:
    """Of the indicators that a customer has, by their weights."""
    scores = pd.DataFrame({name: score for name, (_, score) in indicators.items()})
    weights = scores.notna().mul({name: weight for name, (weight, _) in indicators.items()})
    return (scores.fillna(0) * weights).sum(axis=1) / weights.sum(axis=1)


def expected(frames: dict[str, pd.DataFrame], day: str) -> pd.DataFrame:
    date = pd.Timestamp(day)
    end = date.tz_localize("UTC") + pd.Timedelta(days=1)
    month = end - pd.Timedelta(days=30)
    customers = frames["crm_contacts"]["record_id"]

    events = frames["segment_events"]
    events = events[(events.timestamp >= month) & (events.timestamp < end) & events.user_id.isin(customers)]
    events = events.assign(date=events.timestamp.dt.tz_localize(None).dt.normalize()).groupby("user_id")
    count = lambda column: events[column].nunique().reindex(customers, fill_value=0)  # noqa: E731
    days = count("date")
    idle = (date - events["date"].max()).dt.days.reindex(customers, fill_value=30)
    engagement = mean({"idle": (0.4, between(idle, 30, 0)), "days": (0.3, between(days, 0, 30))})
    features, sessions = count("event"), count("context__session_id")
    usage = mean(
        {
            "days": (0.3, between(days, 0, 30)),
            "features": (0.3, between(features, 0, features.max())),
            "sessions": (0.2, between(sessions, 0, sessions.max())),
        }
    )

    stripe = frames["stripe_data"]
    paying = stripe[(stripe._resource_type == "subscriptions") & (stripe.created < end)]
    months = paying.plan__interval.map({"year": 12, "month": 1}) * paying.plan__interval_count
    states = {"active": 100, "trialing": 80, "past_due": 30, "canceled": 0}
    each = pd.DataFrame(
        {
            "customer": paying.customer,
            "mrr": paying.plan__amount * paying.quantity / 100 / months,
            "status": paying.status.map(states),
            "interval": paying.plan__interval.map({"year": 100, "month": 60}),
            "renews": paying.cancel_at_period_end.map({True: 20, False: 100}),
            "days": (date - paying.created.dt.tz_localize(None).dt.normalize()).dt.days,
        }
    ).groupby("customer")
    mrr = each.mrr.sum()
    payment = mean(
        {
            "status": (0.4, each.status.mean()),
            "days": (0.2, between(each.days.max(), 0, 365)),
            "mrr": (0.1, between(mrr, mrr.min(), mrr.max())),
            "interval": (0.1, each.interval.mean()),
            "renews": (0.1, each.renews.mean()),
        }
    )

    zendesk = frames["zendesk_data"]
    tickets = zendesk[(zendesk._resource_type == "tickets") & (zendesk.created_at < end)]
    by = lambda rows: rows.groupby("requester_id").size().reindex(customers, fill_value=0)  # noqa: E731
    recent = by(tickets[tickets.created_at >= month])
    critical = by(tickets[(tickets.priority == "urgent") & ~tickets.status.isin(["solved", "closed"])])
    ratings = tickets.assign(rating=tickets.satisfaction_rating__score.map({"good": 5, "bad": 1}))
    bands = pd.cut(recent, [-1, 0, 3, 6, 10**6], labels=[70, 80, 60, 30]).astype(float)
    support = mean(
        {
            "tickets": (0.4, bands),
            "critical": (0.3, between(critical, 3, 0)),
            "ratings": (0.3, between(ratings.groupby("requester_id").rating.mean().reindex(customers), 1, 5)),
        }
    )
    support = support.where(critical < 5, support.clip(upper=35))

    parts = pd.DataFrame(
        {"engagement": engagement, "product_usage": usage, "payment_health": payment, "support_health": support}, index=customers
    ).fillna(50)
    return parts.assign(health=parts.mean(axis=1)).sort_index()


@pytest.mark.parametrize("day", [DAY, "2025-06-01"])
def test_the_chain_is_scored_by_its_mappings_alone(chain, instance, tmp_path, day):
    result = materialize(chain, instance, tmp_path, day)
    assert result.success, failure(result)
    frames = {name: pd.read_pickle(tmp_path / name) for name in UPSTREAM}
    scores = pd.read_pickle(tmp_path / SCORES / day).set_index("customer_id").sort_index()
    right = expected(frames, day)
    assert list(scores.index) == list(right.index) and len(scores) == 50
    for part in ("engagement", "product_usage", "payment_health", "support_health"):
        pd.testing.assert_series_equal(scores[f"{part}_score"], right[part], rtol=0, atol=1e-9, check_names=False)
    pd.testing.assert_series_equal(scores.health_score, right.health, rtol=0, atol=1e-9, check_names=False)
    assert (scores.is_churn_risk == (right.health < 40)).all() and scores.is_churn_risk.any()
    assert (scores.is_expansion_opportunity == (right.health > 75)).all() and scores.is_expansion_opportunity.any()
    told = metadata(result)
    assert told["subscription/rows_read"] == len(frames["stripe_data"])
    subscriptions = frames["stripe_data"][frames["stripe_data"]._resource_type == "subscriptions"]
    assert told["subscription/rows_kept"] == (subscriptions.created < pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)).sum()
    assert {name: told[f"{name}/rows_kept"] > 0 for name in ("customer", "usage", "support")} == {
        "customer": True,
        "usage": True,
        "support": True,
    }
    assert not [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]


def test_dg_finds_the_folder_right(example):  # noqa: F811
    """In the example project, in place of its own component."""
    defs = example / "src/health_project/defs"
    for there in (defs / "customer_health", defs / "community"):
        shutil.rmtree(there, ignore_errors=True)
    (defs / "downstream.py").unlink()
    shutil.copytree(COMMUNITY, defs / "community", ignore=shutil.ignore_patterns("__pycache__"))
    for what in ("yaml", "defs"):
        answer = command(example, "check", what)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_frames_have_what_makes_the_chain_hard():
    """Each table has rows that a wrong reading would take for customers, or count."""
    frames = {name: asset() for name, asset in upstream().items()}
    customers = set(frames["crm_contacts"].record_id)
    assert len(customers) == 50 and not {"id", "customer_id"} & set(frames["crm_contacts"])
    for name in ("stripe_data", "zendesk_data"):
        assert frames[name]._resource_type.nunique() > 1 and "customer_id" not in frames[name]
        assert len(set(frames[name].id) - customers) > 3 * len(customers)
    assert set(frames["stripe_data"].plan__interval.dropna()) == {"year", "month"}
    assert set(frames["zendesk_data"].satisfaction_rating__score.dropna()) == {"good", "bad", "unoffered"}
    assert frames["segment_events"].user_id.isna().any()


# --- What is not --------------------------------------------------------------------------------------------------------


def without(*names: str):
    def change(attributes):
        for name in names:
            attributes["inputs"].pop(name)

    return change


def keys_only(attributes):
    """What the community's own component is given: the assets."""
    for name in ("inputs", "customers_from", "components"):
        attributes.pop(name)


def only_what_the_first_failure_asked_for(attributes):
    keys_only(attributes)
    attributes["inputs"] = {"customer": {"key": "record_id"}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (keys_only, ["input `customer`", "no key column", "record_id", "upstream asset crm_contacts"]),
        (
            only_what_the_first_failure_asked_for,
            ["input `subscription`", "input `support`", "`inputs.subscription.key`", "`where`", "requester_id", "_resource_type"],
        ),
        (without("subscription"), ["input `subscription`", "`id` seems to be the id of a row", "upstream asset stripe_data"]),
        (without("support"), ["input `support`", "`id` seems to be the id of a row", "upstream asset zendesk_data"]),
    ],
    ids=["assets only", "contacts only", "no subscriptions", "no tickets"],
)
def test_without_mappings_it_fails_with_a_clear_word(chain, instance, tmp_path, change, told):
    changed(chain, change)
    result = materialize(chain, instance, tmp_path)
    said = failure(result)
    assert all(word in said for word in told), said
    assert said.startswith("INVALID_INPUT: ")
    assert not materializations(result, SCORES) and not (tmp_path / SCORES).exists()


def test_contacts_under_a_bare_id_make_no_customers_of_other_ids(chain, instance, tmp_path):
    """As the CRM's own export has them: the contacts' `id` is the customer's, that of subscriptions and tickets is not."""
    (chain.folder.parent / "upstream.py").write_text(
        (COMMUNITY / "upstream.py").read_text().replace('"record_id": CUSTOMERS', '"id": CUSTOMERS')
    )
    changed(chain, keys_only)
    result = materialize(chain, instance, tmp_path)
    said = failure(result)
    assert "input `subscription`" in said and "input `support`" in said and "input `customer` (" not in said, said
    assert not (tmp_path / SCORES).exists()


def test_without_the_events_mapping_it_is_told_that_they_say_nothing(chain, instance, tmp_path):
    changed(chain, without("usage"))
    result = materialize(chain, instance, tmp_path)
    assert result.success and metadata(result)["customers"] == 50
    assert any("input `usage` has none of the scorecard's fields" in line for line in logs(instance, result))
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {"inputs_have_expected_columns", "neutral_share"}
