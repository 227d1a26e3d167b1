//! The limits of the HTTP surface, each with a name.

use std::time::Duration;

use reapply_component::limits::COMPONENT_BYTES_MAX;
use reapply_machine::limits::POOL_IMPORT_THREADS;

/// The maximum number of bytes of a request's body, except for deployments.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The maximum number of bytes of a deployment's body: a little more than a component may have, so that the error can name the excess.
pub const DEPLOY_BYTES_MAX: usize = 4 * COMPONENT_BYTES_MAX;

/// The maximum number of sessions of the whole host.
pub const SESSIONS_MAX: usize = 50_000;

/// The maximum time until a new connection says `Hello`.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// The maximum time for which a session may be silent. Clients ping well within it.
pub const SILENCE_MAX: Duration = Duration::from_secs(90);

/// The maximum time for which a client may leave a full socket unread. Any progress restarts the time.
pub const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// The maximum time in which a session writes one message, or the messages that it has collected, even to a client that reads steadily. A write
/// has less than 512 KiB, so this allows for lines of a few kilobits a second.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(10 * 60);

/// The maximum time until the client closes a connection after a `Goodbye`.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The size of a session's read buffer in bytes: most messages are small, and there are many sessions.
pub const SOCKET_READ_BUFFER_BYTES: usize = 4 * 1024;

/// The number of bytes that a session's socket collects before it writes on its own. Waiting messages go out in one write anyway.
pub const SOCKET_WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// The number of bytes of a log's records that are read, decoded and sent at a time.
pub const LOG_READ_BYTES: usize = 256 * 1024;

/// The same number for a query that names authors: about as many bytes as one segment of the index of authors has.
pub const AUTHOR_READ_BYTES: usize = 64 * 1024;

/// The maximum number of requests that follow a log at once, in the whole host.
pub const LOG_FOLLOWERS_MAX: usize = 1_000;

/// The minimum interval between two reads of a busy room's log for a request that follows it.
pub const LOG_FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

/// The maximum number of bytes of a response that is compressed. Compression blocks a thread that serves others, for some milliseconds at this size.
pub const COMPRESSED_BYTES_MAX: usize = 256 * 1024;

/// The bytes of a large body that go out at a time.
pub const PORTION_BYTES: usize = 128 * 1024;

/// The pause after each of these portions.
pub const PORTION_PAUSE: Duration = Duration::from_millis(1);

/// The number of bytes of a component that are compressed at a time. Other work in the background is done in between.
pub const COMPRESSED_PORTION_BYTES: usize = 256 * 1024;

/// The maximum number of bytes of components, and of their plans, that are kept to be sent or are being sent, in all their encodings.
pub const COMPONENTS_BYTES_MAX: usize = 128 * 1024 * 1024;

// Any component can be sent in three encodings at once, and a little more for those that do not compress.
const _: () = assert!(COMPONENTS_BYTES_MAX > 4 * COMPONENT_BYTES_MAX);

/// The time after which a request for a component is worth repeating that found no memory for it.
pub const COMPONENTS_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The maximum number of rooms in the answer to one request for a list.
pub const ROOMS_LISTED_MAX: usize = 1_000;

/// The default number of transitions that one session may submit in a second.
pub const SUBMITS_PER_SECOND_MAX: u32 = 1_000;

/// The maximum number of bytes of a WebSocket message that are read at all. A message between the protocol's own limit and this one gets an
/// error that names the limit.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The maximum number of bytes of bodies that the host holds at once, over all requests.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The maximum time for which a body may be silent.
pub const BODY_SILENCE_MAX: Duration = Duration::from_secs(20);

/// The time that a body may take regardless of its size.
pub const BODY_GRACE: Duration = Duration::from_secs(30);

/// The minimum number of bytes a second that a body must bring after that time.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;

/// The maximum number of bytes of an unwanted body that are read and dropped, so that its sender gets the answer.
pub const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The maximum time to read and drop them.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// The maximum number of connections of the whole host, as far as its descriptors allow.
pub const CONNECTIONS_MAX: usize = 65_536;

/// The divisor of the limit of connections that gives the limit of one address.
pub const ADDRESS_SHARE: usize = 4;

/// The number of descriptors that are kept for other uses than connections: the journal, the cache, and files that are sent.
pub const DESCRIPTORS_KEPT: u64 = 256;

/// The maximum number of connections over the limits that are being refused with a message. Further ones are closed without a message.
pub const REFUSALS_MAX: usize = 64;

/// The maximum time until a connection has sent the head of a request, also between two requests.
pub const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// The time for which no connection is accepted after the system refused one.
pub const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The maximum number of imports, forks and backups at once. Each takes a thread or two, and memory for a few sections.
pub const ARCHIVES_MAX: usize = 4;

// An import occupies a thread of the pool while its sender sends, so no import may have to wait for one.
const _: () = assert!(ARCHIVES_MAX <= POOL_IMPORT_THREADS);

/// The maximum number of exports at once.
pub const EXPORTS_MAX: usize = 8;

/// The maximum number of chunks of an export that wait for its reader.
pub const EXPORT_CHUNKS_MAX: usize = 8;

/// The maximum time for which a client may neither read an export nor send an import.
pub const TRANSFER_SILENCE_MAX: Duration = Duration::from_secs(60);

/// The time after which a request is worth repeating that found no place or no memory for another room.
pub const ROOMS_RETRY_AFTER: Duration = Duration::from_secs(5);
