//! Settings that `up` has and some services have too.

use std::time::Duration;

use anyhow::Context;
use api_keys::{AccessTokenLife, HashWork};
use authn::Budget;
use proto::Channel;
use scim_facade::ProvisioningLog;

use crate::duration;

/// What one tenant may ask of a process.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// How many requests a second a tenant may send to one process, twice as many at once; more are answered 429. At least 25
    #[arg(long, env = "ROLLCALL_TENANT_REQUESTS_PER_SECOND", default_value_t = 500, value_name = "NUMBER")]
    tenant_requests_per_second: u32,
}

impl Limits {
    /// The budget of each tenant.
    pub(crate) fn budget(self) -> anyhow::Result<Budget> {
        Budget::new(self.tenant_requests_per_second).context("--tenant-requests-per-second")
    }
}

/// How long a log is kept at most: as long as the audit log.
pub(crate) const LOG_RETENTION_MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// And at least.
const LOG_RETENTION_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the provisioning log is kept.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Provisioning log")]
pub(crate) struct LogRetention {
    /// How long the provisioning log is kept: 1d to 400d
    #[arg(long, env = "ROLLCALL_PROVISIONING_LOG_RETENTION", default_value = "30d", value_name = "DURATION", value_parser = duration::parse)]
    provisioning_log_retention: Duration,
}

impl LogRetention {
    pub(crate) fn retention(self) -> anyhow::Result<Duration> {
        let retention = self.provisioning_log_retention;
        let is_allowed = (LOG_RETENTION_MIN..=LOG_RETENTION_MAX).contains(&retention);
        anyhow::ensure!(is_allowed, "--provisioning-log-retention: from 1d to 400d");
        Ok(retention)
    }
}

/// Whether the provisioning log is written: to measure what it costs.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct LogSwitch {
    #[arg(long, hide = true, value_enum, default_value_t)]
    provisioning_log: Switch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    #[default]
    On,
    Off,
}

impl LogSwitch {
    /// The log of a façade that identity keeps.
    pub(crate) fn start(self, identity: Channel) -> ProvisioningLog {
        match self.provisioning_log {
            Switch::On => ProvisioningLog::start(identity),
            Switch::Off => ProvisioningLog::off(),
        }
    }
}

/// How credentials are kept and what they are exchanged for.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Keys {
    /// The memory that argon2id takes for a key's hash, in KiB. Keys hashed with less are hashed again when they are used
    #[arg(long, env = "ROLLCALL_ARGON2_MEMORY_KIB", default_value_t = 19_456, value_name = "KIB")]
    argon2_memory_kib: u32,
    /// The passes of argon2id over that memory
    #[arg(long, env = "ROLLCALL_ARGON2_PASSES", default_value_t = 2, value_name = "NUMBER")]
    argon2_passes: u32,
    /// How long the access tokens of OAuth clients live: 1h to 6h
    #[arg(long, env = "ROLLCALL_ACCESS_TOKEN_LIFE", default_value = "1h", value_name = "DURATION", value_parser = duration::parse)]
    access_token_life: Duration,
}

impl Keys {
    /// The work of a hash.
    pub(crate) fn hash_work(self) -> anyhow::Result<HashWork> {
        HashWork::new(self.argon2_memory_kib, self.argon2_passes).context("--argon2-memory-kib, --argon2-passes")
    }

    /// The life of access tokens.
    pub(crate) fn access_token_life(self) -> anyhow::Result<AccessTokenLife> {
        self.access_token_life.try_into().context("--access-token-life")
    }
}
