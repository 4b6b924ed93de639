//! What the remote shell writes, decoded. Binary-safe, independent of how the bytes are cut into packets.

use super::elevate::find;
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
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) buffer: BytesMut,
    /// Stands after everything that a step printed.
    mark: Vec<u8>,
    /// A step's end whose text is still on its way.
    ending: Option<Ending>,
}

/// The end of a step, up to where its text has come.
#[derive(Debug)]
struct Ending {
    id: u32,
    rc: i32,
    part: Part,
    /// Whether there is text of standard output, and of standard error.
    follows: [bool; 2],
    /// What has come of it.
    texts: Vec<(Bytes, bool)>,
    /// How much of the buffer holds no mark.
    searched: usize,
}

impl Decoder {
    /// `nonce`: what ends a step's text; nobody there can know it before.
    pub(super) fn new(nonce: &str) -> Self {
        Self { buffer: BytesMut::new(), mark: format!("\n{nonce}\n").into_bytes(), ending: None }
    }

    /// The next frame, or `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        if self.ending.is_none() {
            let Some(end) = self.buffer.iter().take(LINE_CAP).position(|&b| b == b'\n') else {
                return if self.buffer.len() < LINE_CAP { Ok(None) } else { Err(self.strange()) };
            };
            let Some(line) = std::str::from_utf8(&self.buffer[..end]).ok().and_then(Line::parse) else {
                return Err(self.strange());
            };
            let frame = match line {
                Line::Start(id) => Some(Frame::Start(id)),
                Line::End => Some(Frame::End),
                Line::Fail(why) => Some(Frame::Fail(why.to_owned())),
                Line::Done { id, rc, part, follows } => {
                    self.ending = Some(Ending { id, rc, part, follows, texts: Vec::new(), searched: 0 });
                    None
                }
            };
            self.buffer.advance(end + 1);
            if frame.is_some() {
                return Ok(frame);
            }
        }
        self.end()
    }

    /// The texts of the step that ended, once both are whole.
    fn end(&mut self) -> Result<Option<Frame>, String> {
        let Some(ending) = &mut self.ending else { return Ok(None) };
        while let Some(follows) = ending.follows.get(ending.texts.len()) {
            if !follows {
                ending.texts.push((Bytes::new(), false));
                continue;
            }
            let Some(at) = find(&self.buffer[ending.searched..], &self.mark).map(|at| at + ending.searched) else {
                if self.buffer.len() > STREAM_CAP + 1 + self.mark.len() {
                    return Err("the shell sent more of a step's output than it may".to_owned());
                }
                ending.searched = self.buffer.len().saturating_sub(self.mark.len() - 1);
                return Ok(None);
            };
            let text = Bytes::copy_from_slice(&self.buffer[..at.min(STREAM_CAP)]);
            ending.texts.push((text, at > STREAM_CAP));
            ending.searched = 0;
            self.buffer.advance(at + self.mark.len());
        }
        let Some(Ending { id, rc, part, texts, .. }) = self.ending.take() else { return Ok(None) };
        let truncated = texts.iter().any(|(_, more)| *more);
        let mut texts = texts.into_iter().map(|(text, _)| text);
        let (stdout, stderr) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        Ok(Some(Frame::Done { id, rc, part, stdout, stderr, truncated }))
    }

    fn strange(&self) -> String {
        let shown = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(80)]).into_owned();
        format!("the shell sent something else than a frame: {shown:?}")
    }
}

enum Line<'a> {
    Start(u32),
    Done { id: u32, rc: i32, part: Part, follows: [bool; 2] },
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
            ["done", id, rc, part, out, err] => {
                let follows = |sign: &str| match sign {
                    "+" => Some(true),
                    "-" => Some(false),
                    _ => None,
                };
                let part = match part {
                    "c" => Part::Check,
                    "a" => Part::Apply,
                    _ => return None,
                };
                Some(Self::Done { id: id.parse().ok()?, rc: rc.parse().ok()?, part, follows: [follows(out)?, follows(err)?] })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Frame, Part, STREAM_CAP};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Frame>, String> {
        let (mut decoder, mut frames) = (Decoder::new("MARK"), Vec::new());
        for chunk in chunks {
            decoder.buffer.extend_from_slice(chunk);
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn a_text_that_looks_like_frames_stays_a_text() {
        let done = |stdout: &'static [u8], stderr: &'static [u8]| Frame::Done {
            id: 1,
            rc: 7,
            part: Part::Check,
            stdout: Bytes::from_static(stdout),
            stderr: Bytes::from_static(stderr),
            truncated: false,
        };
        let frames = decode(&[b"start 1\ndone 1 7 c + +\nend\nstart 9\n\nMARK\nbin\nMARK\nend\n"]).unwrap();
        assert_eq!(frames, [Frame::Start(1), done(b"end\nstart 9\n", b"bin"), Frame::End]);
        let frames = decode(&[b"start 1\ndone 1 7 c - +\nMARK\n\nMAR", b"K\nend\n"]).unwrap();
        assert_eq!(frames, [Frame::Start(1), done(b"", b"MARK\n"), Frame::End]);
    }

    #[test]
    fn what_is_cut_says_so() {
        let text = |size: usize| [&b"done 1 0 c + -\n"[..], &vec![b'x'; size], b"\nMARK\nend\n"].concat();
        for (size, cut) in [(STREAM_CAP, false), (STREAM_CAP + 1, true)] {
            let bytes = text(size);
            let frames = decode(&bytes.chunks(4096).collect::<Vec<_>>()).unwrap();
            assert!(matches!(&frames[0], Frame::Done { stdout, truncated, .. } if stdout.len() == STREAM_CAP && *truncated == cut));
        }
        assert!(decode(&text(STREAM_CAP + 100).chunks(50).collect::<Vec<_>>()).is_err(), "no text is longer");
    }

    #[test]
    fn strange_lines_are_refused() {
        for bad in ["hello\n", "done 1 0 c ++ -\n", "done 1 0 x - -\n", "start -1\n", "done 1 0 c -\n"] {
            assert!(decode(&[bad.as_bytes()]).is_err(), "{bad}");
        }
        assert!(decode(&[&[b'x'; 600]]).is_err());
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(out in prop::collection::vec(any::<u8>(), 0..200), err in prop::collection::vec(any::<u8>(), 0..50), cut in 1_usize..40) {
            let sign = |text: &[u8]| if text.is_empty() { '-' } else { '+' };
            let mut bytes = format!("start 3\ndone 3 0 a {} {}\n", sign(&out), sign(&err)).into_bytes();
            for text in [&out, &err] {
                if !text.is_empty() {
                    bytes.extend_from_slice(text);
                    bytes.extend_from_slice(b"\nMARK\n");
                }
            }
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
