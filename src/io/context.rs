//! What a run reads and writes with: a session of DataFusion's, and all that bounds what strangers can do with it.

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;

use super::roots::Roots;
use super::spill::Spilled;
use super::store::Stores;
use crate::cluster::Cluster;
use crate::intake::limits::InputLimits;
use crate::intake::page_headers::Arriving;

/// Where the paths of a component may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Wherever the user may read and write whose process it is.
    Unrestricted,
    /// Into these folders and prefixes only.
    Within(Roots),
}

impl Access {
    /// The folders and prefixes, where there are such bounds.
    pub fn roots(&self) -> Option<&Roots> {
        match self {
            Self::Unrestricted => None,
            Self::Within(roots) => Some(roots),
        }
    }
}

/// What bounds the runs of an engine, and what they share.
#[derive(Debug, Clone)]
pub struct Guards {
    /// Rows and bytes that an input may have.
    pub limits: InputLimits,
    /// Where paths may lead.
    pub access: Access,
    /// Clients of object stores.
    pub stores: Arc<Stores>,
    /// Counts what plans write to disk because memory does not suffice.
    pub spilled: Arc<Spilled>,
    /// The cluster that runs plans in place of this process, where there is one.
    pub cluster: Option<Arc<Cluster>>,
    /// Whether plans of this process go through the optional physical rules.
    pub accel: bool,
}

/// A session for one run together with what guards it: no input is opened and no output claimed without one.
#[derive(Debug, Clone)]
pub struct RunContext {
    session: SessionState,
    guards: Guards,
    page_checks: Arc<Arriving>,
}

impl RunContext {
    /// A session with its guards; nothing of the run is known yet.
    pub fn new(session: SessionState, guards: Guards) -> Self {
        Self { session, guards, page_checks: Arc::default() }
    }

    /// The same run in a session with other settings or rules.
    pub fn with_session(&self, session: SessionState) -> Self {
        Self { session, ..self.clone() }
    }

    /// DataFusion's session.
    pub fn session(&self) -> &SessionState {
        &self.session
    }

    /// Rows and bytes that an input may have.
    pub fn limits(&self) -> InputLimits {
        self.guards.limits
    }

    /// Where paths may lead.
    pub fn access(&self) -> &Access {
        &self.guards.access
    }

    /// Clients of object stores.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.guards.stores
    }

    /// Counts what plans write to disk because memory does not suffice.
    pub fn spilled(&self) -> &Arc<Spilled> {
        &self.guards.spilled
    }

    /// The cluster that runs plans in place of this process, where there is one.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.guards.cluster.as_ref()
    }

    /// Whether plans of this process go through the optional physical rules.
    pub fn accel(&self) -> bool {
        self.guards.accel
    }

    /// The pages of objects that are looked at as they arrive from their stores.
    pub fn page_checks(&self) -> &Arc<Arriving> {
        &self.page_checks
    }
}
