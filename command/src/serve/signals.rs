//! Signals of `qualm serve`: SIGTERM and SIGINT stop it, SIGHUP reloads its configuration.
//!
//! A reload replaces tokens and certificate, and has all models checked for new versions. Detectors and endpoints change with
//! a restart only.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use qualm::config::{Config, Http};
use qualm::state;
use qualm_bundle::watch::Notifier;
use qualm_http::Renewal;
use qualm_http::api::models::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::listen_options;

/// The signals, caught since [`catch`](Self::catch).
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Catches them. Must be called within a runtime.
    pub(super) fn catch() -> io::Result<Self> {
        state::ignore_file_size_signal()?;
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that asks to stop; until then, each SIGHUP reloads.
    pub(super) async fn wait_for_stop(mut self, mut reload: Reload) {
        let (mut term, mut int) = (self.term, self.int);
        let reloading = async {
            loop {
                self.hup.recv().await;
                // Reading files and checking certificates blocks: not on a thread that answers requests.
                let reloading = move || {
                    reload.run();
                    reload
                };
                match spawn_blocking(reloading).await {
                    Ok(done) => reload = done,
                    Err(error) => {
                        error!("SIGHUP: {error}; it is ignored from now on");
                        std::future::pending::<()>().await;
                        return;
                    }
                }
            }
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = reloading => {}
        }
    }
}

/// Reloads the configuration.
#[derive(Debug)]
pub(super) struct Reload {
    /// The file; `None` for the default configuration.
    pub(super) path: Option<PathBuf>,
    /// The configuration in force.
    pub(super) config: Config,
    pub(super) listen: SocketAddr,
    pub(super) renewal: Renewal,
    pub(super) registry: Option<Arc<Registry>>,
    /// Wakes the watchers of the pipelines' models.
    pub(super) notifier: Notifier,
}

impl Reload {
    fn run(&mut self) {
        self.notifier.notify_all();
        if let Some(registry) = &self.registry {
            registry.refresh();
        }
        let Some(path) = &self.path else {
            info!("SIGHUP is ignored: there is no configuration file to read again");
            return;
        };
        let next = match Config::read(path) {
            Ok(next) => next,
            Err(error) => {
                error!("SIGHUP: {error}. All stays as it is");
                return;
            }
        };
        if let Err(error) = self.renewal.renew(&listen_options(&next.http, self.listen)) {
            error!("SIGHUP: [http]: {error}. All stays as it is");
            return;
        }
        info!(
            "SIGHUP: {} has been read again; its tokens and its certificate are in force, and models are looked for",
            path.display()
        );
        let Http { tls_cert, tls_key, tokens, .. } = next.http.clone();
        self.config.http = Http { tls_cert, tls_key, tokens, ..self.config.http.clone() };
        if self.config != next {
            warn!("SIGHUP: what else has changed in {} takes a restart", path.display());
        }
    }
}
