"""A Dagster project that scores example customers."""
