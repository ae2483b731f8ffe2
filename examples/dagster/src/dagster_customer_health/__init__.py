"""Customer health scores as a Dagster asset, computed by the customer-health service."""

from .component import CustomerHealthScoreComponent, CustomerHealthScoreError
from .service import HealthScoreClient, HealthScoreServiceResource, ServiceError

__all__ = [
    "CustomerHealthScoreComponent",
    "CustomerHealthScoreError",
    "HealthScoreClient",
    "HealthScoreServiceResource",
    "ServiceError",
]
