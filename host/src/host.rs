//! A host: everything that serves the rooms of one data directory, put together.
//!
//! ```text
//!  Config ──Host::open──▶ Journal ─▶ Logs ─▶ Rooms, with their housekeeping ─▶ Upgrades
//!                                                 │
//!             Rooms::submit, view, follow ◀───────┴──▶ Host::router ──▶ Host::serve, or an axum application of your own
//! ```
//!
//! `reapply serve` is one user of this; a program that has rooms inside is another.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use futures_util::future::OptionFuture;
use reapply_journal::{Journal, LostLog, OpenJournalError, Proving, SqliteJournal};
use reapply_machine::{Engine, EngineError};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock;
use crate::http;
use crate::http::body::Bodies;
use crate::http::guard::{AllowedOrigin, Guard};
use crate::http::kept::KeptFiles;
use crate::http::limits::{ARCHIVES_MAX, EXPORTS_MAX, LOG_FOLLOWERS_MAX, SESSIONS_MAX, SUBMITS_PER_SECOND_MAX};
use crate::http::server::{self, ConnectionLimits};
use crate::http::state::HttpState;
use crate::http::token::{DeployToken, TokenError};
use crate::log::Logs;
use crate::machines::Machines;
use crate::room::{self, Rooms, RoomsOptions};
use crate::upgrade::Upgrades;

/// The maximum time that a stopping host waits for its rooms to store their events.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// The maximum time that it then waits for its sessions to end.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// The settings of a host.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder for logs, snapshots and components. It is created if it is missing.
    pub data: PathBuf,
    /// Whether to open the journal although its write-ahead log is lost. The newest acknowledged events are lost then. By default it is refused.
    pub lost_log: LostLog,
    /// An existing folder on another disk for temporary files: the copies that backups make, and the components of imports. The host uses, and
    /// empties, a folder of its own in it. By default temporary files are in the data directory.
    pub scratch: Option<PathBuf>,
    /// The existing folder of static pages that [`Host::serve`] serves at `/`. By default it serves a start page.
    pub pages: Option<PathBuf>,
    /// The secret that administration takes. By default the host makes one, and keeps it in the data directory.
    pub deploy_token: Option<DeployToken>,
    /// The origins of other sites whose pages may use the host. By default only pages of the host's own address may.
    pub origins: Vec<AllowedOrigin>,
    /// The time without use after which a room goes to sleep: by default 60 seconds, and at least
    /// [`SLEEP_AFTER_MIN`](crate::room::limits::SLEEP_AFTER_MIN).
    pub sleep_after: Duration,
    /// The bytes of memory for all rooms that are awake: their machines' memories, their histories, and what waits for them. By default half of
    /// the memory of this machine or of the process's cgroup, and at least [`ROOMS_MEMORY_BYTES_MIN`](crate::system::ROOMS_MEMORY_BYTES_MIN).
    pub rooms_memory_bytes_max: usize,
    /// The maximum number of transitions that one session may submit in a second: by default [`SUBMITS_PER_SECOND_MAX`]. A faster session is read
    /// more slowly.
    pub submits_per_second_max: u32,
}

impl Config {
    /// Returns the default settings for a host on this data directory.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let rooms = RoomsOptions::default();
        Self {
            data: data.into(),
            lost_log: LostLog::Refused,
            scratch: None,
            pages: None,
            deploy_token: None,
            origins: Vec::new(),
            sleep_after: rooms.sleep_after,
            rooms_memory_bytes_max: rooms.memory_bytes_max,
            submits_per_second_max: SUBMITS_PER_SECOND_MAX,
        }
    }
}

