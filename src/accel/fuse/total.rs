//! Which expressions cannot fail, whatever the row.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, IsNotNullExpr, IsNullExpr, Literal, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// Functions of text that answer to every text.
const FUNCTIONS: [&str; 2] = ["btrim", "lower"];

/// Whether an expression has a value, or null, in every row there can be. `false` where that is not known.
pub fn is_total(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    is_total_itself(expr, schema) && expr.children().into_iter().all(|child| is_total(child, schema))
}

fn is_total_itself(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let is_float = || binary.left().data_type(schema).is_ok_and(|data_type| data_type == DataType::Float64);
        return match binary.op() {
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide => is_float(),
            Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => true,
            Operator::And | Operator::Or => true,
            _ => false,
        };
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(schema);
        return *cast.cast_type() == DataType::Float64 && from.is_ok_and(|from| from.is_integer());
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        return FUNCTIONS.contains(&call.name());
    }
    expr.is::<Column>()
        || expr.is::<Literal>()
        || expr.is::<CaseExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<NotExpr>()
        || expr.is::<TryCastExpr>()
}
