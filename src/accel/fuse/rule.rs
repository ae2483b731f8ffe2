//! Puts faster expressions into a plan's projections, and merges projections that only hand columns on.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

use super::chain::{Chain, Place, is_plain};
use super::expr::Fused;
use super::memo::Memo;
use super::trim::Trimmed;

/// Goes before the engine's own rules, which move projections.
#[derive(Debug, Clone, Copy)]
pub struct Fusing;

impl PhysicalOptimizerRule for Fusing {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(Transformed::no(node)) };
            let mut chain = Chain::below(projection);
            loop {
                let schema = projection.schema();
                let nullable = |at: usize| schema.field(at).is_nullable();
                let exprs = (chain.exprs().iter().enumerate()).map(|(at, own)| fused(&chain, own, nullable(at)));
                // As many projections as can be one.
                if let (Some(exprs), Some(input)) = (exprs.collect::<Option<Vec<_>>>(), chain.input()) {
                    return Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(exprs, input.clone())?)));
                }
                chain.shorten();
            }
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Fusing"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An expression over the input of a chain's lowest projection; `None` where putting it together would repeat work.
fn fused(chain: &Chain<'_>, own: &ProjectionExpr, nullable: bool) -> Option<ProjectionExpr> {
    let place = Place { expr: &own.expr, level: 0 };
    let found = chain.behind(place);
    // What stands in one of the projections alone is as it was.
    let alone = found.level + 1 == chain.len() || is_plain(found.expr);
    let faster: Option<Arc<dyn PhysicalExpr>> = if is_plain(found.expr) {
        Some(found.expr.clone())
    } else if let Some(fused) = Fused::of(chain, place, nullable) {
        Some(Arc::new(fused))
    } else {
        let resolved = chain.resolved(found).ok()?;
        match Trimmed::of(&resolved, chain.schema()) {
            Some(trimmed) => Some(Arc::new(trimmed)),
            None if Memo::fits(chain, place) => Some(Memo::of(&resolved, chain.schema())),
            None => alone.then_some(resolved),
        }
    };
    Some(ProjectionExpr { expr: faster?, alias: own.alias.clone() })
}
