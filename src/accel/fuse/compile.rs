//! From the engine's expressions to a program, as far as they are about numbers and conditions.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr, NotExpr,
};

use super::chain::{Chain, Place};
use super::memo::Memo;
use super::program::{Arithmetic, Comparison, Id, Program, Step, Steps};
use super::total::is_total;

type Expr = Arc<dyn PhysicalExpr>;

/// A program and the expressions whose values it begins with.
pub struct Compiled {
    /// What is computed.
    pub program: Program,
    /// Expressions that the engine evaluates.
    pub leaves: Vec<Expr>,
    /// What becomes of the result.
    pub outcome: Outcome,
}

/// What the result of a program stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Itself, a number.
    Number,
    /// Itself, a condition.
    Truth,
    /// The text at that place.
    Text(Vec<Option<String>>),
}

/// An expression of a chain as a program; `None` where there is nothing to be won.
pub fn compile(chain: &Chain<'_>, place: Place<'_>) -> Option<Compiled> {
    let mut compiler = Compiler { chain, steps: Steps::default(), leaves: Vec::new(), places: HashMap::new() };
    let (result, outcome) = match chain.data_type(place)? {
        DataType::Float64 => (compiler.number(place, false)?, Outcome::Number),
        DataType::Boolean => (compiler.truth(place, false)?, Outcome::Truth),
        DataType::Utf8 => compiler.text(place)?,
        _ => return None,
    };
    let program = Program::new(&compiler.steps, result);
    program.steps.iter().any(Step::is_work).then(|| Compiled { program, leaves: compiler.leaves, outcome })
}

/// Expressions below `maybe` are evaluated for some rows only, perhaps since they fail for the others. A program evaluates
/// everything for all rows, so that there may only be what cannot fail, or is evaluated for all rows anyway.
struct Compiler<'a> {
    chain: &'a Chain<'a>,
    steps: Steps,
    leaves: Vec<Expr>,
    places: HashMap<Expr, usize>,
}

impl<'a> Compiler<'a> {
    fn number(&mut self, place: Place<'a>, maybe: bool) -> Option<Id> {
        let place = self.chain.behind(place);
        if let Some(literal) = place.expr.downcast_ref::<Literal>() {
            return match literal.value() {
                ScalarValue::Float64(number) => Some(self.steps.add(Step::Constant(number.map(f64::to_bits)))),
                _ => None,
            };
        }
        if self.chain.data_type(place)? != DataType::Float64 {
            return None;
        }
        let of_text = Memo::fits(self.chain, place);
        let computed = if of_text { None } else { self.or_nothing(|this| this.computed(place, maybe)) };
        computed.or_else(|| {
            let leaf = self.leaf(place, maybe)?;
            Some(self.steps.add(Step::Number(leaf)))
        })
    }

