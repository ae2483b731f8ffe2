#!/bin/sh
# Scores the customers of a component.yaml through a running service, with grpcurl, which learns the contract by reflection.
#
#   customer-health serve &
#   examples/shell/materialize.sh component.yaml [HOST:PORT]
#
# Prints the result's facts as JSON; the exit code is not 0 where the call fails. Needs grpcurl and jq.
set -eu
file=${1:-component.yaml}
target=${2:-127.0.0.1:50051}
folder=$(cd "$(dirname "$file")" && pwd)

# In two steps, for a pipe has the exit code of its last command.
answer=$(jq -n --rawfile text "$file" --arg name "$(basename "$file")" --arg folder "$folder" \
    '{component: {text: $text, file: $name, base_dir: $folder}, run_checks: true}' |
    grpcurl -plaintext -max-time 3600 -d @ "$target" customer_health.v1.CustomerHealthService/MaterializeSync)
printf '%s\n' "$answer" |
    jq '{table: .outputPath, customers, average_score: .meanScore, categories: [.categories[] | {(.name): (.customers // "0")}] | add,
         churn_risks: .churnRisks, failed_checks: [.checks[] | select(.passed | not) | .name]}'
