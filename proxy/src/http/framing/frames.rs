//! HTTP/2's frames (RFC 9113 4.1), followed as far as it takes to say whether a header block is
//! incomplete. h2 bounds a block's bytes and its CONTINUATION frames, but not its time, and
//! while a block is open the peer may send nothing else: not even the answer to a PING.

/// Bytes of the preface, and of a frame's head.
const PREFACE: u32 = 24;
const HEAD: usize = 9;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes that are passed over: the preface, then payloads.
    skip: u32,
    head: [u8; HEAD],
    filled: usize,
    /// In a header block, up to the frame that ends it.
    open: bool,
    /// The current payload ends the block.
    ends: bool,
    ended: bool,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            filled: 0,
            open: false,
            ends: false,
            ended: false,
        }
    }
}

impl Frames {
    /// Whether a header block has begun and not ended.
    pub(super) fn in_head(&self) -> bool {
        self.open
    }

    /// Whether a header block has ended since the last call.
    pub(super) fn take_head_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.skip > 0 {
                let step = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                self.skip -= u32::try_from(step).unwrap_or(self.skip);
                rest = rest.get(step..).unwrap_or_default();
            } else {
                let step = (HEAD - self.filled).min(rest.len());
                let (taken, tail) = rest.split_at_checked(step).unwrap_or_default();
                if let Some(room) = self.head.get_mut(self.filled..self.filled + step) {
                    room.copy_from_slice(taken);
                }
                self.filled += step;
                rest = tail;
                if self.filled == HEAD {
                    self.filled = 0;
                    self.begin_frame();
                }
            }
            if self.skip == 0 && self.filled == 0 && self.ends {
                self.ends = false;
                self.open = false;
                self.ended = true;
            }
        }
    }

    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.skip = u32::from_be_bytes([0, a, b, c]);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.open = true;
            self.ends = flags & END_HEADERS != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + usize::from(length), b'x');
        frame
    }

    /// `(in a head, heads ended)` after these bytes, cut in pieces of any size.
    fn after(frames: &[Vec<u8>]) -> (bool, u32) {
        let mut bytes = vec![0; 24];
        bytes.extend(frames.concat());
        let mut found = None;
        for size in 1..=bytes.len() {
            let mut scanner = Frames::default();
            let mut heads = 0;
            for piece in bytes.chunks(size) {
                scanner.scan(piece);
                heads += u32::from(scanner.take_head_ended());
            }
            if size <= 9 {
                let result = (scanner.in_head(), heads);
                assert_eq!(*found.get_or_insert(result), result, "cut at {size}");
            }
            assert_eq!(scanner.in_head(), found.unwrap().0, "cut at {size}");
        }
        found.unwrap()
    }

    #[test]
    fn a_block_is_open_until_the_frame_that_ends_it_has_come() {
        assert_eq!(after(&[]), (false, 0));
        assert_eq!(after(&[frame(4, 0, 12), frame(6, 0, 8)]), (false, 0));
        assert_eq!(after(&[frame(1, 0, 20)]), (true, 0));
        assert_eq!(after(&[frame(1, 0, 20), frame(9, 0, 10)]), (true, 0));
        assert_eq!(after(&[frame(1, 0, 20), frame(9, 4, 10)]), (false, 1));
        assert_eq!(after(&[frame(1, 4, 10)]), (false, 1));
        assert_eq!(after(&[frame(1, 4, 10), frame(0, 1, 30)]), (false, 1));
        let mut half = frame(1, 4, 10);
        half.truncate(15);
        assert_eq!(after(&[half]), (true, 0));
    }

    #[test]
    fn an_empty_ending_frame_ends_the_block() {
        assert_eq!(after(&[frame(1, 0, 20), frame(9, 4, 0)]), (false, 1));
    }

    #[test]
    fn blocks_one_after_another_are_told_apart() {
        let blocks = [frame(1, 4, 10), frame(1, 5, 10), frame(1, 0, 10)];
        assert_eq!(after(&blocks), (true, 2));
    }
}
