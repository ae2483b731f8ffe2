//! How much disk the uploads of all calls may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The disk that uploads may take, shared by all calls.
#[derive(Debug)]
pub struct UploadQuota {
    limit: u64,
    reserved: AtomicU64,
    received: AtomicU64,
}

/// More bytes than the quota has left.
#[derive(Debug)]
pub struct QuotaExceeded {
    /// Most bytes of all uploads together.
    pub limit: u64,
}

impl UploadQuota {
    /// A quota of so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, reserved: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// Bytes that were received so far, and those that are reserved now.
    pub fn read_bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.reserved.load(Ordering::Relaxed))
    }

    fn reserve(&self, bytes: u64) -> Result<(), QuotaExceeded> {
        let fits = |reserved: u64| reserved.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let outcome = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        outcome.map_err(|_| QuotaExceeded { limit: self.limit })?;
        self.received.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// What one upload has reserved of the quota; given back when the last task that writes to the upload is done.
#[derive(Debug)]
pub struct Reservation {
    quota: Arc<UploadQuota>,
    bytes: AtomicU64,
    exceeded: AtomicBool,
}

impl Reservation {
    /// Nothing reserved yet.
    pub fn new(quota: Arc<UploadQuota>) -> Self {
        Self { quota, bytes: AtomicU64::new(0), exceeded: AtomicBool::new(false) }
    }

    /// Reserves more bytes.
    ///
    /// # Errors
    /// Where the quota has fewer left.
    pub fn reserve(&self, bytes: u64) -> Result<(), QuotaExceeded> {
        self.quota.reserve(bytes).inspect_err(|_| self.exceeded.store(true, Ordering::Relaxed))?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back bytes that were reserved.
    pub fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.quota.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Fails where any reservation of this upload was refused, also one that another task asked for.
    ///
    /// # Errors
    /// Where one was refused.
    pub fn check(&self) -> Result<(), QuotaExceeded> {
        if self.exceeded.load(Ordering::Relaxed) { Err(QuotaExceeded { limit: self.quota.limit }) } else { Ok(()) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release(self.bytes.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_share_a_quota_and_give_back_what_they_reserved() {
        let quota = Arc::new(UploadQuota::new(10));
        let (first, second) = (Reservation::new(quota.clone()), Reservation::new(quota.clone()));
        first.reserve(6).unwrap();
        assert_eq!(second.reserve(5).unwrap_err().limit, 10);
        assert!(second.check().is_err() && first.check().is_ok());
        second.reserve(4).unwrap();
        first.release(2);
        drop(first);
        assert_eq!(quota.read_bytes(), (10, 4));
        drop(second);
        assert_eq!(quota.read_bytes(), (10, 0));
    }
}
