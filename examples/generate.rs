//! Writes the example inputs, `examples/data/*.parquet`: `cargo run --example generate`.
//!
//! Every customer has a hidden health; all numbers follow it, with noise, so that scores spread as real ones do. The
//! tables differ as tables from four teams do: other key names, ids as numbers in one, several rows per customer, gaps.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const CUSTOMERS: i64 = 200;
const FIRST_ID: i64 = 1001;
const SEED: u64 = 20_241_231;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    for (name, table) in tables()? {
        let path = folder.join(format!("{name}.parquet"));
        fs::write(&path, encoded(&table)?)?;
        println!("{}: {} rows, {} bytes", path.display(), table.num_rows(), path.metadata()?.len());
    }
    Ok(())
}

/// The table as a Parquet file's bytes.
fn encoded(table: &RecordBatch) -> Result<Vec<u8>, Box<dyn Error>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))?;
    writer.write(table)?;
    Ok(writer.into_inner()?)
}

/// The four tables by the names of their files; the same at every call.
pub fn tables() -> Result<Vec<(&'static str, RecordBatch)>, ArrowError> {
    let mut random = Random(SEED);
    let people: Vec<Person> = (0..CUSTOMERS).map(|at| Person::new(FIRST_ID + at, &mut random)).collect();
    Ok(vec![
        ("customers", customers(&people, &mut random)?),
        ("subscriptions", subscriptions(&people, &mut random)?),
        ("usage", usage(&people, &mut random)?),
        ("support", support(&people, &mut random)?),
    ])
}

/// Splitmix64, written out because it makes the files reproducible without a dependency or its changes of algorithm.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// The value, or a gap now and then.
fn gap<T>(value: T, probability: f64, random: &mut Random) -> Option<T> {
    if random.chance(probability) { None } else { Some(value) }
}

struct Person {
    id: i64,
    /// Hidden health, from 0 (about to leave) to 1 (thriving).
    health: f64,
    /// Size of the account, 0-1.
    size: f64,
}

impl Person {
    fn new(id: i64, random: &mut Random) -> Self {
        let health = match random.unit() {
            draw if draw < 0.2 => random.between(0.0, 0.3),
            draw if draw < 0.65 => random.between(0.3, 0.75),
            _ => random.between(0.75, 1.0),
        };
        let size = random.unit();
        Self { id, health, size: size * size }
    }

    /// The hidden health with noise, 0-1.
    fn noisy(&self, random: &mut Random, noise: f64) -> f64 {
        (self.health + random.between(-noise, noise)).clamp(0.0, 1.0)
    }
}

fn rounded(value: f64, places: i32) -> f64 {
    let factor = 10_f64.powi(places);
    (value * factor).round() / factor
}

fn days(value: f64) -> i32 {
    value.round() as i32
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn text_ids(ids: &[i64]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(ids.iter().map(i64::to_string)))
}

/// One row per customer; a few never opened an e-mail or are too new for a change to be known.
fn customers(people: &[Person], random: &mut Random) -> Result<RecordBatch, ArrowError> {
    let (mut login, mut activity, mut logins, mut adoption) = (vec![], vec![], vec![], vec![]);
    let (mut active, mut email, mut change) = (vec![], vec![], vec![]);
    for person in people {
        let quiet = 1.0 - person.noisy(random, 0.12);
        let last_login = days(quiet * quiet * 45.0);
        login.push(gap(last_login, 0.03, random));
        activity.push(gap(last_login + days(random.between(0.0, 4.0)), 0.05, random));
        let busy = person.noisy(random, 0.15);
        logins.push(Some(days(busy * 34.0)));
        active.push(gap(days((busy * 30.0).min(30.0)), 0.04, random));
        adoption.push(gap(rounded(person.noisy(random, 0.2), 2), 0.06, random));
        email.push(gap(rounded(person.noisy(random, 0.35) * 0.8, 2), 0.25, random));
        change.push(gap(rounded(person.noisy(random, 0.25) * 0.9 - 0.45, 2), 0.12, random));
    }
    let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
    table(vec![
        ("customer_id", text_ids(&ids)),
        ("last_login_days", Arc::new(Int32Array::from(login))),
        ("recency_days", Arc::new(Int32Array::from(activity))),
        ("logins_30d", Arc::new(Int32Array::from(logins))),
        ("feature_adoption_rate", Arc::new(Float64Array::from(adoption))),
        ("active_days_30d", Arc::new(Int32Array::from(active))),
        ("email_open_rate", Arc::new(Float64Array::from(email))),
        ("login_frequency_change", Arc::new(Float64Array::from(change))),
    ])
}

