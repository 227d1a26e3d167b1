//! A host as a process: started on a data directory of its own and a free port, killed, and started again on both.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Answer};
use crate::{program, until_blocking};

/// A host. Stopped on drop; its log is printed if the test failed.
#[derive(Debug)]
pub struct Host {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Environment,
    data: PathBuf,
    /// Removed with the host.
    _temporary: Option<TempDir>,
    address: SocketAddr,
    process: Option<Process>,
    log: Log,
}

/// Variables that a host finds set.
type Environment = Vec<(String, String)>;

/// A host that did not start.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub message: String,
}

impl Host {
    /// Starts the binary of [`program::reapply`] with the demo's pages.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        let pages = program::repository().join("demo");
        Self::start_program(program::reapply(), &["--pages", &pages.to_string_lossy()])
    }

    /// Starts `program serve` with these arguments, on an empty data directory and a free port.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start_program(program: &Path, arguments: &[&str]) -> Self {
        Self::start_program_in(program, &std::env::temp_dir(), arguments, &[])
    }

    /// The same, with the data directory in `parent`, and with variables set.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start_program_in(
        program: &Path,
        parent: &Path,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let temporary = TempDir::new_in(parent).expect("a temporary directory can be made");
        let mut host = Self::start_with(program, temporary.path(), arguments, environment);
        host._temporary = Some(temporary);
        host
    }

    /// The same, on a data directory that is there and stays.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start_program_on(program: &Path, data: &Path, arguments: &[&str]) -> Self {
        Self::start_with(program, data, arguments, &[])
    }

    fn start_with(program: &Path, data: &Path, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let log = Log::default();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let environment = environment.to_vec();
        match Process::serve(program, data, "127.0.0.1:0", &arguments, &environment, &log) {
            Ok((process, address)) => Self {
                program: program.to_owned(),
                arguments,
                environment,
                data: data.to_owned(),
                _temporary: None,
                address,
                process: Some(process),
                log,
            },
            Err(refused) => panic!("the host did not start: {}", refused.message),
        }
    }

    /// Starts `program serve` on a data directory where it must refuse to.
    ///
    /// # Panics
    ///
    /// It does start.
    #[must_use]
    pub fn refusal(program: &Path, data: &Path, arguments: &[&str]) -> Refused {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        match Process::serve(program, data, "127.0.0.1:0", &arguments, &[], &Log::default()) {
            Ok((mut process, _)) => {
                process.kill();
                panic!("the host started on {}", data.display())
            }
            Err(refused) => refused,
        }
    }

    /// Where it listens, also after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the host runs").child.id()
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its deploy token, where it has made one of its own.
    ///
    /// # Panics
    ///
    /// It has not.
    #[must_use]
    pub fn token(&self) -> String {
        let file = self.data.join("deploy-token");
        let token = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        token.trim().to_owned()
    }

    /// A request that presents its deploy token.
    #[must_use]
    pub fn administer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        http::send(method, &self.url(path), &[("authorization", &bearer)], Some(body))
    }

    /// The URL of a path, such as `/rooms`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has written to standard error since the first start.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the host has said this to its operator: it writes at its own pace.
    ///
    /// # Panics
    ///
    /// It does not say so in time.
    pub fn wait_for_log(&self, words: &str) {
        until_blocking(&format!("the host says {words:?}"), || {
            let log = self.log();
            if log.contains(words) { Ok(()) } else { Err(log) }
        });
    }

    /// Deploys a guest by the command line, and gives its digest.
    ///
    /// # Panics
    ///
    /// The guest does not build, or is refused.
    pub fn deploy(&self, guest: &str) -> String {
        self.deploy_as(guest, guest)
    }

    /// The same, as the machine `name`.
    ///
    /// # Panics
    ///
    /// Likewise.
    pub fn deploy_as(&self, name: &str, guest: &str) -> String {
        self.deploy_file(name, &program::component(&self.program, guest))
    }

    /// Deploys a component as the machine `name`, and gives its digest.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub fn deploy_file(&self, name: &str, component: &Path) -> String {
        let deployed = self.try_deploy_file(name, component);
        deployed.unwrap_or_else(|refusal| panic!("{name} was not deployed: {refusal}"))
    }

    /// Deploys a component as the machine `name`, and gives its digest, where that may be refused.
    ///
    /// # Errors
    ///
    /// The command fails; what it says.
    ///
    /// # Panics
    ///
    /// The command succeeds and names no digest.
    pub fn try_deploy_file(&self, name: &str, component: &Path) -> Result<String, String> {
        let output = self.command("deploy", &[&component.to_string_lossy(), "--name", name]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let digest = printed.split_whitespace().find(|word| word.len() == 64);
        Ok(digest.unwrap_or_else(|| panic!("`reapply deploy` named no digest: {printed}")).to_owned())
    }

    /// Runs another command of the binary against this host.
    ///
    /// # Panics
    ///
    /// The binary cannot be run.
    #[must_use]
    pub fn command(&self, command: &str, arguments: &[&str]) -> Output {
        let mut process = clean_command(&self.program);
        process.arg(command).args(arguments).env("REAPPLY_HOST", self.url("")).env("REAPPLY_DATA", &self.data);
        process.stdin(Stdio::null()).output().expect("the binary can be run")
    }

    /// A room's state as its host shows it, at `/rooms/<room>`.
    ///
    /// # Panics
    ///
    /// There is no such room.
    #[must_use]
    pub fn room(&self, room: &str) -> Value {
        let answer = http::get(&self.url(&format!("/rooms/{room}")));
        assert_eq!(answer.status, 200, "{room}: {}", answer.text());
        answer.json()
    }

    /// A room's whole log.
    ///
    /// # Panics
    ///
    /// There is no such room.
    #[must_use]
    pub fn events(&self, room: &str) -> Vec<Value> {
        let answer = http::get(&self.url(&format!("/rooms/{room}/log")));
        assert_eq!(answer.status, 200, "{room}: {}", answer.text());
        answer.json_lines()
    }

    /// Submits a transition, as JSON.
    #[must_use]
    pub fn submit(&self, room: &str, transition: &str) -> Answer {
        http::post(&self.url(&format!("/rooms/{room}")), transition)
    }

    /// Sets what its next starts find in their environment.
    pub fn set_environment(&mut self, environment: &[(String, String)]) {
        self.environment = environment.to_vec();
    }

    /// Ends it as `kill -9` does.
    pub fn kill_9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it as `kill` does, and waits for its end.
    ///
    /// # Panics
    ///
    /// It does not run, or does not end.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait_for_end()
    }

    /// Waits for the end of a host that was told to stop.
    ///
    /// # Panics
    ///
    /// It does not run, or does not end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the host runs");
        let status = until_blocking("the host ends", || match process.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}; its log: {}", self.log.text())),
        });
        process.join();
        status
    }

    /// Sends SIGTERM, and does not wait.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name, such as `INT`, and does not wait.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the host runs");
        let kill = format!("kill -{signal} {}", process.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("sh can be run");
        assert!(status.success(), "{kill}: {status}");
    }

    /// Starts it again, on the same data directory and port.
    ///
    /// # Errors
    ///
    /// It refuses to start, and says why.
    ///
    /// # Panics
    ///
    /// It still runs.
    pub fn try_restart(&mut self) -> Result<(), Refused> {
        assert!(self.process.is_none(), "the host still runs");
        let listen = self.address.to_string();
        let (arguments, environment) = (&self.arguments, &self.environment);
        let (process, _) = Process::serve(&self.program, &self.data, &listen, arguments, environment, &self.log)?;
        self.process = Some(process);
        Ok(())
    }

    /// [`Host::try_restart`], where nothing is in the way.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn restart(&mut self) {
        if let Err(refused) = self.try_restart() {
            panic!("the host did not start again: {}", refused.message);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            eprintln!("--- the host's log ---\n{}--- end of the host's log ---", self.log.text());
        }
    }
}

