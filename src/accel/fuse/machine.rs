//! Runs a program over arrays, block by block.

use std::mem;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Float64Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::common::internal_err;
use datafusion::error::Result;

use super::lane::{BLOCK, Lane, Mask, Operand, State};
use super::program::{Arithmetic, Id, Program, Step};

/// What a program makes of a batch's leaves: an array of numbers, or of conditions.
///
/// # Errors
/// Where a leaf is of another type than the program takes it for.
pub fn run(program: &Program, leaves: &[ArrayRef], rows: usize, is_number: bool) -> Result<ArrayRef> {
    let mut machine = Machine { program, leaves, lanes: vec![Lane::default(); program.width] };
    // Each step is computed here, and then put into its place.
    let mut outcome = Lane::default();
    let result = program.registers[program.steps.len() - 1];
    let mut numbers = Vec::with_capacity(if is_number { rows } else { 0 });
    let mut truth = BooleanBufferBuilder::new(if is_number { 0 } else { rows });
    let mut valid: Option<BooleanBufferBuilder> = None;
    for start in (0..rows).step_by(BLOCK) {
        let block = BLOCK.min(rows - start);
        for at in 0..program.steps.len() {
            machine.step(at, start, block, &mut outcome)?;
            mem::swap(&mut outcome, &mut machine.lanes[program.registers[at]]);
        }
        let lane = &machine.lanes[result];
        if lane.valid.state != State::Everywhere && valid.is_none() {
            let mut before = BooleanBufferBuilder::new(rows);
            before.append_n(start, true);
            valid = Some(before);
        }
        if let Some(valid) = &mut valid {
            lane.valid.append_to(valid, block);
        }
        match is_number {
            true => numbers.extend_from_slice(&lane.numbers[..block]),
            false => lane.truth.append_to(&mut truth, block),
        }
    }
    let nulls = valid.map(|mut valid| NullBuffer::new(valid.finish()));
    Ok(match is_number {
        true => Arc::new(Float64Array::new(numbers.into(), nulls)),
        false => Arc::new(BooleanArray::new(truth.finish(), nulls)),
    })
}

struct Machine<'a> {
    program: &'a Program,
    leaves: &'a [ArrayRef],
    lanes: Vec<Lane>,
}

impl Machine<'_> {
    fn lane(&self, id: Id) -> &Lane {
        &self.lanes[self.program.registers[id]]
    }

    fn operand(&self, id: Id) -> Operand<'_> {
        match self.program.steps[id] {
            Step::Constant(bits) => Operand::All(f64::from_bits(bits.unwrap_or_default())),
            _ => Operand::Rows(&self.lane(id).numbers),
        }
    }

    fn step(&self, at: usize, start: usize, rows: usize, out: &mut Lane) -> Result<()> {
        match &self.program.steps[at] {
            Step::Number(leaf) => {
                if !out.load_numbers(self.leaves[*leaf].as_ref(), start, rows) {
                    return internal_err!("a number of type {}", self.leaves[*leaf].data_type());
                }
            }
            Step::Truth(leaf) => match self.leaves[*leaf].as_boolean_opt() {
                Some(array) => out.load_truth(array, start, rows),
                None => return internal_err!("a condition of type {}", self.leaves[*leaf].data_type()),
            },
            Step::Constant(bits) => out.valid.state = if bits.is_some() { State::Everywhere } else { State::Nowhere },
            Step::Fact(fact) => {
                out.valid.state = if fact.is_some() { State::Everywhere } else { State::Nowhere };
                out.truth.state = if *fact == Some(true) { State::Everywhere } else { State::Nowhere };
            }
            Step::Arithmetic(how, a, b) => {
                out.valid.and(&self.lane(*a).valid, &self.lane(*b).valid);
                let (a, b) = (self.operand(*a), self.operand(*b));
                match how {
                    Arithmetic::Add => out.compute(a, b, |a, b| a + b),
                    Arithmetic::Subtract => out.compute(a, b, |a, b| a - b),
                    Arithmetic::Multiply => out.compute(a, b, |a, b| a * b),
                    Arithmetic::Divide => out.compute(a, b, |a, b| a / b),
                }
            }
            Step::Negative(a) => {
                out.valid.copy(&self.lane(*a).valid);
                out.compute(self.operand(*a), Operand::All(0.0), |a, _| -a);
            }
            Step::Comparison(how, a, b) => {
                out.valid.and(&self.lane(*a).valid, &self.lane(*b).valid);
                out.compare(*how, self.operand(*a), self.operand(*b));
            }
            Step::And(a, b) => {
                let (a, b) = (self.lane(*a), self.lane(*b));
                out.truth.and(&a.truth, &b.truth);
                out.valid.and(&a.valid, &b.valid);
                if out.valid.state != State::Everywhere {
                    // Known where both are true, or where one is false.
                    let (mut a_false, mut b_false, mut either) = (Mask::default(), Mask::default(), Mask::default());
                    a_false.without(&a.valid, &a.truth);
                    b_false.without(&b.valid, &b.truth);
                    either.or(&a_false, &b_false);
                    out.valid.or(&out.truth, &either);
                }
            }
            Step::Or(a, b) => {
                let (a, b) = (self.lane(*a), self.lane(*b));
                out.truth.or(&a.truth, &b.truth);
                out.valid.and(&a.valid, &b.valid);
                if out.valid.state != State::Everywhere {
                    let mut both = Mask::default();
                    both.copy(&out.valid);
                    out.valid.or(&out.truth, &both);
                }
            }
            Step::Not(a) => {
                let a = self.lane(*a);
                out.truth.without(&a.valid, &a.truth);
                out.valid.copy(&a.valid);
            }
            Step::IsNull(a) => {
                out.truth.complement(&self.lane(*a).valid);
                out.valid.state = State::Everywhere;
            }
            Step::Choice(cases, otherwise) => self.choose(out, cases, *otherwise),
        }
        Ok(())
    }

    /// From the last case to the first, so that the first true one has the last word.
    fn choose(&self, out: &mut Lane, cases: &[(Id, Id)], otherwise: Option<Id>) {
        // Cases that are true everywhere hide all behind them.
        let all = cases.iter().position(|(when, _)| self.lane(*when).truth.state == State::Everywhere);
        let (cases, last) = match all {
            Some(at) => (&cases[..at], Some(cases[at].1)),
            None => (cases, otherwise),
        };
        match last {
            Some(last) => {
                out.put(self.operand(last));
                out.valid.copy(&self.lane(last).valid);
            }
            None => out.valid.state = State::Nowhere,
        }
        for (when, then) in cases.iter().rev() {
            let chosen = &self.lane(*when).truth;
            out.choose(chosen, self.operand(*then));
            out.valid.choose(chosen, &self.lane(*then).valid);
        }
    }
}
