//! Which columns of the inputs each column of the table is made from.

use std::collections::BTreeSet;

use super::table::{ColumnLineage, SourceColumn};
use crate::component::Component;
use crate::plan::bind::{Bound, BoundInput};
use crate::plan::columns::{Column, Sources};
use crate::scorecard::ScoreComponent;

/// The lineage of the table, in the columns' order.
///
/// What decides which rows count (`where`, the analysis period) is not taken for a source: it makes no value.
pub fn of(component: &Component, bound: &Bound, columns: &[Column]) -> Vec<ColumnLineage> {
    let card = component.scorecard();
    let fields_of = |part: &ScoreComponent| of_component(component, part, bound);
    let lineage = |column: &Column| {
        let sources: BTreeSet<SourceColumn> = match &column.sources {
            Sources::Keys => bound.inputs.values().map(|input| source(component, input, &input.key_column)).collect(),
            Sources::Run => BTreeSet::new(),
            Sources::Component(name) => {
                card.components.iter().filter(|part| part.name == *name).flat_map(fields_of).collect()
            }
            Sources::AllComponents => card.components.iter().flat_map(fields_of).collect(),
        };
        ColumnLineage { column: column.field.name().clone(), sources: sources.into_iter().collect() }
    };
    columns.iter().map(lineage).collect()
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
