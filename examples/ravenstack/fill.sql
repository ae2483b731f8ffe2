-- From Kaggle's CSV files in raw/ to the four tables that component.yaml reads: `duckdb < fill.sql` in this folder.
COPY (FROM 'raw/ravenstack_accounts.csv') TO 'data/accounts.parquet';
COPY (FROM 'raw/ravenstack_subscriptions.csv') TO 'data/subscriptions.parquet';
COPY (FROM 'raw/ravenstack_support_tickets.csv') TO 'data/support_tickets.parquet';
-- Usage names the subscription; whose it is, the subscriptions tell.
COPY (
    SELECT usage.*, subscription.account_id
    FROM 'raw/ravenstack_feature_usage.csv' AS usage
    JOIN 'raw/ravenstack_subscriptions.csv' AS subscription USING (subscription_id)
) TO 'data/feature_usage.parquet';
