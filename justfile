# The commands that a contributor needs; CI runs the same ones.

# Format, lint and test, as CI does.
ci:
    .ci/run

# The quick check while editing.
check:
    cargo clippy --all-targets -- -D warnings

# The program as it is released: target/released/customer-health.
release:
    scripts/release

# All tests.
test *args:
    cargo test {{args}}

# Rewrite golden files, the JSON Schema and the generated proto code; look at the diff before committing.
bless:
    UPDATE_GOLDEN=1 UPDATE_PROTO=1 cargo test

# The example data, from its seeded generator.
data:
    cargo run --example generate

# The README's first command.
run:
    cargo run -- materialize component.yaml
