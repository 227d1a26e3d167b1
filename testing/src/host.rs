//! A host as a process: started on its own data directory and a free port, killed, and restarted on both.

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

/// A host. It is stopped on drop; its log is printed if the test failed.
#[derive(Debug)]
pub struct Host {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Environment,
    data: PathBuf,
    /// The data directory, if it is removed with the host.
    _temporary: Option<TempDir>,
    address: SocketAddr,
    process: Option<Process>,
    log: Log,
}

/// The environment variables of the host.
type Environment = Vec<(String, String)>;

/// A host that did not start.
#[derive(Debug)]
pub struct Refused {
    /// The exit status.
    pub status: ExitStatus,
    /// The output on standard error.
    pub message: String,
}

impl Host {
    /// Starts the binary of [`program::reapply`] with the demo's pages.
    ///
    /// # Panics
    ///
    /// The host does not start.
    #[must_use]
    pub fn start() -> Self {
        let pages = program::repository().join("demo");
        Self::start_program(program::reapply(), &["--pages", &pages.to_string_lossy()])
    }

    /// Starts `program serve` with these arguments, on an empty data directory and a free port.
    ///
    /// # Panics
    ///
    /// The host does not start.
    #[must_use]
    pub fn start_program(program: &Path, arguments: &[&str]) -> Self {
        Self::start_program_in(program, &std::env::temp_dir(), arguments, &[])
    }

    /// Does the same with the data directory in `parent`, and with environment variables.
    ///
    /// # Panics
    ///
    /// The host does not start.
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

    /// Does the same on an existing data directory, which stays.
    ///
    /// # Panics
    ///
    /// The host does not start.
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

    /// Starts `program serve` on a data directory that it must refuse.
    ///
    /// # Panics
    ///
    /// The host starts.
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

    /// Returns the address that the host listens on, which survives a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process of the host.
    ///
    /// # Panics
    ///
    /// The host does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the host runs").child.id()
    }

    /// Returns the data directory of the host.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the deploy token that the host made.
    ///
    /// # Panics
    ///
    /// The host has not made one.
    #[must_use]
    pub fn token(&self) -> String {
        let file = self.data.join("deploy-token");
        let token = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        token.trim().to_owned()
    }

    /// Begins a request with the host's deploy token.
    #[must_use]
    pub fn administer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        http::send(method, &self.url(path), &[("authorization", &bearer)], Some(body))
    }

    /// Returns the URL of a path, such as `/rooms`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the host's output on standard error since the first start.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until the host's log contains this text: it writes at its own pace.
    ///
    /// # Panics
    ///
    /// The text does not appear in time.
    pub fn wait_for_log(&self, words: &str) {
        until_blocking(&format!("the host says {words:?}"), || {
            let log = self.log();
            if log.contains(words) { Ok(()) } else { Err(log) }
        });
    }

    /// Deploys a guest by the command line, and returns its digest.
    ///
    /// # Panics
    ///
    /// The guest does not build, or is refused.
    pub fn deploy(&self, guest: &str) -> String {
        self.deploy_as(guest, guest)
    }

    /// Does the same, as the machine `name`.
    ///
    /// # Panics
    ///
    /// The guest does not build, or is refused.
    pub fn deploy_as(&self, name: &str, guest: &str) -> String {
        self.deploy_file(name, &program::component(&self.program, guest))
    }

    /// Deploys a component as the machine `name`, and returns its digest.
    ///
    /// # Panics
    ///
    /// The component is refused.
    pub fn deploy_file(&self, name: &str, component: &Path) -> String {
        let deployed = self.try_deploy_file(name, component);
        deployed.unwrap_or_else(|refusal| panic!("{name} was not deployed: {refusal}"))
    }

    /// Deploys a component as the machine `name`, which may be refused, and returns its digest.
    ///
    /// # Errors
    ///
    /// The command fails; the error is its output.
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

    /// Returns a room's state as its host shows it, at `/rooms/<room>`.
    ///
    /// # Panics
    ///
    /// The room does not exist.
    #[must_use]
    pub fn room(&self, room: &str) -> Value {
        let answer = http::get(&self.url(&format!("/rooms/{room}")));
        assert_eq!(answer.status, 200, "{room}: {}", answer.text());
        answer.json()
    }

    /// Returns a room's whole log.
    ///
    /// # Panics
    ///
    /// The room does not exist.
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

    /// Sets the environment variables for later starts.
    pub fn set_environment(&mut self, environment: &[(String, String)]) {
        self.environment = environment.to_vec();
    }

    /// Ends the host as `kill -9` does.
    pub fn kill_9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends the host as `kill` does, and waits for its end.
    ///
    /// # Panics
    ///
    /// The host does not run, or does not end.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait_for_end()
    }

    /// Waits for the end of a host that is already stopping.
    ///
    /// # Panics
    ///
    /// The host does not run, or does not end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the host runs");
        let status = until_blocking("the host ends", || match process.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}; its log: {}", self.log.text())),
        });
        process.join();
        status
    }

    /// Returns the id of the host's process.
    ///
    /// # Panics
    ///
    /// The host does not run.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the host runs").child.id()
    }

    /// Sends SIGTERM, and does not wait.
    ///
    /// # Panics
    ///
    /// The host does not run.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name, such as `INT`, and does not wait.
    ///
    /// # Panics
    ///
    /// The host does not run.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.process_id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("sh can be run");
        assert!(status.success(), "{kill}: {status}");
    }

    /// Starts the host again, on the same data directory and port.
    ///
    /// # Errors
    ///
    /// The host refuses to start; the error has its reason.
    ///
    /// # Panics
    ///
    /// The host still runs.
    pub fn try_restart(&mut self) -> Result<(), Refused> {
        assert!(self.process.is_none(), "the host still runs");
        let listen = self.address.to_string();
        let (arguments, environment) = (&self.arguments, &self.environment);
        let (process, _) = Process::serve(&self.program, &self.data, &listen, arguments, environment, &self.log)?;
        self.process = Some(process);
        Ok(())
    }

    /// Restarts the host like [`Host::try_restart`], and expects success.
    ///
    /// # Panics
    ///
    /// The host does not start.
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

/// The output of a host, from all of its runs.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the output line by line until its end.
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
    /// Starts a host and reads the address that it listens on.
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

/// Copies everything that is read to a separate log.
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

/// Returns the binary, without the environment settings of the person who runs the tests.
fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let settings = ["REAPPLY_DATA", "REAPPLY_LISTEN", "REAPPLY_DEPLOY_TOKEN", "REAPPLY_HOST", "REAPPLY_LOG"];
    for setting in settings {
        command.env_remove(setting);
    }
    // Nor does it leave notes for that person's commands.
    for folder in ["HOME", "XDG_STATE_HOME"] {
        command.env_remove(folder);
    }
    command.env("NO_COLOR", "1");
    command
}
