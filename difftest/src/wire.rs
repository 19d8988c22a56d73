//! One connection as a tester uses it: bytes out, whole frames in, and nothing decided by a delay.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use kevy::resp::Frame;

/// How long a frame that must come may take. Only a server that is broken makes a run wait for so long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    Tcp(String),
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A client's end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    /// Where in the buffer the next frame begins.
    start: usize,
}

impl Wire {
    pub fn connect(address: &Address) -> io::Result<Wire> {
        let stream = match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Stream::Unix(stream)
            }
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Wire { stream, buffer: Vec::new(), start: 0 })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Unix(stream) => stream.write_all(bytes),
            Stream::Tcp(stream) => stream.write_all(bytes),
        }
    }

    /// The next frame, which must come.
    pub fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.buffered_frame()? {
                return Ok(frame);
            }
            self.fill().map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "no reply"),
                _ => error,
            })?;
        }
    }

    /// The next frame, if it has come or begun to come.
    pub fn poll_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(frame) = self.buffered_frame()? {
            return Ok(Some(frame));
        }
        self.set_nonblocking(true)?;
        let filled = self.fill();
        self.set_nonblocking(false)?;
        match filled {
            Ok(()) => self.read_frame().map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.buffer.len() == self.start => {
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.read_frame().map(Some),
            Err(error) => Err(error),
        }
    }

    /// Whether the server has closed the connection; what has arrived stays to be read.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.set_nonblocking(true)?;
        let filled = self.fill();
        self.set_nonblocking(false)?;
        Ok(filled.is_err_and(|error| error.kind() != ErrorKind::WouldBlock))
    }

    /// What has arrived and is no whole frame.
    pub fn left(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match &self.stream {
            Stream::Unix(stream) => stream.set_nonblocking(on),
            Stream::Tcp(stream) => stream.set_nonblocking(on),
        }
    }

    fn buffered_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let rest = &self.buffer[self.start..];
        let Some(len) = frame_len(rest)? else { return Ok(None) };
        let frame = rest[..len].to_vec();
        self.start += len;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        Ok(Some(frame))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 1 << 16];
        let count = loop {
            let read = match &mut self.stream {
                Stream::Unix(stream) => stream.read(&mut chunk),
                Stream::Tcp(stream) => stream.read(&mut chunk),
            };
            match read {
                // This process had been stopped meanwhile.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// Sends one command and reads one frame.
    pub fn call<A: AsRef<[u8]>>(&mut self, argv: &[A]) -> io::Result<Frame> {
        let mut bytes = Vec::new();
        encode(argv, &mut bytes);
        self.send(&bytes)?;
        decode(&self.read_frame()?)
    }
}

/// Appends a command as clients send it.
pub fn encode<A: AsRef<[u8]>>(argv: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", argv.len()).as_bytes());
    for arg in argv {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// The tree of a whole frame.
pub fn decode(bytes: &[u8]) -> io::Result<Frame> {
    match Frame::decode(bytes) {
        Ok(Some((frame, len))) if len == bytes.len() => Ok(frame),
        Ok(_) => Err(malformed("not one frame")),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

/// The length of the first frame, if it is all there. Only the structure is looked at.
fn frame_len(bytes: &[u8]) -> io::Result<Option<usize>> {
    let mut at = 0;
    let mut missing = 1u64;
    while missing > 0 {
        // A line holds no carriage return but the one that ends it.
        let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\r') else { return Ok(None) };
        let line = &bytes[at..at + end];
        at += end + 2;
        missing -= 1;
        let count = || -> io::Result<u64> {
            let text = std::str::from_utf8(&line[1..]).ok();
            let count: i64 = text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed("length"))?;
            Ok(count.max(0) as u64)
        };
        match line.first() {
            Some(b'$' | b'=') if line[1..] != *b"-1" => at += count()? as usize + 2,
            Some(b'*' | b'~' | b'>') => missing += count()?,
            Some(b'%') => missing += 2 * count()?,
            Some(b'|') => missing += 2 * count()? + 1,
            Some(b'+' | b'-' | b':' | b'$' | b'_' | b'#' | b',' | b'(') => {}
            _ => return Err(malformed("unknown type of frame")),
        }
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_the_decoder_says() {
        let frames: [&[u8]; 10] = [
            b"+OK\r\n",
            b"-ERR a\r\n",
            b":-1\r\n",
            b"$3\r\na\r\n\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*2\r\n$0\r\n\r\n*1\r\n_\r\n",
            b"%1\r\n+a\r\n~2\r\n#t\r\n,1.5\r\n",
            b">1\r\n=5\r\ntxt:a\r\n",
            b"|1\r\n+a\r\n:1\r\n(12\r\n",
        ];
        for frame in frames {
            let mut bytes = frame.to_vec();
            bytes.extend_from_slice(b"+next\r\n");
            assert_eq!(frame_len(&bytes).unwrap(), Some(frame.len()), "{frame:?}");
            assert!(decode(frame).is_ok(), "{frame:?}");
            for short in 0..frame.len() {
                assert_eq!(frame_len(&frame[..short]).unwrap(), None, "{frame:?} cut at {short}");
            }
        }
        assert!(frame_len(b"what\r\n").is_err());
    }
}
