//! Every bound of the HTTP surface, by name.

use std::time::Duration;

use reapply_component::limits::COMPONENT_BYTES_MAX;

/// Bytes of a request's body, but for a deployment's.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a deployment's body: a little more than a component may have, so that the one who sends too much is told by how much.
pub const DEPLOY_BYTES_MAX: usize = 4 * COMPONENT_BYTES_MAX;

/// Sessions of the whole host.
pub const SESSIONS_MAX: usize = 50_000;

/// How long a new connection may take to say `Hello`.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How long a session may be silent. Clients ping well within it.
pub const SILENCE_MAX: Duration = Duration::from_secs(90);

/// How long a reader may leave a full socket unread. Whatever it reads begins this time anew.
pub const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// How long a session may take to write one message, or what it has collected, however steadily its reader reads. All that is written at once
/// is less than 512 KiB, so this is for lines of a few kilobits a second.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How long the other side may take to close a connection that was said goodbye on.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Bytes of a session's read buffer: most messages are small, and there are many sessions.
pub const SOCKET_READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes that a session's socket collects before it writes on its own. What waits goes out in one write anyway.
pub const SOCKET_WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes of a log's records that are read, decoded and sent at a time.
pub const LOG_READ_BYTES: usize = 256 * 1024;

/// Requests that follow a log at once, in the whole host.
pub const LOG_FOLLOWERS_MAX: usize = 1_000;

/// How often at most the log of a busy room is read for one who follows it.
pub const LOG_FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of a response that is compressed. A compressor works where others are served, and takes some milliseconds for so many.
pub const COMPRESSED_BYTES_MAX: usize = 256 * 1024;

/// Rooms that one request for a list gets.
pub const ROOMS_LISTED_MAX: usize = 1_000;

/// Transitions that one session may submit in a second by default.
pub const SUBMITS_PER_SECOND_MAX: u32 = 1_000;

/// Bytes of one WebSocket message that are read at all. What is over the protocol's own limit, but not over this, is answered by name.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of bodies that the host holds at once, of all requests.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long a body may be silent.
pub const BODY_SILENCE_MAX: Duration = Duration::from_secs(20);

/// How long a body may take however few bytes it brings.
pub const BODY_GRACE: Duration = Duration::from_secs(30);

/// Bytes a second that a body must bring from then on.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;

/// Bytes that are read and dropped of a body that nobody wants, so that its sender hears the answer.
pub const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long that may take.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Connections of the whole host, as far as its descriptors allow.
pub const CONNECTIONS_MAX: usize = 65_536;

/// The part of all connections that one address may have is one in so many.
pub const ADDRESS_SHARE: usize = 4;

/// Descriptors that no connection gets: the journal's, the cache's, and those of files that are sent.
pub const DESCRIPTORS_KEPT: u64 = 256;

/// Connections over the limits that are told so at once. Those beyond are closed without a word.
pub const REFUSALS_MAX: usize = 64;

/// How long a connection may take for the head of a request, and how long it may have none.
pub const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// How long no connection is accepted after the system refused to.
pub const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Imports, forks and backups that are under way at once. Each takes a thread or two, and memory for a few sections.
pub const ARCHIVES_MAX: usize = 4;

/// Exports that are under way at once.
pub const EXPORTS_MAX: usize = 8;

/// Chunks of an export that wait for its reader.
pub const EXPORT_CHUNKS_MAX: usize = 8;

/// How long the other side of an export or an import may let it stand still.
pub const TRANSFER_SILENCE_MAX: Duration = Duration::from_secs(60);
