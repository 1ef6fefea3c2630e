//! Non-blocking sockets: connecting from several source addresses, and raising the limit of open files.

use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};
use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
};

/// The number of source addresses. Each address has its own ports, so that ports do not run out.
const SOURCES: usize = 9;
/// The backlog of the reference servers: more than the connections that are opened at the same time.
const WAITING: i32 = 4096;
/// A generous allowance for open files that are not connections.
const OTHER_FILES: u64 = 200;

/// Listens on a free port with a backlog of [`WAITING`] connections.
pub(crate) fn listen() -> Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket cannot be made")?;
    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).context("no port is free")?;
    socket.listen(WAITING)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Starts to connect. `index` selects the source address.
pub(crate) fn connect(address: SocketAddr, index: usize) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket cannot be made")?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let source = Ipv4Addr::new(127, 0, 0, 1 + (index % SOURCES) as u8);
    socket.bind(&SockAddr::from(SocketAddr::from((source, 0)))).context("no port is free to connect from")?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        // EINPROGRESS: the result is known when the socket becomes writable.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error).with_context(|| format!("{address} cannot be reached")),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// The number of connections that the system's limit of open files allows.
pub(crate) fn most() -> usize {
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    usize::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
}

/// Raises the limit of open files for this process and the servers it starts, if `connections` need it.
///
/// # Errors
/// Returns an error that says what to do if the system does not allow this many open files.
pub(crate) fn room_for(connections: usize) -> Result<()> {
    let needed = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{connections} connections need {needed} open files, but the system allows {:?}; raise it with: ulimit -Hn {needed}",
        limit.maximum
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).context("the limit of open files stays")
}

/// Writes as many bytes as the socket accepts and keeps the rest in `out`. Returns whether `out` is empty.
pub(crate) fn write(stream: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<bool> {
    let mut sent = 0;
    while sent < out.len() {
        match stream.write(&out[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.drain(..sent);
    Ok(out.is_empty())
}
