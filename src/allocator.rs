//! How the C library's allocator is set for this program: an arena for each processor, memory kept for what comes next.

/// Sets it, unless the environment has settings of its own. To be called before other threads are started.
///
/// By default glibc has eight arenas for each processor, so that what one thread gave back is no use to the next, and it
/// gives memory back to the system over and over in the middle of a run, which is then faulted in again.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn set() {
    /// Bytes at the end of an arena that it keeps.
    const KEPT: libc::c_int = 64 << 20;
    /// Bytes from which on an allocation is mapped, and given back, by itself: as many as glibc accepts.
    const MAPPED: libc::c_int = 32 << 20;
    let own = |(name, _): (std::ffi::OsString, _)| {
        let name = name.to_string_lossy();
        name.starts_with("MALLOC_") || name == "GLIBC_TUNABLES"
    };
    if std::env::vars_os().any(own) {
        return;
    }
    let processors = std::thread::available_parallelism().map_or(1, |processors| processors.get());
    let arenas = libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX);
    for (what, value) in [(libc::M_ARENA_MAX, arenas), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, MAPPED)]
    {
        // A value that glibc does not take leaves its default.
        // SAFETY: mallopt reads two numbers; it must not run beside other threads, of which there are none yet.
        #[allow(unsafe_code, reason = "there is no other way to set this from within")]
        unsafe {
            libc::mallopt(what, value);
        }
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn set() {}
