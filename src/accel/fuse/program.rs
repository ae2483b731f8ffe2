//! Numbers and conditions as a list of steps, each of which names earlier ones.

use std::collections::HashMap;

/// Place of a step in its program.
pub type Id = usize;

/// A sum, difference, product or quotient, as IEEE 754 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// a + b
    Add,
    /// a - b
    Subtract,
    /// a * b
    Multiply,
    /// a / b, infinite or NaN where b is 0
    Divide,
}

/// A comparison in the engine's order, in which zeros are equal and NaN stands beyond the infinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// a < b
    Less,
    /// a <= b
    LessOrEqual,
    /// a = b
    Equal,
    /// a <> b
    NotEqual,
}

/// What one step computes for a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A leaf, as a number.
    Number(usize),
    /// A leaf, as a condition.
    Truth(usize),
    /// The bits of a number, or null.
    Constant(Option<u64>),
    /// A condition that is the same everywhere.
    Fact(Option<bool>),
    /// Null where a part is null.
    Arithmetic(Arithmetic, Id, Id),
    /// Minus a number.
    Negative(Id),
    /// Null where a part is null.
    Comparison(Comparison, Id, Id),
    /// SQL's `AND` of two conditions.
    And(Id, Id),
    /// SQL's `OR`.
    Or(Id, Id),
    /// SQL's `NOT`.
    Not(Id),
    /// Never null itself.
    IsNull(Id),
    /// The number of the first condition that is true, else the last one, else null.
    Choice(Vec<(Id, Id)>, Option<Id>),
}

impl Step {
    /// The steps that this one reads.
    pub fn parts(&self) -> Vec<Id> {
        match self {
            Self::Number(_) | Self::Truth(_) | Self::Constant(_) | Self::Fact(_) => Vec::new(),
            Self::Negative(a) | Self::Not(a) | Self::IsNull(a) => vec![*a],
            Self::Arithmetic(_, a, b) | Self::Comparison(_, a, b) | Self::And(a, b) | Self::Or(a, b) => vec![*a, *b],
            Self::Choice(cases, otherwise) => {
                cases.iter().flat_map(|(when, then)| [*when, *then]).chain(*otherwise).collect()
            }
        }
    }

    /// Whether there is something to compute.
    pub fn is_work(&self) -> bool {
        !matches!(self, Self::Number(_) | Self::Truth(_) | Self::Constant(_) | Self::Fact(_))
    }
}

/// Steps, each different from all others, so that what occurs twice is computed once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    all: Vec<Step>,
    places: HashMap<Step, Id>,
}

impl Steps {
    /// The place of a step, which is added where it is new.
    pub fn add(&mut self, step: Step) -> Id {
        if let Some(at) = self.places.get(&step) {
            return *at;
        }
        self.places.insert(step.clone(), self.all.len());
        self.all.push(step);
        self.all.len() - 1
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Forgets all steps but the first.
    pub fn truncate(&mut self, len: usize) {
        self.all.truncate(len);
        self.places.retain(|_, at| *at < len);
    }
}

/// Steps whose last one is the result, and a register for each of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program {
    /// In order.
    pub steps: Vec<Step>,
    /// Register that a step's outcome is put into.
    pub registers: Vec<usize>,
    /// How many registers there are.
    pub width: usize,
}

impl Program {
    /// The steps that a result needs, with as few registers as hold what is still to be read.
    pub fn new(steps: &Steps, result: Id) -> Self {
        let mut needed = vec![false; result + 1];
        needed[result] = true;
        for at in (0..=result).rev() {
            if needed[at] {
                steps.all[at].parts().into_iter().for_each(|part| needed[part] = true);
            }
        }
        let kept: Vec<Id> = (0..=result).filter(|at| needed[*at]).collect();
        let place = |old: Id| kept.binary_search(&old).unwrap_or_default();
        let steps: Vec<Step> = kept.iter().map(|at| moved(&steps.all[*at], place)).collect();
        let mut last_read = vec![0; steps.len()];
        for (at, step) in steps.iter().enumerate() {
            step.parts().into_iter().for_each(|part| last_read[part] = at);
        }
        let (mut free, mut width, mut registers) = (Vec::new(), 0, Vec::with_capacity(steps.len()));
        for (at, step) in steps.iter().enumerate() {
            let mut parts = step.parts();
            parts.sort_unstable();
            parts.dedup();
            free.extend(parts.into_iter().filter(|part| last_read[*part] == at).map(|part| registers[part]));
            registers.push(free.pop().unwrap_or_else(|| {
                width += 1;
                width - 1
            }));
        }
        Self { steps, registers, width }
    }
}

fn moved(step: &Step, place: impl Fn(Id) -> Id) -> Step {
    match step {
        Step::Number(_) | Step::Truth(_) | Step::Constant(_) | Step::Fact(_) => step.clone(),
        Step::Negative(a) => Step::Negative(place(*a)),
        Step::Not(a) => Step::Not(place(*a)),
        Step::IsNull(a) => Step::IsNull(place(*a)),
        Step::Arithmetic(op, a, b) => Step::Arithmetic(*op, place(*a), place(*b)),
        Step::Comparison(op, a, b) => Step::Comparison(*op, place(*a), place(*b)),
        Step::And(a, b) => Step::And(place(*a), place(*b)),
        Step::Or(a, b) => Step::Or(place(*a), place(*b)),
        Step::Choice(cases, otherwise) => {
            Step::Choice(cases.iter().map(|(when, then)| (place(*when), place(*then))).collect(), otherwise.map(&place))
        }
    }
}
