"""Customer health scores as a Dagster asset, computed by the customer-health service."""
