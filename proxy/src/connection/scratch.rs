//! One buffer per worker that all its connections read into: what a connection holds is what it
//! has read and not passed on, so an idle one holds nothing, however many there are. And one that
//! they write from, for as long as a message is on its way.

use std::cell::{Cell, RefCell};

/// Bytes read at once.
const SCRATCH: usize = 64 * 1024;

/// A buffer that is larger is not kept.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// What the last message was written from: warm, and as large as they are.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// Lends the buffer for one read; not within another loan.
pub(crate) fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| read(buffer))
}

/// An empty buffer to write from; with room, unless all of it is lent.
pub(crate) fn lend() -> Vec<u8> {
    SPARE.take()
}

/// Takes a buffer back, for the next message.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if (1..=KEPT).contains(&buffer.capacity()) {
        buffer.clear();
        SPARE.set(buffer);
    }
}
