//! System calls that the standard library does not offer, as safe functions.
#![allow(unsafe_code)]

use std::io;

/// A moment in the time zone of the process. `month` counts from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    pub year: i32,
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
}

pub fn local_time(unix_seconds: i64) -> LocalTime {
    // SAFETY: `tm` is plain data for which all zeros is a value; both pointers are to locals that outlive the call.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&(unix_seconds as libc::time_t), &mut tm);
        tm
    };
    LocalTime {
        year: tm.tm_year + 1900,
        month: tm.tm_mon,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
    }
}

/// Processor time in user mode and in the kernel, microseconds: of the process, of the calling thread.
pub fn processor_micros() -> [(u64, u64); 2] {
    [libc::RUSAGE_SELF, libc::RUSAGE_THREAD].map(|who| {
        // SAFETY: `rusage` is plain data for which all zeros is a value; the pointer is to a local the call fills.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        (micros(usage.ru_utime), micros(usage.ru_stime))
    })
}

pub fn page_size() -> u64 {
    // SAFETY: no pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Soft and hard limit of open files.
pub fn open_files_limit() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the type the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur, limit.rlim_max))
}

pub fn set_open_files_limit(soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a local of the type the call reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Provides memory for pages that have none; what they hold does not change.
pub fn populate(address: u64, length: u64) -> io::Result<()> {
    let start = std::ptr::without_provenance_mut(address as usize);
    // SAFETY: the call changes no contents, and fails where nothing is mapped.
    if unsafe { libc::madvise(start, length as usize, libc::MADV_POPULATE_WRITE) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The calling thread runs when others have nothing to do, or little.
pub fn be_nice() {
    // SAFETY: no pointers. It cannot fail: nobody is refused a lower priority.
    let _ = unsafe { libc::nice(10) };
}

/// When the calling thread wakes up it takes no processor away from a thread that is running; beyond that it is treated
/// like any other.
pub fn wake_patiently() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a local of the type the call reads; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The kernel gives this process no transparent huge pages any more.
pub fn disable_huge_pages() -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
