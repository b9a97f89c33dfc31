//! One buffer per worker that all its connections read into: what a connection holds is what it
//! has read and not passed on, so an idle one holds nothing, however many there are.

use std::cell::RefCell;

/// Bytes read at once.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// Lends the buffer for one read; not within another loan.
pub(crate) fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| read(buffer))
}
