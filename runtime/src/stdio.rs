//! Where the output of guests goes, and how lines of concurrent calls stay whole.
//!
//! Main writes straight through, so that progress shows at once. Every other call collects a line and
//! hands it on whole; what is left without a newline follows when the call ends, in the same call.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Receives what guests print and what the runtime says about failed calls.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Writes all bytes at once.
    ///
    /// # Errors
    /// What the system says, for instance a closed pipe; the guest sees it as `EPIPE`.
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()>;

    /// Whether a person may be reading.
    fn is_terminal(&self, stream: Stream) -> bool;
}

/// The standard streams of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessStdio;

impl Sink for ProcessStdio {
    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Stream::Stderr => io::stderr().lock().write_all(bytes),
        }
    }

    fn is_terminal(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => io::IsTerminal::is_terminal(&io::stdout()),
            Stream::Stderr => io::IsTerminal::is_terminal(&io::stderr()),
        }
    }
}

/// Most bytes kept of an unfinished line.
const LINE_BYTES: usize = 64 << 10;

/// One stream of one call.
#[derive(Debug, Clone)]
pub(crate) struct CallStream {
    sink: Arc<dyn Sink>,
    stream: Stream,
    /// The unfinished line; `None` for main, which writes through.
    line: Option<Arc<Mutex<Vec<u8>>>>,
}

impl CallStream {
    pub(crate) fn new(sink: Arc<dyn Sink>, stream: Stream, is_main: bool) -> Self {
        Self { sink, stream, line: (!is_main).then(Arc::default) }
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(line) = &self.line else { return self.sink.write(self.stream, bytes) };
        let mut line = line.lock();
        line.extend_from_slice(bytes);
        let end = line.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let end = if line.len() > LINE_BYTES { line.len() } else { end };
        let whole: Vec<u8> = line.drain(..end).collect();
        if whole.is_empty() { Ok(()) } else { self.sink.write(self.stream, &whole) }
    }

    /// Hands on what is left when the call ends.
    pub(crate) fn finish(&self) {
        if let Some(line) = &self.line {
            let rest = std::mem::take(&mut *line.lock());
            if !rest.is_empty() {
                // Nobody is left to tell: the call that printed it has ended.
                let _ = self.sink.write(self.stream, &rest);
            }
        }
    }
}

impl IsTerminal for CallStream {
    fn is_terminal(&self) -> bool {
        self.sink.is_terminal(self.stream)
    }
}

impl StdoutStream for CallStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only `p2_stream` is used by WASI preview 1.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for CallStream {
    async fn ready(&mut self) {}
}

impl OutputStream for CallStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes).map_err(|err| match err.kind() {
            io::ErrorKind::BrokenPipe => StreamError::Closed,
            _ => StreamError::LastOperationFailed(err.into()),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES)
    }
}
