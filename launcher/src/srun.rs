//! Noticing that srun is gone: Slurm lets a step run on when its srun was killed.
//!
//! ```text
//!  slurmstepd ── input and output of the step ──▶ srun, on SLURM_LAUNCH_NODE_IPADDR
//!       connections to that address at the start: gone, all of them?
//!                                       └─▶ does srun's port (SLURM_SRUN_COMM_PORT) answer? no: it is gone
//! ```
//!
//! The kernel's list of connections costs nothing to look at. The port is asked only after that, because
//! srun complains about who connects and says nothing.
//!
//! Invariant: a step without such connections (srun --output) is never judged.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long srun has to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Calls `gone` when the srun of this step is gone. Does nothing outside a step.
pub fn watch(gone: impl FnOnce() + Send + 'static) {
    let var = |name: &str| std::env::var(name).ok();
    if var("SLURM_STEP_ID").is_none() {
        return;
    }
    let Some(launcher) = var("SLURM_LAUNCH_NODE_IPADDR").and_then(|ip| ip.parse().ok()) else {
        return;
    };
    let Some(port) = var("SLURM_SRUN_COMM_PORT").and_then(|port| port.parse::<u16>().ok()) else {
        return;
    };
    let first = connections(&table(), launcher);
    if first.is_empty() {
        return;
    }
    let look = move || {
        loop {
            std::thread::sleep(LOOK);
            let now = connections(&table(), launcher);
            if first.iter().any(|connection| now.contains(connection)) {
                continue;
            }
            let srun = SocketAddr::from((launcher, port));
            if TcpStream::connect_timeout(&srun, ANSWER).is_err() {
                gone();
            }
            return;
        }
    };
    let _ = std::thread::Builder::new().name("mobula-srun".into()).spawn(look);
}

fn table() -> String {
    std::fs::read_to_string("/proc/net/tcp").unwrap_or_default()
}

/// The established connections to `address` in the kernel's table (proc(5)), by both their ends.
fn connections(table: &str, address: Ipv4Addr) -> Vec<String> {
    // Addresses are words in the machine's order, in hexadecimal.
    let remote = format!("{:08X}:", u32::from_ne_bytes(address.octets()));
    let lines = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, to, state) = (fields.next()?, fields.next()?, fields.next()?);
        (state == "01" && to.starts_with(&remote)).then(|| format!("{local} {to}"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_as_long_as_it_is_there() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        let here = |table: &str| {
            let port = format!(":{:04X}", to.port());
            let all = connections(table, Ipv4Addr::LOCALHOST);
            all.iter().filter(|connection| connection.ends_with(&port)).count()
        };
        assert_eq!(here(&table()), 0);
        let client = TcpStream::connect(to).unwrap();
        assert_eq!(here(&table()), 1);
        drop((server, client));
        assert_eq!(here(&table()), 0);
    }
}