    fn computed(&mut self, place: Place<'a>, maybe: bool) -> Option<Id> {
        let Place { expr, level } = place;
        let at = |expr| Place { expr, level };
        if let Some(case) = expr.downcast_ref::<CaseExpr>() {
            return self.choice(case, level, maybe);
        }
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let how = match binary.op() {
                Operator::Plus => Arithmetic::Add,
                Operator::Minus => Arithmetic::Subtract,
                Operator::Multiply => Arithmetic::Multiply,
                Operator::Divide => Arithmetic::Divide,
                _ => return None,
            };
            let (a, b) = (self.number(at(binary.left()), maybe)?, self.number(at(binary.right()), maybe)?);
            return Some(self.steps.add(Step::Arithmetic(how, a, b)));
        }
        if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
            let a = self.number(at(negative.arg()), maybe)?;
            return Some(self.steps.add(Step::Negative(a)));
        }
        if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            let from = self.chain.data_type(at(cast.expr()))?;
            if !from.is_integer() && from != DataType::Float32 {
                return None;
            }
            let leaf = self.leaf(self.chain.behind(at(cast.expr())), maybe)?;
            return Some(self.steps.add(Step::Number(leaf)));
        }
        None
    }

    fn choice(&mut self, case: &'a CaseExpr, level: usize, maybe: bool) -> Option<Id> {
        self.chosen(case, level, maybe, |this, then| this.number_or_null(Place { expr: then, level }))
    }

    fn chosen(
        &mut self,
        case: &'a CaseExpr,
        level: usize,
        maybe: bool,
        mut outcome: impl FnMut(&mut Self, &'a Expr) -> Option<Id>,
    ) -> Option<Id> {
        if case.expr().is_some() {
            return None;
        }
        let at = |expr| Place { expr, level };
        let mut cases = Vec::new();
        for (number, (when, then)) in case.when_then_expr().iter().enumerate() {
            cases.push((self.truth(at(when), maybe || number > 0)?, outcome(self, then)?));
        }
        let otherwise = match case.else_expr() {
            Some(otherwise) => Some(outcome(self, otherwise)?),
            None => None,
        };
        Some(self.steps.add(Step::Choice(cases, otherwise)))
    }

    /// A choice of texts that stand in the expression.
    fn text(&mut self, place: Place<'a>) -> Option<(Id, Outcome)> {
        let Place { expr, level } = self.chain.behind(place);
        let mut texts = Vec::new();
        let result = self.chosen_text(expr.downcast_ref::<CaseExpr>()?, level, false, &mut texts)?;
        Some((result, Outcome::Text(texts)))
    }

    fn chosen_text(
        &mut self,
        case: &'a CaseExpr,
        level: usize,
        maybe: bool,
        texts: &mut Vec<Option<String>>,
    ) -> Option<Id> {
        self.chosen(case, level, maybe, |this, then| {
            if let Some(inner) = then.downcast_ref::<CaseExpr>() {
                return this.chosen_text(inner, level, true, texts);
            }
            let ScalarValue::Utf8(text) = then.downcast_ref::<Literal>()?.value() else { return None };
            let place = f64::from(u32::try_from(texts.len()).ok()?);
            texts.push(text.clone());
            Some(this.steps.add(Step::Constant(Some(place.to_bits()))))
        })
    }

    fn number_or_null(&mut self, place: Place<'a>) -> Option<Id> {
        match place.expr.downcast_ref::<Literal>() {
            Some(literal) if literal.value().is_null() => Some(self.steps.add(Step::Constant(None))),
            _ => self.number(place, true),
        }
    }

    fn truth(&mut self, place: Place<'a>, maybe: bool) -> Option<Id> {
        let place = self.chain.behind(place);
        if let Some(literal) = place.expr.downcast_ref::<Literal>() {
            return match literal.value() {
                ScalarValue::Boolean(fact) => Some(self.steps.add(Step::Fact(*fact))),
                _ => None,
            };
        }
        if self.chain.data_type(place)? != DataType::Boolean {
            return None;
        }
        self.or_nothing(|this| this.judged(place, maybe)).or_else(|| {
            let leaf = self.leaf(place, maybe)?;
            Some(self.steps.add(Step::Truth(leaf)))
        })
    }

    fn judged(&mut self, place: Place<'a>, maybe: bool) -> Option<Id> {
        let Place { expr, level } = place;
        let at = |expr| Place { expr, level };
        if let Some(not) = expr.downcast_ref::<NotExpr>() {
            let a = self.truth(at(not.arg()), maybe)?;
            return Some(self.steps.add(Step::Not(a)));
        }
        if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
            return self.is_null(at(null.arg()), maybe);
        }
        if let Some(there) = expr.downcast_ref::<IsNotNullExpr>() {
            let null = self.is_null(at(there.arg()), maybe)?;
            return Some(self.steps.add(Step::Not(null)));
        }
        let binary = expr.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (at(binary.left()), at(binary.right()));
        let compared = |this: &mut Self, how, a: Place<'a>, b: Place<'a>| {
            let (a, b) = (this.number(a, maybe)?, this.number(b, maybe)?);
            Some(this.steps.add(Step::Comparison(how, a, b)))
        };
        match binary.op() {
            // The engine may leave the right side out where the left one decides.
            Operator::And => {
                let (a, b) = (self.truth(left, maybe)?, self.truth(right, true)?);
                Some(self.steps.add(Step::And(a, b)))
            }
            Operator::Or => {
                let (a, b) = (self.truth(left, maybe)?, self.truth(right, true)?);
                Some(self.steps.add(Step::Or(a, b)))
            }
            Operator::Lt => compared(self, Comparison::Less, left, right),
            Operator::LtEq => compared(self, Comparison::LessOrEqual, left, right),
            Operator::Gt => compared(self, Comparison::Less, right, left),
            Operator::GtEq => compared(self, Comparison::LessOrEqual, right, left),
            Operator::Eq => compared(self, Comparison::Equal, left, right),
            Operator::NotEq => compared(self, Comparison::NotEqual, left, right),
            _ => None,
        }
    }

    fn is_null(&mut self, place: Place<'a>, maybe: bool) -> Option<Id> {
        let a = match self.chain.data_type(place)? {
            DataType::Float64 => self.number(place, maybe)?,
            DataType::Boolean => self.truth(place, maybe)?,
            _ => return None,
        };
        Some(self.steps.add(Step::IsNull(a)))
    }

    fn leaf(&mut self, place: Place<'a>, maybe: bool) -> Option<usize> {
        let expr = self.chain.resolved(place).ok()?;
        if let Some(at) = self.places.get(&expr) {
            return Some(*at);
        }
        if maybe && !is_total(&expr, self.chain.schema()) {
            return None;
        }
        let leaf = if Memo::fits(self.chain, place) { Memo::of(&expr, self.chain.schema()) } else { expr.clone() };
        self.places.insert(expr, self.leaves.len());
        self.leaves.push(leaf);
        Some(self.leaves.len() - 1)
    }

    /// What a part of the compiler makes, and nothing of it where it gives up.
    fn or_nothing(&mut self, make: impl FnOnce(&mut Self) -> Option<Id>) -> Option<Id> {
        let (steps, leaves) = (self.steps.len(), self.leaves.len());
        let made = make(self);
        if made.is_none() {
            self.steps.truncate(steps);
            self.leaves.truncate(leaves);
            self.places.retain(|_, at| *at < leaves);
        }
        made
    }
}
