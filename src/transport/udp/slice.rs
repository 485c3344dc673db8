//! A thread that the kernel lets run soon, and then not for long.
//!
//! Where one core does everything, an answer waits for as long as the kernel lets other threads of equal priority run at a
//! time, which is some milliseconds. A thread that asks for short slices gets the processor as often as before, but
//! sooner, and gives it back sooner; its share and its priority stay what they are.
//!
//! **Limits:** Linux 6.12 or later heeds it; earlier kernels, and those that forbid the call, change nothing.
//!
//! **Source:** sched_setattr(2); the kernel's Documentation/scheduler/sched-eevdf.rst.

use std::{io, mem, time::Duration};

/// Asks for slices of this length for the thread that calls. Does nothing for a thread of another than the normal
/// policy, which somebody chose.
pub fn ask_for_slices(length: Duration) -> io::Result<()> {
    let mut attributes = attributes()?;
    if attributes.policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    attributes.runtime = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: a valid struct of the size that it says, which the kernel only reads; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How the calling thread is scheduled.
fn attributes() -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: a valid struct, of which the kernel writes at most the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &mut attributes, ATTRIBUTES_BYTES, 0) };
    attributes.size = ATTRIBUTES_BYTES;
    if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's `struct sched_attr`, in its first version.
#[derive(Debug, Default)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Of the normal policy: nanoseconds of a slice.
    runtime: u64,
    deadline: u64,
    period: u64,
}

const ATTRIBUTES_BYTES: u32 = mem::size_of::<Attributes>() as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_slices_that_it_asked_for_and_is_else_as_it_was() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        let is_heeded = (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 12);
        let thread = std::thread::spawn(|| {
            let before = attributes().unwrap();
            ask_for_slices(Duration::from_micros(200)).unwrap();
            (before, attributes().unwrap())
        });
        let (before, after) = thread.join().unwrap();
        assert_eq!(after.runtime == 200_000, is_heeded, "{release}: {after:?}");
        assert_eq!((after.policy, after.nice), (before.policy, before.nice));
    }
}
