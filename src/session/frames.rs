//! What the remote shell writes, decoded. Binary-safe, independent of how the bytes are cut into packets.

use bytes::{Buf, Bytes, BytesMut};

/// What one stream of a step may send at most; the shell's side cuts it (`prelude.sh`).
pub(super) const STREAM_CAP: usize = 1 << 20;

/// No line of ours is longer.
const LINE_CAP: usize = 512;

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Check,
    Apply,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Start(u32),
    Done {
        id: u32,
        rc: i32,
        part: Part,
        stdout: Bytes,
        stderr: Bytes,
        truncated: bool,
    },
    /// The shell itself could not do something (write a blob).
    Fail(String),
    End,
}

/// Bytes in, frames out.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pub(super) buffer: BytesMut,
}

impl Decoder {
    /// The next frame, or `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        let Some(end) = self.buffer.iter().take(LINE_CAP).position(|&b| b == b'\n') else {
            return if self.buffer.len() < LINE_CAP { Ok(None) } else { Err(self.strange()) };
        };
        let Some(line) = std::str::from_utf8(&self.buffer[..end]).ok().and_then(Line::parse) else {
            return Err(self.strange());
        };
        let (frame, size) = match line {
            Line::Start(id) => (Frame::Start(id), 0),
            Line::End => (Frame::End, 0),
            Line::Fail(why) => (Frame::Fail(why.to_owned()), 0),
            Line::Done { id, rc, part, sent: [out, err], there } => {
                let size = out + err;
                if self.buffer.len() < end + 1 + size {
                    return Ok(None);
                }
                let stdout = Bytes::copy_from_slice(&self.buffer[end + 1..][..out]);
                let stderr = Bytes::copy_from_slice(&self.buffer[end + 1 + out..][..err]);
                (Frame::Done { id, rc, part, stdout, stderr, truncated: there != [out as u64, err as u64] }, size)
            }
        };
        self.buffer.advance(end + 1 + size);
        Ok(Some(frame))
    }

    fn strange(&self) -> String {
        let shown = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(80)]).into_owned();
        format!("the shell sent something else than a frame: {shown:?}")
    }
}

enum Line<'a> {
    Start(u32),
    Done { id: u32, rc: i32, part: Part, sent: [usize; 2], there: [u64; 2] },
    Fail(&'a str),
    End,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if let Some(why) = line.strip_prefix("fail ") {
            return Some(Self::Fail(why));
        }
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            ["end"] => Some(Self::End),
            ["start", id] => Some(Self::Start(id.parse().ok()?)),
            ["done", id, rc, part, out, err, all_out, all_err] => {
                let size = |text: &str| text.parse().ok().filter(|&n: &usize| n <= STREAM_CAP);
                let (sent, there) = ([size(out)?, size(err)?], [all_out.parse().ok()?, all_err.parse().ok()?]);
                let part = match part {
                    "c" => Part::Check,
                    "a" => Part::Apply,
                    _ => return None,
                };
                Some(Self::Done { id: id.parse().ok()?, rc: rc.parse().ok()?, part, sent, there })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Frame, Part};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Frame>, String> {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for chunk in chunks {
            decoder.buffer.extend_from_slice(chunk);
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn a_payload_that_looks_like_frames_stays_a_payload() {
        let frames = decode(&[b"start 1\ndone 1 7 c 12 3 12 9999999\nend\nstart 9\nbin\nend\n"]);
        let done = Frame::Done {
            id: 1,
            rc: 7,
            part: Part::Check,
            stdout: Bytes::from_static(b"end\nstart 9\n"),
            stderr: Bytes::from_static(b"bin"),
            truncated: true,
        };
        // The line feed after the payload is no frame.
        assert!(frames.is_err());
        let frames = decode(&[b"start 1\ndone 1 7 c 12 3 12 9999999\nend\nstart 9\nbinend\n"]).unwrap();
        assert_eq!(frames, [Frame::Start(1), done, Frame::End]);
    }

    #[test]
    fn strange_lines_and_sizes_are_refused() {
        for bad in ["hello\n", "done 1 0 c 1048577 0 1048577 0\n", "done 1 0 x 0 0 0 0\n", "start -1\n", "done 1 0 c 0 0\n"] {
            assert!(decode(&[bad.as_bytes()]).is_err(), "{bad}");
        }
        assert!(decode(&[&[b'x'; 600]]).is_err());
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(out in prop::collection::vec(any::<u8>(), 0..200), err in prop::collection::vec(any::<u8>(), 0..50), cut in 1_usize..40) {
            let mut bytes = format!("start 3\ndone 3 0 a {0} {1} {0} {1}\n", out.len(), err.len()).into_bytes();
            bytes.extend_from_slice(&out);
            bytes.extend_from_slice(&err);
            bytes.extend_from_slice(b"end\n");
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            let frames = decode(&chunks).unwrap();
            let done = Frame::Done { id: 3, rc: 0, part: Part::Apply, stdout: out.into(), stderr: err.into(), truncated: false };
            prop_assert_eq!(frames, vec![Frame::Start(3), done, Frame::End]);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&[&bytes]);
        }
    }
}
