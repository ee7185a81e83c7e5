//! A wire to a server that can be cut, or go dead in one direction.

mod frames;

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tonic::transport::{Channel, Endpoint};

use crate::until;

use frames::Frames;

/// How many bytes are held at the most where the wire is dead.
const HELD: usize = 64 * 1024;

/// Another way to a server, for whoever shall lose it.
#[derive(Debug)]
pub struct Wire {
    addr: SocketAddr,
    state: watch::Sender<State>,
    far: watch::Sender<SocketAddr>,
    answers: watch::Sender<usize>,
}

/// What a wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It carries both ways.
    Whole,
    /// Connections end, and new ones are closed at once, as when the server is killed.
    Cut,
    /// Connections stay, and nothing comes through, as when the server is stopped.
    Silent,
    /// What the client says arrives, and no answer does.
    OneWay,
}

impl Wire {
    /// A wire to the server at this URL.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (state, states) = watch::channel(State::Whole);
        let (far, fars) = watch::channel(address(url));
        let answers = watch::Sender::new(0);
        let count = answers.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (far, state) = (*fars.borrow(), states.clone());
                tokio::spawn(carry(near, far, state, count.clone()));
            }
        });
        Self { addr, state, far, answers }
    }

    /// How many messages the server has answered with, whether they come through or not.
    #[must_use]
    pub fn answers(&self) -> watch::Receiver<usize> {
        self.answers.subscribe()
    }

    /// Where it begins.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A channel to the server by way of it, which connects when it is used.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url()).expect("a URL").connect_lazy()
    }

    /// Has it do this from now on.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Cuts it, and waits until every connection has ended. Then it carries again.
    pub async fn break_off(&self) {
        self.set(State::Cut);
        // Each connection has a receiver, and so has whoever waits for new ones.
        until("connections end", async || self.state.receiver_count() == 1).await;
        self.set(State::Whole);
    }

    /// Has new connections end at another server.
    pub fn lead_to(&self, url: &str) {
        self.far.send_replace(address(url));
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}

async fn carry(
    near: TcpStream,
    far: SocketAddr,
    state: watch::Receiver<State>,
    answers: watch::Sender<usize>,
) {
    if *state.borrow() == State::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(far).await else { return };
    for end in [&near, &far] {
        end.set_nodelay(true).expect("a socket that is open");
    }
    let ((near_reads, near_writes), (far_reads, far_writes)) =
        (near.into_split(), far.into_split());
    let mut frames = Frames::default();
    let count = |bytes: &[u8]| answers.send_modify(|count| *count += frames.messages(bytes));
    let both = async {
        tokio::join!(
            pass(near_reads, far_writes, state.clone(), |it| it != State::Silent, |_| {}),
            pass(far_reads, near_writes, state.clone(), |it| it == State::Whole, count),
        );
    };
    let mut cut = state.clone();
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|it| *it == State::Cut) => {}
    }
}

/// Carries one way, as far as the wire does. What does not come through is seen and held.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    carries: impl Fn(State) -> bool,
    mut see: impl FnMut(&[u8]),
) {
    let (mut held, mut is_open) = (Vec::with_capacity(HELD), true);
    while is_open || !held.is_empty() {
        let seen = held.len();
        tokio::select! {
            size = from.read_buf(&mut held), if is_open && seen < HELD => {
                is_open = matches!(size, Ok(1..));
                see(held.get(seen..).unwrap_or_default());
            }
            stays = async { state.wait_for(|it| carries(*it)).await.is_ok() }, if seen > 0 => {
                if !stays || to.write_all(&held).await.is_err() {
                    return;
                }
                held.clear();
            }
        }
    }
}
