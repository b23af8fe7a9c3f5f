//! What a call uses. The units of DynamoDB are counted by the end-to-end test `cost`, which fails
//! if they differ from these.

/// What one call of a route uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// The route.
    pub route: &'static str,
    /// Write request units.
    pub write_units: f64,
    /// Read request units.
    pub read_units: f64,
    /// Memory of the function, in GB.
    pub memory_gb: f64,
    /// Billed time of a warm function, in milliseconds. Assumed for a region, where a call to
    /// DynamoDB takes 3 to 5 ms: not measured in one.
    pub milliseconds: f64,
    /// Lines in the function's and the gateway's log, in bytes.
    pub log_bytes: f64,
}

impl Call {
    /// What Lambda bills for one call: memory by time, an estimate as its milliseconds are one.
    #[must_use]
    pub const fn gb_milliseconds(&self) -> f64 {
        self.memory_gb * self.milliseconds
    }
}

/// A sign-in of a user with one other session: the session is one write, counting attempts four.
pub const AUTHENTICATE: Call = Call {
    route: "POST /authenticate",
    write_units: 5.0,
    read_units: 3.0,
    memory_gb: 1769.0 / 1024.0,
    milliseconds: 45.0,
    log_bytes: 1_500.0,
};

/// A rotation.
pub const REFRESH: Call = Call {
    route: "POST /refresh",
    write_units: 1.0,
    read_units: 1.0,
    memory_gb: 0.25,
    milliseconds: 8.0,
    log_bytes: 1_100.0,
};

/// A page of up to 4 KiB of the list of users.
pub const USERS: Call = Call {
    route: "GET /users",
    write_units: 0.0,
    read_units: 0.5,
    memory_gb: 0.25,
    milliseconds: 8.0,
    log_bytes: 1_100.0,
};
