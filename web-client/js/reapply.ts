// The module that a page imports. Everything else is in reapply/, and is named here, so that all of it is fetched at the same time instead of
// one file after the other.

export { connect, Room } from "./reapply/room.js";
export type { Moment, Options, Outcome, RejectionKind, Returned, Signal, Status } from "./reapply/types.js";
import "./reapply/adapter.js";
import "./reapply/address.js";
import "./reapply/client.js";
import "./reapply/component.js";
import "./reapply/effects.js";
import "./reapply/locks.js";
import "./reapply/notify.js";
import "./reapply/past.js";
import "./reapply/reapply_wasm.js";
import "./reapply/runtime.js";
import "./reapply/shell.js";
import "./reapply/socket.js";
import "./reapply/start.js";
import "./reapply/store.js";
import "./reapply/views.js";