/// Nine customers in ten, a few of them with two or three subscriptions; the key is called `account_id`.
fn subscriptions(people: &[Person], random: &mut Random) -> Result<RecordBatch, ArrowError> {
    let (mut ids, mut status, mut failures, mut tenure) = (vec![], vec![], vec![], vec![]);
    let (mut mrr, mut interval, mut renews, mut downgrades) = (vec![], vec![], vec![], vec![]);
    for person in people {
        if random.chance(0.1) {
            continue;
        }
        let count = if random.chance(0.08) { 2 + usize::from(random.chance(0.3)) } else { 1 };
        for _ in 0..count {
            let health = person.noisy(random, 0.15);
            ids.push(person.id);
            status.push(match random.unit() {
                draw if draw < 0.08 => "trialing",
                _ if health < 0.12 => "canceled",
                _ if health < 0.2 => "unpaid",
                _ if health < 0.32 => "past_due",
                _ => "active",
            });
            failures.push(gap(days((0.6 - health).max(0.0) * 7.0), 0.05, random));
            let newest = rounded(random.unit() * random.unit(), 3);
            tenure.push(Some(20 + days((1.0 - newest) * person.noisy(random, 0.3) * 1100.0)));
            mrr.push(Some(rounded(29.0 + person.size * 1970.0, 0)));
            let annual = random.chance(0.2 + 0.6 * health);
            interval.push(if annual { "annual" } else { "monthly" });
            renews.push(gap(random.chance(0.35 + 0.6 * health), 0.05, random));
            downgrades.push(Some(i32::from(random.chance(0.35 * (1.0 - health)))));
        }
    }
    table(vec![
        ("account_id", text_ids(&ids)),
        ("status", Arc::new(StringArray::from(status))),
        ("failed_payments", Arc::new(Int32Array::from(failures))),
        ("tenure_days", Arc::new(Int32Array::from(tenure))),
        ("mrr", Arc::new(Float64Array::from(mrr))),
        ("billing_interval", Arc::new(StringArray::from(interval))),
        ("auto_renew", Arc::new(BooleanArray::from(renews))),
        ("recent_downgrades", Arc::new(Int32Array::from(downgrades))),
    ])
}

/// Four customers in five, one row for each product that they use.
fn usage(people: &[Person], random: &mut Random) -> Result<RecordBatch, ArrowError> {
    let (mut ids, mut products, mut active, mut features) = (vec![], vec![], vec![], vec![]);
    let (mut core, mut sessions, mut duration, mut actions, mut change) = (vec![], vec![], vec![], vec![], vec![]);
    for person in people {
        if random.chance(0.2) {
            continue;
        }
        let count = 2 + usize::from(random.chance(person.health)) + usize::from(random.chance(person.health));
        for product in ["editor", "reports", "api", "mobile"].into_iter().take(count) {
            let health = person.noisy(random, 0.12);
            ids.push(person.id);
            products.push(product);
            active.push(gap(days((health * 28.0).min(30.0)), 0.03, random));
            features.push(Some(days(1.0 + health * 11.0)));
            core.push(Some(days(health * 90.0)));
            sessions.push(Some(days(health * 32.0)));
            duration.push(gap(rounded(4.0 + health * 26.0, 1), 0.06, random));
            actions.push(gap(rounded(3.0 + health * 22.0, 1), 0.06, random));
            change.push(gap(rounded(person.noisy(random, 0.25) - 0.5, 2), 0.1, random));
        }
    }
    table(vec![
        ("customer_id", text_ids(&ids)),
        ("product", Arc::new(StringArray::from(products))),
        ("daily_active_days", Arc::new(Int32Array::from(active))),
        ("features_used", Arc::new(Int32Array::from(features))),
        ("core_feature_usage", Arc::new(Int32Array::from(core))),
        ("sessions", Arc::new(Int32Array::from(sessions))),
        ("session_duration_avg", Arc::new(Float64Array::from(duration))),
        ("actions_per_session", Arc::new(Float64Array::from(actions))),
        ("usage_change", Arc::new(Float64Array::from(change))),
    ])
}

/// Two customers in five, one row per quarter with tickets; the ids are numbers here and the key is `user_id`.
fn support(people: &[Person], random: &mut Random) -> Result<RecordBatch, ArrowError> {
    let (mut ids, mut tickets, mut critical) = (vec![], vec![], vec![]);
    let (mut csat, mut age, mut hours) = (vec![], vec![], vec![]);
    for person in people {
        if !random.chance(0.4) {
            continue;
        }
        for _ in 0..1 + usize::from(random.chance(0.25)) {
            let trouble = 1.0 - person.noisy(random, 0.15);
            ids.push(person.id);
            tickets.push(Some(1 + days(trouble * 6.0)));
            critical.push(Some(days((trouble - 0.45).max(0.0) * 8.0)));
            csat.push(gap((5.0 - trouble * 3.6).round(), 0.3, random));
            age.push(gap(rounded(trouble * 38.0, 1), 0.35, random));
            hours.push(gap(rounded(2.0 + trouble * 70.0, 1), 0.05, random));
        }
    }
    table(vec![
        ("user_id", Arc::new(Int64Array::from(ids))),
        ("ticket_count", Arc::new(Int32Array::from(tickets))),
        ("critical_issues", Arc::new(Int32Array::from(critical))),
        ("csat_score", Arc::new(Float64Array::from(csat))),
        ("avg_open_ticket_age_days", Arc::new(Float64Array::from(age))),
        ("resolution_time_hours", Arc::new(Float64Array::from(hours))),
    ])
}
