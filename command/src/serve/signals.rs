//! What signals ask of `qualm serve`: SIGTERM and SIGINT to stop, SIGHUP to read its configuration again.
//!
//! What can change under way is who may call and the certificate; the directory of models is looked at as well. Detectors
//! and ways in stay as they are: that takes a restart.

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

use super::listen_as;

/// The signals, caught from now on.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Catches them. It has to be called within a runtime.
    pub(super) fn catch() -> io::Result<Self> {
        state::ignore_file_size_signal()?;
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that asks to stop; meanwhile, each SIGHUP renews what can be.
    pub(super) async fn stop(mut self, mut reload: Reload) {
        let (mut term, mut int) = (self.term, self.int);
        let reloading = async {
            loop {
                self.hup.recv().await;
                // Files are read, and certificates checked: not where requests are answered.
                let again = move || {
                    reload.now();
                    reload
                };
                match spawn_blocking(again).await {
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

/// Reads the configuration again.
#[derive(Debug)]
pub(super) struct Reload {
    /// Where it is; nowhere, where all is as it is by default.
    pub(super) path: Option<PathBuf>,
    /// What is in force.
    pub(super) config: Config,
    pub(super) listen: SocketAddr,
    pub(super) renewal: Renewal,
    pub(super) registry: Option<Arc<Registry>>,
    /// Has the pipelines' detectors look for new models.
    pub(super) notifier: Notifier,
}

impl Reload {
    fn now(&mut self) {
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
        if let Err(error) = self.renewal.renew(&listen_as(&next.http, self.listen)) {
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
