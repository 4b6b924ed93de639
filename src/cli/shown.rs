//! A run that people watch: its events go to the display, Ctrl-C stops it at the next safe point.

use crate::{
    event::{Events, Kind},
    report::{Display, Options, Summary},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Events on one side, the display on the other.
pub struct Shown {
    /// Where the work says what happens.
    pub events: Events,
    /// Cancelled by the first Ctrl-C; the second one ends the program at once.
    pub cancel: CancellationToken,
    display: JoinHandle<Summary>,
}

impl Shown {
    /// Starts showing.
    pub fn start(options: Options) -> Self {
        let (events, receiver) = Events::channel();
        if let Some(title) = &options.title {
            events.emit(Kind::RunStarted { title: title.clone(), hosts: Vec::new() });
        }
        let cancel = CancellationToken::new();
        let (token, notes) = (cancel.clone(), events.clone());
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                notes.warn("stopping at the next safe point; the same command goes on from there (Ctrl-C again: stop at once)");
                token.cancel();
                drop(notes);
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            }
        });
        Self { events, cancel, display: Display::start(options, receiver) }
    }

    /// Shows the rest and the summary.
    pub async fn finish(self) {
        self.events.close();
        drop(self.events);
        let _ = self.display.await;
    }
}
