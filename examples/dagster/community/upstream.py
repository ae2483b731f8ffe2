"""Frames in the shape that the community's ingestion components and standardizers give, of fifty made-up customers.

The CRM's contacts are as a CRM standardizer has them; Stripe's resources are one frame, told apart by `_resource_type`, in which
each has the columns of all others; so are Zendesk's tickets and users; events are as Segment sends them. All four tools know a
customer by one id. With real components in their place, under the same asset keys, nothing else changes.
"""

import random
from datetime import datetime, timedelta, timezone

import dagster as dg
import pandas as pd

CUSTOMERS = [f"acct-{number:03}" for number in range(1, 51)]
START, DAYS = datetime(2025, 1, 1, tzinfo=timezone.utc), 180
EVENTS = ("Report Opened", "Report Shared", "Dashboard Edited", "Export Started", "Alert Created", "User Invited")


def _health(customer: str) -> float:
    """How well a customer does, 0-1: what all tools agree on, more or less."""
    return random.Random(customer).random()


def _moment(chance: random.Random, first_day: int = 0) -> datetime:
    return START + timedelta(days=chance.randrange(first_day, DAYS), seconds=chance.randrange(86_400))


def _together(**resources: list[dict]) -> pd.DataFrame:
    """Several resources of one tool as one frame, as ingestion components put them together."""
    frames = []
    for name, rows in resources.items():
        frame = pd.DataFrame(rows)
        frame["_resource_type"] = name
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


@dg.asset(group_name="crm")
def crm_contacts() -> pd.DataFrame:
    """Contacts as a CRM standardizer writes them."""
    return pd.DataFrame(
        {
            "record_id": CUSTOMERS,
            "record_type": "contact",
            "platform": "hubspot",
            "name": [f"Customer {number}" for number in range(1, len(CUSTOMERS) + 1)],
            "email": [f"{customer}@example.com" for customer in CUSTOMERS],
            "owner": [f"owner-{number % 4}" for number in range(len(CUSTOMERS))],
            "status": "customer",
            "created_date": pd.Timestamp("2024-06-01", tz="UTC"),
        }
    )


@dg.asset(group_name="billing")
def stripe_data() -> pd.DataFrame:
    """Customers, subscriptions and charges: each subscription by the month or by the year, amounts in cents."""
    customers, subscriptions, charges = [], [], []
    for customer in CUSTOMERS:
        chance, health = random.Random(f"stripe {customer}"), _health(customer)
        customers.append({"id": customer, "email": f"{customer}@example.com", "created": START - timedelta(days=400)})
        for number in range(chance.choice([0, 1, 1, 1, 2])):
            yearly = chance.random() < 0.4
            began = START - timedelta(days=chance.randrange(1, 500))
            subscriptions.append(
                {
                    "id": f"sub_{customer}_{number}",
                    "customer": customer,
                    "status": "active" if chance.random() < 0.4 + health / 2 else chance.choice(["past_due", "canceled", "trialing"]),
                    "created": began,
                    "cancel_at_period_end": chance.random() > health,
                    "quantity": chance.randrange(1, 9),
                    "plan__amount": 90_000 if yearly else 9_900,
                    "plan__interval": "year" if yearly else "month",
                    "plan__interval_count": 1,
                }
            )
            for month in range(6):
                charges.append(
                    {
                        "id": f"ch_{customer}_{number}_{month}",
                        "customer": customer,
                        "status": "succeeded" if chance.random() < 0.8 else "failed",
                        "amount": 9_900,
                        "created": START + timedelta(days=30 * month),
                    }
                )
    return _together(customers=customers, subscriptions=subscriptions, charges=charges)


@dg.asset(group_name="support")
def zendesk_data() -> pd.DataFrame:
    """Tickets, some with a rating, and the users who wrote them."""
    users = [{"id": customer, "name": customer, "role": "end-user"} for customer in CUSTOMERS]
    tickets = []
    for customer in CUSTOMERS:
        chance, health = random.Random(f"zendesk {customer}"), _health(customer)
        for _ in range(chance.randrange(0, round(24 - 16 * health))):
            rating = chance.choice(["good", "bad"]) if health < 0.5 else "good"
            tickets.append(
                {
                    "id": str(10_000 + len(tickets)),
                    "requester_id": customer,
                    "subject": "It does not work",
                    "priority": chance.choice(["low", "normal", "high", "urgent"]),
                    "status": chance.choice(["open", "pending", "solved", "closed"]),
                    "satisfaction_rating__score": rating if chance.random() < 0.5 else "unoffered",
                    "created_at": _moment(chance),
                }
            )
    return _together(tickets=tickets, users=users)


@dg.asset(group_name="product")
def segment_events() -> pd.DataFrame:
    """Events; those of visitors who have not signed in have no user."""
    rows = []
    for customer in CUSTOMERS:
        chance, health = random.Random(f"segment {customer}"), _health(customer)
        known = EVENTS[: 1 + round(health * (len(EVENTS) - 1))]
        stopped = timedelta(days=chance.randrange(0, 60)) if health < 0.3 else timedelta(0)
        for _ in range(round(10 + 290 * health)):
            at = _moment(chance) - stopped
            rows.append((customer, chance.choice(known), at, f"{customer}/{at:%Y-%m-%d}/{at.hour // 6}"))
    for number in range(200):
        at = _moment(random.Random(f"visitor {number}"))
        rows.append((None, "Page Viewed", at, f"visitor-{number}"))
    return pd.DataFrame(
        {
            "message_id": [f"m-{number:06}" for number in range(len(rows))],
            "anonymous_id": [f"a-{number % 977}" for number in range(len(rows))],
            "user_id": [row[0] for row in rows],
            "type": "track",
            "event": [row[1] for row in rows],
            "timestamp": pd.to_datetime([row[2] for row in rows], utc=True),
            "context__session_id": [row[3] for row in rows],
        }
    )
