//! Runs by id: who may run now, who hears of it, what is logged and counted, and on which threads it works.

pub(crate) mod admission;
pub(crate) mod broadcast;
pub(crate) mod registry;
pub(crate) mod runs;
pub(crate) mod telemetry;
pub(crate) mod workers;