/// What a host says, from all of its lives.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in what comes, line by line, until there is no more.
    fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let mut text = log.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        })
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    followers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a host and reads where it listens.
    fn serve(
        program: &Path,
        data: &Path,
        listen: &str,
        arguments: &[String],
        environment: &[(String, String)],
        log: &Log,
    ) -> Result<(Self, SocketAddr), Refused> {
        let mut command = clean_command(program);
        command.arg("serve").arg("--data").arg(data).args(["--listen", listen]).args(arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let own_log = Log::default();
        let mut followers = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            followers.push(log.follow(Tee { from: stderr, to: own_log.clone() }));
        }
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        let _broken = stdout.read_line(&mut line);
        let mut process = Self { child, followers };
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let status = process.child.wait().expect("a child can be waited for");
            process.join();
            return Err(Refused { status, message: own_log.text() });
        };
        process.followers.push(log.follow(stdout));
        Ok((process, address))
    }

    fn kill(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        self.join();
    }

    fn join(&mut self) {
        for follower in self.followers.drain(..) {
            let _panicked = follower.join();
        }
    }
}

/// Copies what is read to a log of its own.
struct Tee<R> {
    from: R,
    to: Log,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        let mut text = self.to.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        Ok(count)
    }
}

/// The binary, untouched by the settings of whoever runs the tests.
fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let settings = ["REAPPLY_DATA", "REAPPLY_LISTEN", "REAPPLY_DEPLOY_TOKEN", "REAPPLY_HOST", "REAPPLY_LOG"];
    for setting in settings {
        command.env_remove(setting);
    }
    // Nor are notes left for commands of theirs.
    for folder in ["HOME", "XDG_STATE_HOME"] {
        command.env_remove(folder);
    }
    command.env("NO_COLOR", "1");
    command
}
