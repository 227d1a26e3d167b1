//! A WebSocket client that costs next to nothing: frames are read in place, and all pushed messages go out in one write.
//!
//! It supports only what our host sends: whole binary frames, and a close. Tests use `reapply_testing::Socket`, but a message costs that one about as
//! much as it costs the host, on the same processors: the figures would show the client as much as the host.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use reapply_sync::SUBPROTOCOL;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The minimum space for a read.
const READ_BYTES: usize = 16 * 1024;

/// The maximum number of bytes of a handshake's answer.
const HANDSHAKE_BYTES_MAX: usize = 4 * 1024;

const OPCODE_BINARY: u8 = 0x2;
const OPCODE_CLOSE: u8 = 0x8;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// The read buffer, of which `start..end` is not consumed yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The write buffer.
    out: Vec<u8>,
    received_bytes: usize,
}

impl Socket {
    /// Opens a connection to a path, under the subprotocol.
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let out = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        let mut socket = Self { stream, buffer: vec![], start: 0, end: 0, out: out.into(), received_bytes: 0 };
        socket.flush().await?;
        socket.read_handshake().await?;
        Ok(socket)
    }

    /// Adds a message to the next write.
    pub(crate) fn push(&mut self, payload: &[u8]) {
        push_frame(&mut self.out, payload);
    }

    /// Writes all pushed messages.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.out).await.context("the host closed the connection")?;
        self.out.clear();
        Ok(())
    }

    /// Reads once, and waits until there is something.
    pub(crate) async fn fill(&mut self) -> anyhow::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.resize((self.end + READ_BYTES).max(self.buffer.len() * 2), 0);
        }
        let count = self.stream.read(&mut self.buffer[self.end..]).await?;
        ensure!(count > 0, "the host closed the connection without a word");
        self.end += count;
        self.received_bytes += count;
        Ok(())
    }

    /// Returns the next complete message.
    pub(crate) fn next_message(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let unread = &self.buffer[self.start..self.end];
        let Some((opcode, from, to)) = parse_frame(unread)? else { return Ok(None) };
        let message = self.start + from..self.start + to;
        self.start += to;
        match opcode {
            OPCODE_BINARY => Ok(Some(&self.buffer[message])),
            OPCODE_CLOSE => bail!("the host closed the session"),
            _ => bail!("the host sent a frame with opcode {opcode}"),
        }
    }

    /// Returns the bytes received so far, with HTTP and framing.
    pub(crate) fn received_bytes(&self) -> usize {
        self.received_bytes
    }

    /// Returns a second handle to the connection, for writing from another thread. It does not block.
    pub(crate) fn split_writer(self) -> anyhow::Result<(Self, std::net::TcpStream)> {
        let stream = self.stream.into_std()?;
        let writer = stream.try_clone()?;
        Ok((Self { stream: TcpStream::from_std(stream)?, ..self }, writer))
    }

    async fn read_handshake(&mut self) -> anyhow::Result<()> {
        loop {
            self.fill().await?;
            let unread = &self.buffer[self.start..self.end];
            if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&unread[..end]);
                ensure!(head.starts_with("HTTP/1.1 101 "), "no WebSocket: {head}");
                self.start += end + 4;
                return Ok(());
            }
            ensure!(unread.len() < HANDSHAKE_BYTES_MAX, "the answer to the handshake does not end");
        }
    }
}

/// Appends a client's frame. The masking key is zero, so that masking changes nothing while the host's unmasking costs the usual time.
pub(crate) fn push_frame(out: &mut Vec<u8>, payload: &[u8]) {
    const FIN: u8 = 0x80;
    const MASKED: u8 = 0x80;
    const KEY: [u8; 4] = [0; 4];
    out.push(FIN | OPCODE_BINARY);
    match payload.len() {
        len @ ..126 => out.push(MASKED | len as u8),
        len @ 126..0x1_0000 => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    out.extend_from_slice(payload);
}

/// Returns the opcode of the first frame, and the place of its payload; `None` if it is incomplete.
fn parse_frame(bytes: &[u8]) -> anyhow::Result<Option<(u8, usize, usize)>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    ensure!(first & 0xf0 == 0x80, "the host sent a frame in parts, or with reserved bits");
    ensure!(second & 0x80 == 0, "the host sent a masked frame");
    let (from, len): (usize, usize) = match second & 0x7f {
        126 => {
            let Some(len) = rest.first_chunk::<2>() else { return Ok(None) };
            (4, usize::from(u16::from_be_bytes(*len)))
        }
        127 => {
            let Some(len) = rest.first_chunk::<8>() else { return Ok(None) };
            (10, usize::try_from(u64::from_be_bytes(*len))?)
        }
        len => (2, usize::from(len)),
    };
    let to = from.checked_add(len).context("a frame of impossible length")?;
    Ok((bytes.len() >= to).then_some((first & 0x0f, from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_class_are_found_whole_and_not_before() {
        for len in [0usize, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let mut frame = Vec::new();
            push_frame(&mut frame, &vec![7; len]);
            // A server's frames are not masked.
            let header = frame.len() - len - 4;
            frame.drain(header..header + 4);
            frame[1] &= 0x7f;
            for cut in (0..frame.len()).rev().take(3).chain(0..header.min(frame.len())) {
                assert_eq!(parse_frame(&frame[..cut]).unwrap(), None, "{len} bytes, cut at {cut}");
            }
            frame.push(9);
            assert_eq!(parse_frame(&frame).unwrap(), Some((OPCODE_BINARY, header, header + len)));
        }
    }

    #[test]
    fn frames_that_no_host_of_ours_sends_are_refused() {
        assert!(parse_frame(&[0x02, 0x00]).is_err(), "not final");
        assert!(parse_frame(&[0x82, 0x80]).is_err(), "masked");
    }
}