/// The reason why a host cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenHostError {
    /// The folder of pages is missing.
    #[error("{} is not a folder, so no pages can be served from it", .0.display())]
    Pages(PathBuf),
    /// The folder for copies is missing.
    #[error("{} is not a folder, so no copies can be made in it", .0.display())]
    Scratch(PathBuf),
    /// The system's clock is wrong.
    #[error(transparent)]
    Clock(#[from] clock::BeforeEpoch),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenJournalError),
    /// The engine does not run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The data directory yields no deploy token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A file or folder could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The rooms of one data directory, with everything that serves them. Cheap to clone.
///
/// Background work continues until [`Host::stop`], even if all clones are dropped. Once the host was stopped, and all its clones and routers are
/// dropped, another host may soon open the data directory.
#[derive(Clone)]
pub struct Host {
    state: HttpState,
    pages: Option<PathBuf>,
    /// The housekeeping of the rooms, until somebody waits for its end.
    housekeeping: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Host {
    /// Opens the data directory, and starts the background work of its rooms. All rooms are asleep.
    ///
    /// # Errors
    ///
    /// The data directory cannot be used, or another host has it; a folder is missing; the engine does not run here.
    pub async fn open(config: Config) -> Result<Self, OpenHostError> {
        if let Some(pages) = config.pages.as_deref().filter(|pages| !pages.is_dir()) {
            return Err(OpenHostError::Pages(pages.to_owned()));
        }
        clock::start()?;
        let journal: Arc<dyn Journal> = Arc::new(open_journal(&config).await?);
        let scratch = empty_scratch(&config)?;
        let logs = Logs::new(Engine::new(Some(&config.data.join("cache")))?, journal);
        let deploy_token = match config.deploy_token {
            Some(token) => token,
            None => DeployToken::open(&config.data)?,
        };
        let options = RoomsOptions { sleep_after: config.sleep_after, memory_bytes_max: config.rooms_memory_bytes_max };
        let (rooms, housekeeping) = room::start(logs.clone(), options);
        let housekeeping = Arc::new(Mutex::new(Some(tokio::spawn(housekeeping.run()))));
        let state = HttpState {
            logs,
            upgrades: Upgrades::new(rooms.clone()),
            rooms,
            guard: Arc::new(Guard { deploy_token, origins: config.origins }),
            submits_per_second_max: config.submits_per_second_max,
            bodies: Bodies::default(),
            components: KeptFiles::default(),
            sessions: Arc::new(Semaphore::new(SESSIONS_MAX)),
            archives: Arc::new(Semaphore::new(ARCHIVES_MAX)),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            scratch: scratch.into(),
            followers: Arc::new(Semaphore::new(LOG_FOLLOWERS_MAX)),
        };
        Ok(Self { state, pages: config.pages, housekeeping })
    }

    /// Returns the rooms: to submit to, to read and to follow.
    #[must_use]
    pub fn rooms(&self) -> &Rooms {
        &self.state.rooms
    }

    /// Returns the machines: to deploy, and to find builds.
    #[must_use]
    pub fn machines(&self) -> &Machines {
        &self.state.logs.machines
    }

    /// Returns the upgrades of rooms.
    #[must_use]
    pub fn upgrades(&self) -> &Upgrades {
        &self.state.upgrades
    }

    /// Returns the journal that keeps the rooms.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.state.logs.journal
    }

    /// Returns the routes of the HTTP surface, and the browser's client. They may be nested under a prefix of another application.
    ///
    /// The host's pages are not among them, so the other application answers all other paths.
    pub fn router(&self) -> Router {
        http::router(self.state.clone())
    }

    /// Serves the routes and the pages on `listener`, as long as the future is polled. Connections that were accepted live on after it.
    pub async fn serve(&self, listener: TcpListener, limits: ConnectionLimits) -> Infallible {
        server::serve(listener, http::site(self.state.clone(), self.pages.clone()), limits).await
    }

    /// Puts all rooms to sleep, and waits until their events are stored (at most 10 seconds) and their sessions have ended (at most 3 more). No room
    /// wakes afterwards.
    pub async fn stop(&self) {
        info!("stopping");
        if tokio::time::timeout(SETTLE_WITHIN, self.state.rooms.stop()).await.is_err() {
            warn!("some rooms did not store their events in time; nobody was told that those events were accepted");
        }
        let housekeeping = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = OptionFuture::from(housekeeping).await {
            warn!(%error, "the background work of the rooms panicked");
        }
        let left = async {
            all_back(&self.state.sessions, SESSIONS_MAX).await;
            all_back(&self.state.followers, LOG_FOLLOWERS_MAX).await;
        };
        let _some_still_reading = tokio::time::timeout(LEAVE_WITHIN, left).await;
        info!("stopped");
    }
}

async fn open_journal(config: &Config) -> Result<SqliteJournal, OpenHostError> {
    let (data, lost_log) = (config.data.clone(), config.lost_log);
    let opening = move || SqliteJournal::open_with(&data, lost_log, Proving::WhenUsed);
    let opened = tokio::task::spawn_blocking(opening).await.map_err(io::Error::other)??;
    for warning in &opened.warnings {
        warn!("{warning}");
    }
    Ok(opened.journal)
}

/// Empties the folder for copies, and returns it. A host that ended during a backup has left its copy there. The journal's lock ensures that no
/// other host uses the folder.
fn empty_scratch(config: &Config) -> Result<PathBuf, OpenHostError> {
    let scratch = match &config.scratch {
        None => config.data.join("scratch"),
        Some(scratch) if !scratch.is_dir() => return Err(OpenHostError::Scratch(scratch.clone())),
        Some(scratch) => scratch.join(own_name(&config.data)?),
    };
    if let Err(error) = std::fs::remove_dir_all(&scratch)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!(folder = %scratch.display(), %error, "a folder for temporary files cannot be emptied");
    }
    Ok(scratch)
}

/// Returns the name of this data directory's own folder among the copies of several hosts.
fn own_name(data: &Path) -> io::Result<String> {
    let data = std::fs::canonicalize(data)?;
    let name = blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex();
    Ok(format!("reapply-{}", &name[..16]))
}

/// Waits until all `count` permits are free.
async fn all_back(permits: &Semaphore, count: usize) {
    let _never_closed = permits.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await;
}
