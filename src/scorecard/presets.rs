//! The scorecards that are built in, as the YAML files they are.

/// A built-in scorecard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Name to put under `scorecard:`.
    pub name: &'static str,
    /// Its YAML text.
    pub text: &'static str,
}

/// Name of the scorecard that is used where none is named.
pub const DEFAULT: &str = "default";

/// All built-in scorecards.
pub const ALL: [Preset; 4] = [
    Preset { name: DEFAULT, text: include_str!("presets/default.yaml") },
    Preset { name: "plg", text: include_str!("presets/plg.yaml") },
    Preset { name: "enterprise", text: include_str!("presets/enterprise.yaml") },
    Preset { name: "consumer", text: include_str!("presets/consumer.yaml") },
];

/// The preset of that name.
pub fn find(name: &str) -> Option<Preset> {
    ALL.into_iter().find(|preset| preset.name == name)
}
