//! Puts a router on a free loopback port, and takes it away again.
//!
//! Only 127.0.0.1 is ever bound: the demo is nobody else's business. A server
//! whose fault is a reset also closes every connection it is offered, so that
//! a client meets the same refusal with and without a connection kept open.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, serve::Listener};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{http::FaultSwitch, kubernetes::Fault};

/// How long a stopping server waits for requests that are being answered.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Server {
    /// Takes no more requests and waits until the port is free.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        // Watches never end by themselves, so the wait is bounded; dropping ends the rest.
        drop(tokio::time::timeout(LAST_ANSWERS, &mut self.task).await);
    }
}

/// A port that is taken but not yet served.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Takes a free port of the loopback interface.
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts to serve.
    pub(crate) fn serve(self, router: Router, faults: FaultSwitch) -> Server {
        let listener = Fragile {
            listener: self.listener,
            faults,
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            // axum retries accepting by itself; it only ends when told to.
            drop(
                axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await,
            );
        });
        Server { task, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

struct Fragile {
    listener: TcpListener,
    faults: FaultSwitch,
}

impl Listener for Fragile {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let accepted = Listener::accept(&mut self.listener).await;
            match self.faults.get() {
                Some(Fault::Reset) => drop(accepted),
                Some(Fault::Status(_) | Fault::Html | Fault::Hang | Fault::LostAnswer) | None => {
                    return accepted;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
