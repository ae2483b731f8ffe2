//! Which columns of the inputs each column of the table is made from.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::SchemaRef;

use super::table::{ColumnLineage, SourceColumn};
use crate::component::Component;
use crate::plan::bind::{Bound, BoundInput};
use crate::plan::{names, schema};
use crate::scorecard::ScoreComponent;

/// The lineage of the table, in the columns' order.
///
/// What decides which rows count (`where`, the analysis period) is not taken for a source: it makes no value.
pub fn of(component: &Component, bound: &Bound, table: &SchemaRef) -> Vec<ColumnLineage> {
    let card = component.scorecard();
    let all: BTreeSet<SourceColumn> = card.components.iter().flat_map(|c| of_component(component, c, bound)).collect();
    let column = |field: &std::sync::Arc<datafusion::arrow::datatypes::Field>| {
        let name = field.name();
        let sources = if name == names::CUSTOMER_ID {
            bound.inputs.values().map(|input| source(component, input, &input.key_column)).collect()
        } else if schema::of_the_run(name) {
            BTreeSet::new()
        } else if let Some(part) = card.components.iter().find(|part| part.column() == *name) {
            of_component(component, part, bound)
        } else {
            all.clone()
        };
        ColumnLineage { column: name.clone(), sources: sources.into_iter().collect() }
    };
    table.fields().iter().map(column).collect()
}

fn of_component(component: &Component, part: &ScoreComponent, bound: &Bound) -> BTreeSet<SourceColumn> {
    let mut found = BTreeSet::new();
    for input in bound.inputs.values() {
        let fields = input.fields.iter().filter(|field| field.component.name == part.name);
        for reading in fields.filter_map(|field| field.reading.as_ref()) {
            found.extend(reading.expr.column_refs().into_iter().map(|column| source(component, input, &column.name)));
        }
    }
    found
}

fn source(component: &Component, input: &BoundInput, column: &str) -> SourceColumn {
    let asset_key = component.asset().upstream.get(&input.name).cloned();
    SourceColumn { input: input.name, asset_key, column: column.to_owned() }
}
